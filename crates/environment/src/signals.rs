use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Signals taken as events instead of by their default action, so that what is to be cleaned up
/// is cleaned up.
///
/// They stay blocked in this thread and those started later; [`crate::Environment::spawn`] and
/// the sandbox unblock them again in what they start. Make one before any other thread.
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
    before: libc::sigset_t,
}

/// A signal that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// Its number.
    pub signal: i32,
    /// Whether the kernel sent it (a key of the terminal), and with it to the whole foreground
    /// group, not only to this process.
    pub from_kernel: bool,
}

impl Signals {
    /// Takes the signals that ask a program to end: SIGINT, SIGTERM, SIGHUP, SIGQUIT.
    ///
    /// # Errors
    /// Where the kernel refuses (no descriptors left).
    #[expect(unsafe_code)]
    pub fn terminating() -> io::Result<Self> {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset initialises the set before anything reads it; pthread_sigmask
        // writes the former mask into `before`; both point to storage of the right type.
        let (fd, before) = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT] {
                libc::sigaddset(set.as_mut_ptr(), signal);
            }
            let set = set.assume_init();
            let error = libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, before.as_mut_ptr());
            if error != 0 {
                return Err(io::Error::from_raw_os_error(error));
            }
            let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
            (
                libc::signalfd(-1, &raw const set, flags),
                before.assume_init(),
            )
        };
        if fd < 0 {
            let error = io::Error::last_os_error();
            restore(&before);
            return Err(error);
        }
        // SAFETY: signalfd just returned this descriptor; nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Signals { fd, before })
    }

    /// The next signal that has arrived, without waiting.
    #[expect(unsafe_code)]
    pub fn take(&self) -> Option<Arrived> {
        let mut info = MaybeUninit::<libc::signalfd_siginfo>::zeroed();
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: the buffer is as large as said, and valid for any bytes.
        let n = unsafe { libc::read(self.fd.as_raw_fd(), info.as_mut_ptr().cast(), size) };
        if usize::try_from(n) != Ok(size) {
            return None;
        }
        // SAFETY: zeroed, then filled by the kernel with one whole record.
        let info = unsafe { info.assume_init() };
        Some(Arrived {
            signal: i32::try_from(info.ssi_signo).ok()?,
            from_kernel: info.ssi_code > 0,
        })
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        restore(&self.before);
    }
}

#[expect(unsafe_code)]
fn restore(mask: &libc::sigset_t) {
    // SAFETY: the mask was filled by pthread_sigmask.
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, mask, std::ptr::null_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(unsafe_code)]
    fn a_signal_becomes_an_event() {
        let signals = Signals::terminating().unwrap();
        assert_eq!(signals.take(), None);
        // SAFETY: raises a signal that this thread has blocked.
        unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGTERM) };
        let arrived = signals.take().unwrap();
        assert_eq!(
            (arrived.signal, arrived.from_kernel),
            (libc::SIGTERM, false)
        );
    }
}
