//! How things of the host are kept from showing through an upper layer
//! (Documentation/filesystems/overlayfs.rst).

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, XattrFlags, fsetxattr, mknodat, openat, statat, unlinkat,
};

use super::IsolationKind;

/// How a directory is kept from showing the host's content.
#[derive(Clone, Copy, Debug)]
pub(super) enum Opaque {
    /// By this attribute.
    Attribute(&'static str),
    /// By a whiteout for each name: without root, tmpfs takes no attributes before Linux 6.6.
    Whiteouts,
}

impl Opaque {
    pub fn of(kind: IsolationKind, scratch: &OwnedFd) -> Self {
        const USER: &str = "user.overlay.opaque";
        match kind {
            IsolationKind::Root => Opaque::Attribute("trusted.overlay.opaque"),
            IsolationKind::UserNamespace => {
                // The descriptor of a new mount only names it; attributes need an open one.
                let takes = open_dir(scratch.as_fd(), OsStr::new(".")).is_ok_and(|dir| {
                    fsetxattr(&dir, "user.foreshadow", b"y", XattrFlags::empty()).is_ok()
                });
                if takes {
                    Opaque::Attribute(USER)
                } else {
                    Opaque::Whiteouts
                }
            }
        }
    }

    /// Hides what the host has in a directory.
    pub fn make(self, dir: &OwnedFd, host: &Path) -> io::Result<()> {
        match self {
            Opaque::Attribute(name) => Ok(fsetxattr(dir, name, b"y", XattrFlags::empty())?),
            Opaque::Whiteouts => {
                if !host.is_dir() {
                    return Ok(());
                }
                fs::read_dir(host)?
                    .into_iter()
                    .try_for_each(|entry| white_out(dir, &entry?.file_name()))
            }
        }
    }
}

/// Makes way for a directory where a whiteout is.
pub(super) fn remove_whiteout(dir: &OwnedFd, name: &OsStr) {
    let is_whiteout = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::CharacterDevice);
    if is_whiteout {
        // If it stays, making the directory says so.
        let _ = unlinkat(dir, name, AtFlags::empty());
    }
}

/// Makes a name missing in the merged directory
/// (Documentation/filesystems/overlayfs.rst). Anybody may make this one device node.
pub(super) fn white_out(dir: &OwnedFd, name: &OsStr) -> io::Result<()> {
    Ok(mknodat(
        dir,
        name,
        FileType::CharacterDevice,
        Mode::empty(),
        0,
    )?)
}

/// Empties a directory of the scratch file system.
pub(super) fn remove_all_in(dir: &OwnedFd) -> io::Result<()> {
    for entry in rustix::fs::Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        match unlinkat(dir, name, AtFlags::empty()) {
            Err(rustix::io::Errno::ISDIR) => {
                remove_all_in(&open_dir(dir.as_fd(), OsStr::from_bytes(name.to_bytes()))?)?;
                unlinkat(dir, name, AtFlags::REMOVEDIR)?;
            }
            other => other?,
        }
    }
    Ok(())
}

pub(super) fn open_dir(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(parent, name, flags, Mode::empty())?)
}
