//! What `/proc` tells of processes (formats: proc(5)).

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use foreshadow_quantity::Bytes;

use crate::file;

/// The state of a process, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Running, sleeping or waiting.
    Alive,
    /// Stopped by a signal or a tracer.
    Stopped,
    /// Ended, not yet waited for.
    Zombie,
    /// Going away.
    Dead,
}

/// From `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) state: State,
    pub(crate) parent: u32,
    /// One of the kernel's own (`PF_KTHREAD` of linux/sched.h).
    pub(crate) is_kernel_thread: bool,
    /// Of this process alone.
    pub(crate) cpu: Duration,
    /// Of its descendants that it waited for.
    pub(crate) children_cpu: Duration,
    pub(crate) faults: u64,
    pub(crate) major_faults: u64,
    pub(crate) threads: u64,
    /// In clock ticks since boot.
    pub(crate) start: u64,
}

/// Of one process; None where there is none such, or where it is hidden.
pub(crate) fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(content: &[u8]) -> Option<Stat> {
    // The name, in parentheses, may hold anything, parentheses and spaces too.
    let after = content.iter().rposition(|b| *b == b')')? + 1;
    let mut fields = content[after..].trim_ascii().split(|b| *b == b' ');
    let state = match fields.next()? {
        b"T" | b"t" => State::Stopped,
        b"Z" => State::Zombie,
        b"X" | b"x" => State::Dead,
        _ => State::Alive,
    };
    // Fields 4 to 22 of proc(5); the priority and nice value may be negative and are not wanted.
    let numbers: Vec<u64> = fields
        .take(19)
        .map(|field| file::number(field).unwrap_or(0))
        .collect();
    let at = |field: usize| numbers.get(field - 4).copied();
    Some(Stat {
        state,
        parent: u32::try_from(at(4)?).ok()?,
        is_kernel_thread: at(9)? & 0x0020_0000 != 0,
        cpu: ticks(at(14)?.saturating_add(at(15)?)),
        children_cpu: ticks(at(16)?.saturating_add(at(17)?)),
        faults: at(10)?.saturating_add(at(11)?),
        major_faults: at(12)?.saturating_add(at(13)?),
        threads: at(20)?,
        start: at(22)?,
    })
}

/// Clock ticks as time.
fn ticks(n: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_nanos(n.saturating_mul(1_000_000_000 / per_second))
}

/// The time since it was started.
pub(crate) fn age(stat: &Stat) -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let now = Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    );
    now.saturating_sub(ticks(stat.start))
}

/// Resident memory by kind, from `/proc/PID/status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resident {
    pub(crate) anon: Bytes,
    pub(crate) shmem: Bytes,
    pub(crate) page_tables: Bytes,
    pub(crate) threads: u64,
}

/// Of one process; None where it has ended.
pub(crate) fn resident(pid: u32) -> Option<Resident> {
    let content = std::fs::read(format!("/proc/{pid}/status")).ok()?;
    let mut resident = Resident::default();
    for line in content.split(|b| *b == b'\n') {
        if let Some(threads) = line.strip_prefix(b"Threads:") {
            resident.threads = file::number(threads)?;
            continue;
        }
        let slot = if line.starts_with(b"RssAnon:") {
            &mut resident.anon
        } else if line.starts_with(b"RssShmem:") {
            &mut resident.shmem
        } else if line.starts_with(b"VmPTE:") {
            &mut resident.page_tables
        } else {
            continue;
        };
        let colon = line.iter().position(|b| *b == b':')?;
        *slot = Bytes::kib(file::number(&line[colon + 1..])?);
    }
    Some(resident)
}

/// From `/proc/PID/io`: of a process and all descendants it waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Io {
    pub(crate) read_chars: Bytes,
    pub(crate) write_chars: Bytes,
    pub(crate) disk_read: Bytes,
    pub(crate) disk_written: Bytes,
}

/// Of one process; None where it is gone or not ours to see.
pub(crate) fn io(pid: u32) -> Option<Io> {
    io_of(&File::open(format!("/proc/{pid}/io")).ok()?)
}

/// From the opened file; of a zombie too.
pub(crate) fn io_of(mut file: &File) -> Option<Io> {
    let mut content = Vec::with_capacity(256);
    file.read_to_end(&mut content).ok()?;
    let mut io = Io::default();
    let mut cancelled = Bytes::ZERO;
    for (key, value) in file::keyed(&content) {
        let value = Bytes::new(value);
        match key {
            b"rchar:" => io.read_chars = value,
            b"wchar:" => io.write_chars = value,
            b"read_bytes:" => io.disk_read = value,
            b"write_bytes:" => io.disk_written = value,
            b"cancelled_write_bytes:" => cancelled = value,
            _ => {}
        }
    }
    // Pages made dirty and then truncated never reached the disk.
    io.disk_written = io.disk_written.saturating_sub(cancelled);
    Some(io)
}

/// The numbers of all processes to be seen.
pub(crate) fn all() -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// Whether there is a process of that number, ours or not.
pub(crate) fn exists(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
    else {
        return false;
    };
    !matches!(
        rustix::process::test_kill_process(pid),
        Err(rustix::io::Errno::SRCH)
    )
}

/// The inode of this process's pid namespace; 0 where `/proc` does not tell.
pub(crate) fn pid_namespace() -> u64 {
    std::fs::metadata("/proc/self/ns/pid").map_or(0, |meta| meta.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let stat = parse_stat(
            b"42 (a) b (c) S 7 40 39 0 -1 4194304 100 5 3 1 250 50 10 20 20 0 4 0 98765 1 2 3\n",
        )
        .unwrap();
        assert_eq!(stat.state, State::Alive);
        assert_eq!((stat.parent, stat.threads, stat.start), (7, 4, 98765));
        assert_eq!((stat.faults, stat.major_faults), (105, 4));
        assert!(!stat.is_kernel_thread);
        assert_eq!(stat.cpu, ticks(300));
        assert_eq!(stat.children_cpu, ticks(30));
        assert_eq!(parse_stat(b"42 (a"), None);
    }

    #[test]
    fn this_process_is_to_be_seen() {
        let me = std::process::id();
        let stat = stat(me).unwrap();
        assert!(stat.start > 0 && stat.threads > 0);
        assert!(age(&stat) < std::time::Duration::from_secs(100_000));
        assert!(resident(me).unwrap().anon > Bytes::ZERO);
        assert!(io(me).unwrap().read_chars > Bytes::ZERO);
        assert!(all().contains(&me));
        assert!(exists(me));
        assert!(pid_namespace() > 0);
    }
}
