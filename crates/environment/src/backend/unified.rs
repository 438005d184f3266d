//! What every group of the v2 tree can do, controllers or not.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::EnvironmentError;
use crate::file;
use crate::group::{Group, kill_each};

/// How long a freeze is waited for. A process that waits at its memory limit does not freeze.
const FREEZE_PATIENCE: Duration = Duration::from_secs(5);

/// Stops all processes inside; returns when they have stopped.
pub(crate) fn freeze(group: &Group) -> Result<(), EnvironmentError> {
    group.write("cgroup.freeze", "1")?;
    if wait_event(group.path(), b"frozen", 1, FREEZE_PATIENCE)? {
        Ok(())
    } else {
        Err(not_frozen(group, FREEZE_PATIENCE))
    }
}

pub(crate) fn not_frozen(group: &Group, patience: Duration) -> EnvironmentError {
    EnvironmentError::NotFrozen {
        name: group.path().display().to_string(),
        seconds: patience.as_secs(),
    }
}

/// Lets them go on.
pub(crate) fn thaw(group: &Group) -> Result<(), EnvironmentError> {
    group.write("cgroup.freeze", "0")
}

/// Kills all inside, frozen ones too.
pub(crate) fn kill(group: &Group) -> Result<(), EnvironmentError> {
    if group.has("cgroup.kill") {
        return group.write("cgroup.kill", "1");
    }
    // Before Linux 5.14: stopped first, so that none can fork on while the others are killed.
    let _ = freeze(group);
    kill_each(group.path(), Duration::ZERO);
    thaw(group)?;
    kill_each(group.path(), Duration::from_millis(100));
    Ok(())
}

/// Waits until no process is inside or below; false where some are left.
pub(crate) fn wait_empty(group: &Group, patience: Duration) -> Result<bool, EnvironmentError> {
    wait_empty_at(group.path(), patience)
}

/// The same of a group that may vanish meanwhile, which is as good as empty.
pub(crate) fn wait_empty_at(group: &Path, patience: Duration) -> Result<bool, EnvironmentError> {
    match wait_event(group, b"populated", 0, patience) {
        Err(EnvironmentError::Read { source, .. })
            if matches!(source.raw_os_error(), Some(libc::ENODEV | libc::ENOENT)) =>
        {
            Ok(true)
        }
        other => other,
    }
}

/// Waits until `cgroup.events` shows a value.
fn wait_event(
    group: &Path,
    key: &[u8],
    wanted: u64,
    patience: Duration,
) -> Result<bool, EnvironmentError> {
    let path = group.join("cgroup.events");
    let start = Instant::now();
    let mut buffer = Vec::new();
    let failed = |source| EnvironmentError::Read {
        path: path.clone(),
        source,
    };
    let events = File::open(&path).map_err(failed)?;
    loop {
        let length = file::read_at_start(&events, &mut buffer).map_err(failed)?;
        let content = &buffer[..length];
        let value = file::keyed(content)
            .find(|(k, _)| *k == key)
            .ok_or_else(|| file::parse_error(&path, "populated and frozen", content))?
            .1;
        if value == wanted {
            return Ok(true);
        }
        let left = patience.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Ok(false);
        }
        // The kernel wakes a poll at each change since the last read, though at most every 10 ms;
        // a second look after a while costs little.
        wait_change(&events, left.min(Duration::from_millis(500)))?;
    }
}

/// Waits for a change of a kernel file, or for a time.
pub(crate) fn wait_change(file: &File, patience: Duration) -> Result<(), EnvironmentError> {
    let mut fds = [PollFd::from_borrowed_fd(file.as_fd(), PollFlags::PRI)];
    let timeout = Timespec::try_from(patience).ok();
    match poll(&mut fds, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(EnvironmentError::system("poll")(error)),
    }
}
