//! Which files a shadow opened (fanotify(7)).

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::sys::{self, Opened};

/// The names of opened files so far, in the order of their first opening.
#[derive(Debug)]
pub(super) struct Opens {
    group: OwnedFd,
    seen: HashSet<PathBuf>,
    order: Vec<PathBuf>,
    lost: bool,
}

impl Opens {
    pub fn new(group: OwnedFd) -> Self {
        Opens {
            group,
            seen: HashSet::new(),
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
        let Opened::File(file) = event else {
            self.lost = true;
            return;
        };
        let Ok(path) = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())) else {
            return;
        };
        if path.is_absolute() && path != Path::new("/") && self.seen.insert(path.clone()) {
            self.order.push(path);
        }
    }

    pub fn paths(&self) -> &[PathBuf] {
        &self.order
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
