//! Whether a program reads its standard input, found out without having anything for it to read.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::ioctl_fionread;
use rustix::pipe::{PipeFlags, pipe_with};

/// A pipe that holds one end of line and nothing more, and tells whether that was taken out.
///
/// A program that reads gets an empty line, and then the end of input. One that doesn't leaves the
/// byte where it is: `FIONREAD` (`ioctl_tty(2)`, `pipe(7)`) counts what is left in a pipe.
#[derive(Debug)]
pub struct ReadProbe {
    pipe: OwnedFd,
}

impl ReadProbe {
    /// A fresh probe, and the descriptor to give to the program as its standard input.
    ///
    /// # Errors
    /// Where the kernel gives no pipe: too many files are open.
    pub fn new() -> io::Result<(ReadProbe, OwnedFd)> {
        let (pipe, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::write(&writer, b"\n")?;
        let given = rustix::io::fcntl_dupfd_cloexec(&pipe, 0)?;
        Ok((ReadProbe { pipe }, given))
    }

    /// Whether somebody has read from it.
    pub fn was_read(&self) -> bool {
        ioctl_fionread(&self.pipe).is_ok_and(|left| left == 0)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read as _;

    use super::*;

    #[test]
    fn tells_a_reader_from_one_who_only_looks() {
        let (probe, given) = ReadProbe::new().unwrap();
        let mut given = File::from(given);
        assert!(given.metadata().is_ok());
        assert!(!probe.was_read());
        let mut text = String::new();
        given.read_to_string(&mut text).unwrap();
        assert_eq!(text, "\n");
        assert!(probe.was_read());
    }

    #[test]
    fn stays_unread_when_its_holder_goes() {
        let (probe, given) = ReadProbe::new().unwrap();
        drop(given);
        assert!(!probe.was_read());
    }
}
