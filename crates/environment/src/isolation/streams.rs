//! Which descriptors a command in a shadow may have as its standard streams.
//!
//! A descriptor is a way out: through `/proc/self/fd` a file opened for reading can be opened
//! again for writing, a directory leads to all beneath it, a terminal takes injected input, and
//! the position of a shared open file is the host's too. So files for reading are opened afresh
//! through a read-only mount of their own, terminals and null devices become the shadow's
//! `/dev/null`, and what cannot be made safe is refused.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, OFlags, SeekFrom, fcntl_getfl, fstat, major, minor, seek};

use super::view::clone_mount;

/// The three streams; `None` is the shadow's `/dev/null`.
pub(super) type Admitted = [Option<OwnedFd>; 3];

/// A stream that was refused.
pub(super) struct Refused {
    pub stream: u8,
    pub reason: String,
}

/// Sorts the descriptors given (those marked, in order). Run before the root changes.
pub(super) fn admit(marked: &[bool; 3], given: Vec<OwnedFd>) -> Result<Admitted, Refused> {
    let mut given = given.into_iter();
    let mut admitted: Admitted = [None, None, None];
    for (number, _) in marked.iter().enumerate().filter(|(_, marked)| **marked) {
        let refuse = |reason: String| Refused {
            stream: u8::try_from(number).unwrap_or(0),
            reason,
        };
        let fd = given
            .next()
            .ok_or_else(|| refuse("it did not arrive".into()))?;
        admitted[number] = admit_one(fd).map_err(refuse)?;
    }
    Ok(admitted)
}

fn admit_one(fd: OwnedFd) -> Result<Option<OwnedFd>, String> {
    let flags = fcntl_getfl(&fd).map_err(|e| format!("it is not open ({e})"))?;
    if flags.contains(OFlags::PATH) {
        return Err("it only names a file (O_PATH)".into());
    }
    let stat = fstat(&fd).map_err(|e| format!("its kind cannot be told ({e})"))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Fifo | FileType::Socket => Ok(Some(fd)),
        FileType::RegularFile => {
            let access = flags & OFlags::RWMODE;
            if access == OFlags::RDONLY {
                reopen_read_only(fd.as_fd()).map(Some)
            } else {
                Ok(Some(fd))
            }
        }
        FileType::CharacterDevice => {
            let device = (major(stat.st_rdev), minor(stat.st_rdev));
            if rustix::termios::isatty(&fd) || device == (1, 3) {
                Ok(None)
            } else {
                Err(format!(
                    "it is the device {}:{}; give a file, a pipe or /dev/null",
                    device.0, device.1
                ))
            }
        }
        FileType::BlockDevice => Err("it is a block device; give a file or a pipe".into()),
        FileType::Directory => Err("it is a directory; give a file or a pipe".into()),
        _ => {
            // Without a kind: memory files of the kernel (eventfd and the like).
            Err("it is neither a file, a pipe nor a socket".into())
        }
    }
}

/// The same file at the same position, through a mount that no one can write to.
fn reopen_read_only(fd: BorrowedFd<'_>) -> Result<OwnedFd, String> {
    let number = fd.as_raw_fd();
    let stat = |fd: BorrowedFd<'_>| fstat(fd).map(|s| (s.st_dev, s.st_ino, s.st_nlink));
    let before = stat(fd).map_err(|e| e.to_string())?;
    if before.2 == 0 {
        // Deleted, or in memory only: no path leads to it, but its descriptor would still be
        // the host's. A copy in memory has no host behind it.
        return copy_to_memory(fd).map_err(|e| format!("it cannot be copied ({e})"));
    }
    let reopen = || -> io::Result<OwnedFd> {
        let path = fs::read_link(format!("/proc/self/fd/{number}"))?;
        let set = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
        let tree = clone_mount(&path, set, 0)?;
        let tree = format!("/proc/self/fd/{}", tree.as_raw_fd());
        let again: OwnedFd = fs::File::open(Path::new(&tree))?.into();
        if stat(again.as_fd())? != before {
            return Err(io::Error::from_raw_os_error(libc::ESTALE));
        }
        let position = seek(fd, SeekFrom::Current(0))?;
        seek(&again, SeekFrom::Start(position))?;
        Ok(again)
    };
    reopen().map_err(|e| {
        format!("its file cannot be opened again read-only ({e}); give it by a pipe instead")
    })
}

/// Longest deleted file that is copied.
const MOST_COPIED: u64 = 256 << 20;

fn copy_to_memory(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let memory = rustix::fs::memfd_create("stdin", rustix::fs::MemfdFlags::CLOEXEC)?;
    let position = seek(fd, SeekFrom::Current(0))?;
    let mut buffer = vec![0; 1 << 16];
    let mut at = position;
    loop {
        let n = rustix::io::pread(fd, &mut buffer, at)?;
        if n == 0 {
            break;
        }
        at += n as u64;
        if at - position > MOST_COPIED {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        let mut rest = &buffer[..n];
        while !rest.is_empty() {
            let written = rustix::io::write(&memory, rest)?;
            rest = &rest[written..];
        }
    }
    seek(&memory, SeekFrom::Start(0))?;
    Ok(memory)
}
