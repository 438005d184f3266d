//! Word from the kernel at the moment memory runs out.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use foreshadow_quantity::Bytes;
use rustix::event::{EventfdFlags, epoll, eventfd};

use crate::EnvironmentError;
use crate::file::{self, Counter};
use crate::group::Group;

/// What happened to the memory of an environment since it was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryChange {
    /// Times that memory ran out at [`crate::Limits::memory_max`].
    pub out_of_memory: u64,
    /// Processes killed for it.
    pub kills: u64,
    /// Times that use went over [`crate::Limits::memory_high`] and was slowed (version 2).
    pub high: u64,
    /// A threshold was crossed, upwards or downwards (version 1).
    pub crossed: bool,
}

/// A descriptor that becomes readable when something happens to the memory of an environment.
///
/// Poll it for reading, then call [`MemoryEvents::read`].
#[derive(Debug)]
pub struct MemoryEvents {
    source: Source,
}

#[derive(Debug)]
enum Source {
    V1(V1),
    V2(V2),
}

/// An eventfd for running out, and one for each threshold, behind one epoll descriptor.
#[derive(Debug)]
struct V1 {
    epoll: OwnedFd,
    out_of_memory: OwnedFd,
    thresholds: Vec<OwnedFd>,
    control: PathBuf,
    usage: File,
    oom_control: Counter,
    kills: u64,
}

/// `memory.events`, which asks for attention until it is read, behind an epoll descriptor that makes it
/// readable. (An inotify watch would do too, but a user has only 128 of those.)
#[derive(Debug)]
struct V2 {
    epoll: OwnedFd,
    path: PathBuf,
    events: File,
    last: Counts,
}

/// The counts in `memory.events`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    out_of_memory: u64,
    kills: u64,
    high: u64,
}

impl AsFd for MemoryEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.source {
            Source::V1(v1) => v1.epoll.as_fd(),
            Source::V2(v2) => v2.epoll.as_fd(),
        }
    }
}

impl MemoryEvents {
    /// On a v1 memory group.
    pub(crate) fn v1(group: &Group) -> Result<Self, EnvironmentError> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(EnvironmentError::system("epoll_create1"))?;
        let usage_path = group.file("memory.usage_in_bytes");
        let usage = File::open(&usage_path).map_err(|source| EnvironmentError::Read {
            path: usage_path,
            source,
        })?;
        let oom_path = group.file("memory.oom_control");
        let oom_file = File::open(&oom_path).map_err(|source| EnvironmentError::Read {
            path: oom_path.clone(),
            source,
        })?;
        let control = group.file("cgroup.event_control");
        let out_of_memory = new_event(&epoll, OUT_OF_MEMORY)?;
        register(&control, &out_of_memory, &oom_file, "")?;
        let oom_control = Counter::open(oom_path.clone())?
            .ok_or_else(|| file::parse_error(&oom_path, "a control file", b""))?;
        let mut v1 = V1 {
            epoll,
            out_of_memory,
            thresholds: Vec::new(),
            control,
            usage,
            oom_control,
            kills: 0,
        };
        v1.kills = v1.count_kills()?;
        Ok(MemoryEvents {
            source: Source::V1(v1),
        })
    }

    /// On a v2 group with the memory controller.
    pub(crate) fn v2(group: &Group) -> Result<Option<Self>, EnvironmentError> {
        let path = group.file("memory.events");
        let events = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(EnvironmentError::Read { path, source }),
        };
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(EnvironmentError::system("epoll_create1"))?;
        // Read before it is watched, because only changes after a read ask for attention.
        let last = Counts::read(&path, &events)?;
        epoll::add(
            &epoll,
            &events,
            epoll::EventData::new_u64(OUT_OF_MEMORY),
            epoll::EventFlags::PRI,
        )
        .map_err(EnvironmentError::system("epoll_ctl"))?;
        Ok(Some(MemoryEvents {
            source: Source::V2(V2 {
                epoll,
                path,
                events,
                last,
            }),
        }))
    }

    /// What happened since the last call (or the start); never waits.
    ///
    /// # Errors
    /// Where the kernel's counters cannot be read.
    pub fn read(&mut self) -> Result<MemoryChange, EnvironmentError> {
        match &mut self.source {
            Source::V1(v1) => v1.read(),
            Source::V2(v2) => v2.read(),
        }
    }

    /// Asks for word when total memory (page cache included) crosses one of these amounts, in place
    /// of those asked for before. False where the kernel has no such thresholds (version 2).
    ///
    /// The kernel checks after every 128 pages charged on a processor. Each threshold takes it some
    /// milliseconds to set, so prefer a few, set seldom.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn set_thresholds(&mut self, thresholds: &[Bytes]) -> Result<bool, EnvironmentError> {
        let Source::V1(v1) = &mut self.source else {
            return Ok(false);
        };
        // Closing an event takes its threshold away.
        v1.thresholds.clear();
        for threshold in thresholds {
            let event = new_event(&v1.epoll, THRESHOLD)?;
            register(&v1.control, &event, &v1.usage, &threshold.get().to_string())?;
            v1.thresholds.push(event);
        }
        Ok(true)
    }
}

