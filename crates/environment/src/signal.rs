//! Signals to processes by handle, so that a number used again harms nobody.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// A handle to a process; None where there is none such.
pub(crate) fn open(pid: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// Sends a signal, real-time ones too. That the process has ended is no error.
#[expect(unsafe_code, reason = "rustix sends no real-time signals")]
pub(crate) fn send(handle: impl AsFd, signal: i32) -> io::Result<()> {
    // SAFETY: the descriptor is open for the duration of the call, no signal information is passed,
    // and the call touches no memory of ours.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            handle.as_fd().as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if result == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ESRCH) {
        return Ok(());
    }
    Err(error)
}
