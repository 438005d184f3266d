use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use foreshadow_quantity::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, pidfd_send_signal};

use super::error::IsolationError;
use super::network::Uplink;
use super::opens::Opens;
use super::scratch::used_and_full;
use super::sys::{self, Counted};
use super::wire::{Before, Channel, FromInit, TaskIo};
use crate::{Exit, Totals};

/// How long dropping waits for a killed shadow. Only one whose environment is frozen takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The first process of a shadow, as its owner holds it. Dropping kills and reaps it, and with it
/// everything inside.
#[derive(Debug)]
pub(super) struct Init {
    pid: Pid,
    pidfd: OwnedFd,
    pub channel: Channel,
    reaped: bool,
}

impl Init {
    pub fn new(pid: Pid, channel: Channel) -> io::Result<Self> {
        let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
        Ok(Init {
            pid,
            pidfd,
            channel,
            reaped: false,
        })
    }

    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    /// Waits for the end of the process that was told, or killed, to end; its raw status, and what
    /// it and all its descendants used.
    fn reap(&mut self) -> io::Result<(i32, Counted)> {
        self.reaped = true;
        sys::wait4(self.pid)
    }
}

impl Drop for Init {
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        // Fails only for one that has ended, which is to be reaped all the same.
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        let patience = Timespec::try_from(PATIENCE).ok();
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        if poll(&mut fds, patience.as_ref()).is_ok_and(|ready| ready > 0) {
            let _ = sys::wait4(self.pid);
        }
    }
}

/// A command running in a shadow. Dropping it kills everything inside and waits for it to be gone.
///
/// As a file descriptor it becomes readable when the command has ended.
#[derive(Debug)]
pub struct ShadowProcess {
    init: Init,
    /// Its way to the network, if it has one.
    _uplink: Option<Uplink>,
    before: Before,
    scratch: OwnedFd,
    placed: Bytes,
    scratch_was_full: bool,
    opens: Option<Opens>,
    ended: Option<(Exit, Totals)>,
}

impl ShadowProcess {
    pub(super) fn new(
        init: Init,
        uplink: Option<Uplink>,
        before: Before,
        scratch: OwnedFd,
        placed: Bytes,
        watch: Option<OwnedFd>,
    ) -> Self {
        ShadowProcess {
            init,
            _uplink: uplink,
            before,
            scratch,
            placed,
            scratch_was_full: false,
            opens: watch.map(Opens::new),
            ended: None,
        }
    }

    /// The shadow's first process, an ancestor of all its processes, in this pid namespace.
    pub fn init_pid(&self) -> u32 {
        self.init.pid.as_raw_nonzero().get().cast_unsigned()
    }

