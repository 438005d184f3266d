//! A started process and its end.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use foreshadow_quantity::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{WaitId, WaitIdOptions, waitid};

use crate::{Exit, Totals, process_table, signal};

/// A process that was started, and that is ours to wait for.
///
/// Its descriptor becomes readable when it ends. Dropped before it was waited for, it is killed.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    handle: OwnedFd,
    /// `/proc/PID/io`, opened while it lives: of a zombie only root may open it, though everybody may
    /// read on.
    io: Option<File>,
    end: Option<(Exit, Totals)>,
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

impl Process {
    /// A child that nobody else waits for.
    pub(crate) fn new(pid: u32, handle: OwnedFd) -> Self {
        Process {
            pid,
            handle,
            io: File::open(format!("/proc/{pid}/io")).ok(),
            end: None,
        }
    }

    /// Its number. It is used by no other process before [`Process::wait`] has returned.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends it a signal (by number, as in signal(7)); that it has ended already is no error.
    ///
    /// # Errors
    /// Where there is no such signal, or the process has become another user's.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        if self.end.is_some() {
            return Ok(());
        }
        signal::send(&self.handle, signal)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// Where it was waited for behind our back (SIGCHLD ignored, or `wait` for any child).
    pub fn wait(&mut self) -> io::Result<(Exit, Totals)> {
        loop {
            if let Some(end) = self.look(false)? {
                return Ok(end);
            }
        }
    }

    /// Its end, if it has ended.
    ///
    /// # Errors
    /// As [`Process::wait`].
    pub fn try_wait(&mut self) -> io::Result<Option<(Exit, Totals)>> {
        self.look(true)
    }

    fn look(&mut self, only_look: bool) -> io::Result<Option<(Exit, Totals)>> {
        if let Some(end) = self.end {
            return Ok(Some(end));
        }
        // Looked at first and waited for after, because what `/proc/PID/io` counted is to be read of
        // the zombie: waiting makes it vanish.
        let mut options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        if only_look {
            options |= WaitIdOptions::NOHANG;
        }
        match waitid(WaitId::PidFd(self.handle.as_fd()), options) {
            Ok(Some(_)) => {}
            Ok(None) | Err(rustix::io::Errno::INTR) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let io = self.io.take().and_then(|file| process_table::io_of(&file));
        let (exit, mut totals) = reap(self.pid)?;
        if let Some(io) = io {
            totals.read_chars = Some(io.read_chars);
            totals.write_chars = Some(io.write_chars);
            totals.disk_read = Some(io.disk_read);
            totals.disk_written = Some(io.disk_written);
        }
        self.end = Some((exit, totals));
        Ok(self.end)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.end.is_some() || matches!(self.try_wait(), Ok(Some(_))) {
            return;
        }
        let _ = self.signal(libc::SIGKILL);
        // One in an uninterruptible wait would hold us up for good.
        let patience = Timespec {
            tv_sec: 5,
            tv_nsec: 0,
        };
        let mut fds = [PollFd::from_borrowed_fd(self.as_fd(), PollFlags::IN)];
        let _ = poll(&mut fds, Some(&patience));
        let _ = self.try_wait();
    }
}

/// Takes the end of a zombie child.
#[expect(unsafe_code, reason = "rustix has no wait4 with usage")]
pub(crate) fn reap(pid: u32) -> io::Result<(Exit, Totals)> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    let mut status = 0;
    // SAFETY: all-zero is a valid value of this plain structure.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both places live through the call.
        if unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) } == pid {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    let exit = if libc::WIFSIGNALED(status) {
        Exit::Signal(libc::WTERMSIG(status))
    } else {
        Exit::Code(libc::WEXITSTATUS(status))
    };
    let count = |n: libc::c_long| u64::try_from(n).unwrap_or(0);
    let time = |t: libc::timeval| {
        Duration::from_secs(count(t.tv_sec)) + Duration::from_micros(count(t.tv_usec))
    };
    let totals = Totals {
        user: time(usage.ru_utime),
        system: time(usage.ru_stime),
        max_rss: Bytes::kib(count(usage.ru_maxrss)),
        major_faults: count(usage.ru_majflt),
        minor_faults: count(usage.ru_minflt),
        ..Totals::default()
    };
    Ok((exit, totals))
}