const OUT_OF_MEMORY: u64 = 0;
const THRESHOLD: u64 = 1;

/// A non-blocking eventfd that the epoll descriptor watches.
fn new_event(epoll: &OwnedFd, kind: u64) -> Result<OwnedFd, EnvironmentError> {
    let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
        .map_err(EnvironmentError::system("eventfd2"))?;
    epoll::add(
        epoll,
        &event,
        epoll::EventData::new_u64(kind),
        epoll::EventFlags::IN,
    )
    .map_err(EnvironmentError::system("epoll_ctl"))?;
    Ok(event)
}

/// Ties an eventfd to a control file (`Documentation/admin-guide/cgroup-v1/memory.rst`, 9 and 10).
fn register(
    control: &Path,
    event: &OwnedFd,
    target: &File,
    argument: &str,
) -> Result<(), EnvironmentError> {
    let line = format!("{} {} {argument}", event.as_raw_fd(), target.as_raw_fd());
    file::write(control, line.trim_end())
}

/// Takes the count out of an eventfd; 0 where nothing was signalled.
fn take(event: &OwnedFd) -> Result<u64, EnvironmentError> {
    let mut count = [0; 8];
    match rustix::io::read(event, &mut count) {
        Ok(8) => Ok(u64::from_ne_bytes(count)),
        Ok(_) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(0),
        Err(error) => Err(EnvironmentError::system("read of an eventfd")(error)),
    }
}

impl V1 {
    fn count_kills(&self) -> Result<u64, EnvironmentError> {
        let mut buffer = Vec::new();
        let content = self.oom_control.read(&mut buffer)?;
        Ok(file::keyed(content)
            .find(|(key, _)| *key == b"oom_kill")
            .map_or(0, |(_, value)| value))
    }

    fn read(&mut self) -> Result<MemoryChange, EnvironmentError> {
        let out_of_memory = take(&self.out_of_memory)?;
        let mut crossed = false;
        for event in &self.thresholds {
            crossed |= take(event)? > 0;
        }
        let kills = self.count_kills()?;
        let change = MemoryChange {
            out_of_memory,
            kills: kills.saturating_sub(self.kills),
            high: 0,
            crossed,
        };
        self.kills = kills;
        Ok(change)
    }
}

impl Counts {
    fn read(path: &Path, events: &File) -> Result<Self, EnvironmentError> {
        let mut buffer = Vec::new();
        match file::read_at_start(events, &mut buffer) {
            Ok(n) => Ok(Counts::parse(&buffer[..n])),
            Err(source) => Err(EnvironmentError::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }

    fn parse(content: &[u8]) -> Self {
        let mut counts = Counts::default();
        for (key, value) in file::keyed(content) {
            match key {
                b"oom" => counts.out_of_memory = value,
                b"oom_kill" => counts.kills = value,
                b"high" => counts.high = value,
                _ => {}
            }
        }
        counts
    }
}

impl V2 {
    fn read(&mut self) -> Result<MemoryChange, EnvironmentError> {
        let now = Counts::read(&self.path, &self.events)?;
        let change = MemoryChange {
            out_of_memory: now.out_of_memory.saturating_sub(self.last.out_of_memory),
            kills: now.kills.saturating_sub(self.last.kills),
            high: now.high.saturating_sub(self.last.high),
            crossed: false,
        };
        self.last = now;
        Ok(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_version_2() {
        let counts =
            Counts::parse(b"low 0\nhigh 12\nmax 40\noom 2\noom_kill 1\noom_group_kill 0\n");
        assert_eq!(
            counts,
            Counts {
                out_of_memory: 2,
                kills: 1,
                high: 12
            }
        );
    }
}