    /// How the command ended and what all of the shadow used; `None` while it runs. By then
    /// nothing of the shadow is left, its daemons included.
    ///
    /// # Errors
    /// [`IsolationError::Lost`] when the first process ended without a report, other than by
    /// SIGKILL (which then counts as the command's end); [`IsolationError::Control`] when it
    /// cannot be waited for, because the caller's program reaps children it does not know.
    pub fn try_wait(&mut self) -> Result<Option<(Exit, Totals)>, IsolationError> {
        if self.ended.is_some() {
            return Ok(self.ended);
        }
        self.drain_opens();
        match self.init.channel.receive(true) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(source) => Err(control("hear from", source)),
            Ok(None) => self.end(None, None),
            Ok(Some(message)) => match FromInit::decode(&message.bytes) {
                Some(FromInit::Ended {
                    status,
                    scratch_full,
                    io,
                }) => {
                    self.scratch_was_full |= scratch_full;
                    self.end(Some(status), io)
                }
                _ => Err(IsolationError::Lost),
            },
        }
    }

    /// Waits until the command has ended; see [`ShadowProcess::try_wait`].
    ///
    /// # Errors
    /// As [`ShadowProcess::try_wait`].
    pub fn wait(&mut self) -> Result<(Exit, Totals), IsolationError> {
        loop {
            if let Some(ended) = self.try_wait()? {
                return Ok(ended);
            }
            let mut fds = vec![PollFd::new(&self.init.channel, PollFlags::IN)];
            // Names of opened files do not wait for ever in the kernel's queue.
            fds.extend(self.opens.iter().map(|o| PollFd::new(o, PollFlags::IN)));
            match poll(&mut fds, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(source) => return Err(control("wait for", source.into())),
            }
        }
    }

    /// Kills everything in the shadow. [`ShadowProcess::wait`] then tells what it had used; the
    /// exit is SIGKILL unless the command was quicker.
    pub fn kill(&mut self) {
        if self.ended.is_none() {
            self.drain_opens();
            // The first process counts what it kills. (Killing that one would lose the counts.)
            self.init.channel.finish();
        }
    }

    /// Bytes that the shadow wrote to its scratch file system and that are still there, without
    /// the stand-ins placed before the start. This memory is counted as shared memory of the
    /// shadow's environment, though the real run would have it on disk.
    pub fn scratch_used(&self) -> Bytes {
        used_and_full(self.scratch.as_fd())
            .map(|(used, _)| used.saturating_sub(self.placed))
            .unwrap_or_default()
    }

    /// Whether the scratch file system is full, or was at an earlier call or at the command's end:
    /// then the command met ENOSPC, and its behaviour says nothing of the real run's.
    ///
    /// A file that fills the scratch and is deleted between two calls is not seen.
    pub fn scratch_full(&mut self) -> bool {
        self.scratch_was_full |= used_and_full(self.scratch.as_fd()).is_ok_and(|(_, full)| full);
        self.scratch_was_full
    }

    /// The files opened so far, by their paths in the shadow, in the order of their first opening:
    /// programs and libraries as well as inputs. Empty where opens are not watched.
    pub fn opened(&mut self) -> Vec<PathBuf> {
        self.drain_opens();
        self.opens
            .as_ref()
            .map(|o| o.paths().to_vec())
            .unwrap_or_default()
    }

    /// Those of [`ShadowProcess::opened`] that were written so far and not read before: outputs,
    /// even where the host has files of these names. A file that is changed in place through one
    /// descriptor for both counts as written.
    pub fn written(&mut self) -> Vec<PathBuf> {
        self.drain_opens();
        self.opens
            .as_ref()
            .map(|o| o.written().cloned().collect())
            .unwrap_or_default()
    }

    /// Whether [`ShadowProcess::opened`] can name files: asked for, and possible (as root, and
    /// within the kernel's limit of such watches, `fs.fanotify.max_user_groups`).
    pub fn watches_opens(&self) -> bool {
        self.opens.is_some()
    }

    /// Whether more files were opened at once than the kernel queues, so that some are missing in
    /// [`ShadowProcess::opened`].
    pub fn missed_opens(&self) -> bool {
        self.opens.as_ref().is_some_and(Opens::lost)
    }

    fn drain_opens(&mut self) {
        // After the end there are no mounts any more to name files by.
        if let (None, Some(opens)) = (self.ended, &mut self.opens) {
            opens.drain();
        }
    }

    fn end(
        &mut self,
        status: Option<i32>,
        io: Option<TaskIo>,
    ) -> Result<Option<(Exit, Totals)>, IsolationError> {
        self.drain_opens();
        self.init.channel.finish();
        let (own_status, used) = self.init.reap().map_err(|e| control("wait for", e))?;
        let exit = match status {
            Some(status) => exit_of(status),
            None => match exit_of(own_status) {
                signal @ Exit::Signal(libc::SIGKILL) => signal,
                _ => return Err(IsolationError::Lost),
            },
        };
        self.ended = Some((exit, totals(&self.before, &used, io)));
        Ok(self.ended)
    }
}

impl AsFd for ShadowProcess {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.init.channel.as_fd()
    }
}

fn control(doing: &'static str, source: io::Error) -> IsolationError {
    IsolationError::Control { doing, source }
}

fn exit_of(status: i32) -> Exit {
    if libc::WIFSIGNALED(status) {
        Exit::Signal(libc::WTERMSIG(status))
    } else {
        Exit::Code(libc::WEXITSTATUS(status))
    }
}

/// What the command used: all that the first process and its descendants did, without what the
/// first process did before the command.
fn totals(before: &Before, used: &Counted, io: Option<TaskIo>) -> Totals {
    let of = |pick: fn(&TaskIo) -> u64| {
        let (before, after) = (before.io.as_ref()?, io.as_ref()?);
        Some(Bytes::new(pick(after).saturating_sub(pick(before))))
    };
    Totals {
        user: used.user.saturating_sub(before.used.user),
        system: used.system.saturating_sub(before.used.system),
        max_rss: used.max_rss,
        major_faults: used.major_faults.saturating_sub(before.used.major_faults),
        minor_faults: used.minor_faults.saturating_sub(before.used.minor_faults),
        read_chars: of(|io| io.read_chars),
        write_chars: of(|io| io.write_chars),
        disk_read: of(|io| io.read_bytes),
        disk_written: of(|io| io.write_bytes),
    }
}

/// Whether a scratch file system is full.
pub(super) fn is_full(scratch: BorrowedFd<'_>) -> bool {
    used_and_full(scratch).is_ok_and(|(_, full)| full)
}
