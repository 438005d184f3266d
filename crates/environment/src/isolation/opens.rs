//! Which files a shadow opened (fanotify(7)).

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::sys::{self, Opened};

/// What was done with a file first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// It was opened, and perhaps read.
    Opened,
    /// It was opened by someone who could only read it.
    Read,
    /// It was changed, before anybody closed it after reading only.
    Written,
}

/// The names of opened files so far, in the order of their first opening.
#[derive(Debug)]
pub(super) struct Opens {
    group: OwnedFd,
    seen: HashMap<PathBuf, Use>,
    order: Vec<PathBuf>,
    lost: bool,
}

impl Opens {
    pub fn new(group: OwnedFd) -> Self {
        Opens {
            group,
            seen: HashMap::new(),
            order: Vec::new(),
            lost: false,
        }
    }

    /// Takes in what happened since the last call. Must run while the shadow's first process
    /// lives: names of files need its mounts.
    pub fn drain(&mut self) {
        loop {
            match sys::fanotify_read(self.group.as_fd()) {
                Ok(events) if events.is_empty() => return,
                Ok(events) => events.into_iter().for_each(|event| self.note(event)),
                // One file that cannot be opened for us (a socket, a pipe): the rest goes on.
                Err(error) if is_of_one_file(&error) => {}
                Err(_) => {
                    self.lost = true;
                    return;
                }
            }
        }
    }

    fn note(&mut self, event: Opened) {
        let Opened::File {
            file,
            changed,
            read,
        } = event
        else {
            self.lost = true;
            return;
        };
        let Ok(path) = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())) else {
            return;
        };
        if !path.is_absolute() || path == Path::new("/") {
            return;
        }
        let known = self.seen.entry(path).or_insert_with_key(|path| {
            self.order.push(path.clone());
            Use::Opened
        });
        if *known == Use::Opened {
            *known = match (read, changed) {
                (true, _) => Use::Read,
                (false, true) => Use::Written,
                (false, false) => Use::Opened,
            };
        }
    }

    pub fn paths(&self) -> &[PathBuf] {
        &self.order
    }

    /// Those that were written rather than read.
    pub fn written(&self) -> impl Iterator<Item = &PathBuf> {
        self.order
            .iter()
            .filter(|path| self.seen.get(*path) == Some(&Use::Written))
    }

    pub fn lost(&self) -> bool {
        self.lost
    }
}

impl AsFd for Opens {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.group.as_fd()
    }
}

fn is_of_one_file(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ENXIO
                | libc::EACCES
                | libc::EPERM
                | libc::ENOENT
                | libc::ESTALE
                | libc::ENODEV
                | libc::ETXTBSY
                | libc::EOVERFLOW
        )
    )
}
