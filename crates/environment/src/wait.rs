use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Waits until one of the descriptors can be read, at most for so long. A signal handler that
/// runs meanwhile ends the waiting early.
///
/// # Errors
/// Where the kernel refuses (too many descriptors).
pub fn wait_readable(fds: &[BorrowedFd<'_>], most: Duration) -> io::Result<()> {
    let mut polled: Vec<PollFd<'_>> = fds
        .iter()
        .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
        .collect();
    let timeout = Timespec {
        // Longer than i64 seconds is for ever.
        tv_sec: most.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: most.subsec_nanos().into(),
    };
    match poll(&mut polled, Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::time::Instant;

    #[test]
    fn readable_at_once_and_not_at_all() {
        let (reader, mut writer) = io::pipe().unwrap();
        let since = Instant::now();
        wait_readable(&[reader.as_fd()], Duration::from_millis(20)).unwrap();
        assert!(since.elapsed() >= Duration::from_millis(20));
        io::Write::write_all(&mut writer, b"x").unwrap();
        // Would hang the test if it waited.
        wait_readable(&[reader.as_fd()], Duration::from_secs(3600)).unwrap();
    }
}
