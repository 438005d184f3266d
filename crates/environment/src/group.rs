//! One control group: a folder of the kernel's that we own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::file::{self, Counter};
use crate::{EnvironmentError, signal};

/// How long a group that is still busy is asked again to go.
const REMOVE_PATIENCE: Duration = Duration::from_secs(2);

/// A group made by us; it is removed with its owner.
#[derive(Debug)]
pub(crate) struct Group {
    path: PathBuf,
}

impl Group {
    /// Makes a group.
    pub(crate) fn create(parent: &Path, name: &str) -> Result<Self, EnvironmentError> {
        let path = parent.join(name);
        match fs::create_dir(&path) {
            Ok(()) => Ok(Group { path }),
            Err(source) => Err(EnvironmentError::Create { path, source }),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file of this group.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whether this kernel has that file.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.file(name).exists()
    }

    pub(crate) fn write(&self, name: &str, value: &str) -> Result<(), EnvironmentError> {
        file::write(&self.file(name), value)
    }

    pub(crate) fn counter(&self, name: &str) -> Result<Option<Counter>, EnvironmentError> {
        Counter::open(self.file(name))
    }

    /// The processes inside, groups below included.
    pub(crate) fn pids(&self) -> Result<Vec<u32>, EnvironmentError> {
        let mut pids = Vec::new();
        collect_pids(&self.path, &mut pids).map_err(|source| EnvironmentError::Read {
            path: self.file("cgroup.procs"),
            source,
        })?;
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Nobody is left to tell; a later sweep finds what stays.
        let _ = remove(&self.path, REMOVE_PATIENCE);
    }
}

/// The processes of a group and the groups below; none where it is gone.
pub(crate) fn collect_pids(path: &Path, pids: &mut Vec<u32>) -> io::Result<()> {
    match fs::read_to_string(path.join("cgroup.procs")) {
        Ok(content) => pids.extend(content.lines().filter_map(|line| line.parse::<u32>().ok())),
        // ENODEV: removed while open. EOPNOTSUPP: a threaded group, whose threads its parent lists.
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                || matches!(error.raw_os_error(), Some(libc::ENODEV | libc::EOPNOTSUPP)) => {}
        Err(error) => return Err(error),
    }
    for child in children(path) {
        collect_pids(&child, pids)?;
    }
    Ok(())
}

/// The groups directly below.
pub(crate) fn children(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// Removes a group and the groups below. A group stays busy for a moment after its last process has
/// ended, so it is asked again for as long as `patience`. A group already gone is fine.
pub(crate) fn remove(path: &Path, patience: Duration) -> Result<(), EnvironmentError> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(200);
    loop {
        match fs::remove_dir(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => {
                if start.elapsed() >= patience || source.raw_os_error() != Some(libc::EBUSY) {
                    return Err(EnvironmentError::Remove {
                        path: path.to_owned(),
                        source,
                    });
                }
            }
        }
        for child in children(path) {
            remove(&child, patience.saturating_sub(start.elapsed()))?;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Sends SIGKILL to each process inside, again until none is left or `patience` is over. Whether
/// none is left.
pub(crate) fn kill_each(path: &Path, patience: Duration) -> bool {
    let start = Instant::now();
    let mut pause = Duration::from_micros(500);
    loop {
        let mut pids = Vec::new();
        if collect_pids(path, &mut pids).is_err() {
            return false;
        }
        if pids.is_empty() {
            return true;
        }
        for pid in pids {
            kill_member(path, pid);
        }
        if start.elapsed() >= patience {
            return false;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Kills a process if it is still in the group once a handle to it is held, so that a number given
/// to another process in between harms nobody.
fn kill_member(path: &Path, pid: u32) {
    let Some(handle) = signal::open(pid) else {
        return;
    };
    let mut pids = Vec::new();
    if collect_pids(path, &mut pids).is_ok() && pids.contains(&pid) {
        let _ = signal::send(&handle, libc::SIGKILL);
    }
}
