//! Trying out what a kernel lets us do.

use std::io;
use std::os::fd::RawFd;

use crate::spawn::own;

/// Whether whole file systems may be watched.
#[expect(unsafe_code, reason = "rustix has no fanotify")]
pub(crate) fn fanotify() -> io::Result<()> {
    let flags = libc::FAN_CLOEXEC | libc::FAN_CLASS_NOTIF | libc::FAN_UNLIMITED_QUEUE;
    // SAFETY: no memory is involved.
    let fd = unsafe { libc::fanotify_init(flags, libc::O_RDONLY as u32) };
    close(fd)
}

/// Whether the cycles of this thread can be counted.
#[expect(unsafe_code, reason = "rustix has no perf_event_open")]
pub(crate) fn cycle_counter() -> io::Result<()> {
    /// The first published size of `struct perf_event_attr` (linux/perf_event.h).
    #[repr(C)]
    struct Attributes {
        kind: u32,
        size: u32,
        config: u64,
        sample_period: u64,
        sample_type: u64,
        read_format: u64,
        flags: u64,
        wakeup_events: u32,
        breakpoint_type: u32,
        breakpoint_address: u64,
    }
    const EXCLUDE_KERNEL: u64 = 1 << 5;
    const EXCLUDE_HYPERVISOR: u64 = 1 << 6;
    let attributes = Attributes {
        // PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES.
        kind: 0,
        config: 0,
        size: size_of::<Attributes>() as u32,
        sample_period: 0,
        sample_type: 0,
        read_format: 0,
        flags: EXCLUDE_KERNEL | EXCLUDE_HYPERVISOR,
        wakeup_events: 0,
        breakpoint_type: 0,
        breakpoint_address: 0,
    };
    const CLOSE_ON_EXEC: libc::c_ulong = 8;
    // SAFETY: the structure is complete, tells its own size, and lives through the call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attributes,
            0,
            -1,
            -1,
            CLOSE_ON_EXEC,
        )
    };
    close(RawFd::try_from(fd).map_err(io::Error::other)?)
}

/// The result of a call that returns a descriptor, which is not needed.
fn close(fd: RawFd) -> io::Result<()> {
    if fd == -1 {
        return Err(io::Error::last_os_error());
    }
    drop(own(fd));
    Ok(())
}

/// Whether a program is in a folder of `PATH`, or in one that administrators have.
pub(crate) fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/sbin".into(), "/usr/sbin".into()])
        .any(|folder| folder.join(program).is_file())
}

/// Whether this is at least that version of Linux.
pub(crate) fn kernel_at_least(major: u32, minor: u32) -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version >= (major, minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(kernel_at_least(3, 10));
        assert!(!kernel_at_least(999, 0));
    }

    #[test]
    fn programs_are_found() {
        assert!(in_path("sh"));
        assert!(!in_path("no-such-program-anywhere"));
    }
}
