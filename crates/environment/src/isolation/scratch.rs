//! Putting stand-ins into the upper layers before anything is mounted.
//!
//! A stand-in that lies in the upper layer can be appended to, renamed, unlinked and linked like
//! the file it stands for, and none of it reaches the host. (A file mounted over its path does not
//! have these properties: appends reach it, and it cannot be renamed.)

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foreshadow_quantity::Bytes;
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, chmodat, chownat, fstatfs,
    mkdirat, openat, statat, unlinkat, utimensat,
};

use super::IsolationKind;
use super::error::IsolationError;
use super::plan::{Layer, Plan, Store};
use super::whiteout::{Opaque, open_dir, remove_all_in, remove_whiteout, white_out};

/// The scratch file system as the owner of a shadow sees it before the start.
#[derive(Debug)]
pub(super) struct Scratch {
    dir: OwnedFd,
    kind: IsolationKind,
    opaque: Opaque,
    placed: Mutex<Placed>,
}

/// What was placed, and what remains to be made like the host's.
#[derive(Debug, Default)]
pub(super) struct Placed {
    /// Directories replaced as a whole.
    pub replaced: Vec<PathBuf>,
    /// All stand-ins and whiteouts.
    pub paths: Vec<PathBuf>,
    /// Attributes to give at the end: scratch path and the host's.
    finish: Vec<(PathBuf, Attributes)>,
}

#[derive(Clone, Copy, Debug)]
struct Attributes {
    mode: u32,
    owner: u32,
    group: u32,
    accessed: (i64, i64),
    modified: (i64, i64),
}

/// Where a path's stand-in goes.
struct Spot {
    /// The path on the host, links resolved.
    host: PathBuf,
    /// The directory that holds it, in the scratch file system, and open.
    parent: PathBuf,
    open: OwnedFd,
    name: OsString,
    /// Whether the host's content shows through unless hidden.
    merged: bool,
}

impl Scratch {
    pub fn new(dir: OwnedFd, kind: IsolationKind) -> Self {
        Scratch {
            opaque: Opaque::of(kind, &dir),
            dir,
            kind,
            placed: Mutex::default(),
        }
    }

    pub fn into_dir(self) -> OwnedFd {
        self.dir
    }

    fn placed(&self) -> MutexGuard<'_, Placed> {
        // Every change is complete in itself: a panic elsewhere leaves nothing half done.
        self.placed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new, empty file that stands for `path`.
    pub fn place(&self, plan: &Plan, path: &Path) -> Result<File, IsolationError> {
        let failed = |source: io::Error| place_error(path, source);
        let spot = self.spot(plan, path)?;
        let host = fs::metadata(&spot.host).ok();
        if host.as_ref().is_some_and(fs::Metadata::is_dir) {
            return Err(unplaceable(path, "it is a directory"));
        }
        // Another stand-in or a whiteout may be there.
        match unlinkat(&spot.open, &spot.name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(failed(error.into())),
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(&spot.open, &spot.name, flags, Mode::from_raw_mode(0o600))
            .map_err(|e| failed(e.into()))?;
        let mut placed = self.placed();
        let attributes = host
            .as_ref()
            .map_or_else(Attributes::of_new_file, Attributes::of);
        placed
            .finish
            .push((spot.parent.join(&spot.name), attributes));
        placed.paths.push(spot.host);
        Ok(File::from(file))
    }

    /// An empty directory that stands for `path` and hides all that the host has there.
    pub fn place_dir(&self, plan: &Plan, path: &Path) -> Result<(), IsolationError> {
        let failed = |source: io::Error| place_error(path, source);
        // A mount of its own: its upper layer is then shown alone.
        let host = resolve(path)?;
        let layer = {
            let placed = self.placed();
            plan.locate(&host, &placed.replaced)
                .map(|(layer, rest)| (layer.store, rest.as_os_str().is_empty()))
        };
        if let Some((store, true)) = layer {
            let mut placed = self.placed();
            if matches!(store, Store::Upper(_)) {
                placed.replaced.push(host.clone());
            }
            placed.paths.push(host);
            return Ok(());
        }
        let spot = self.spot(plan, path)?;
        let mut found = fs::metadata(&spot.host).ok();
        if found.as_ref().is_some_and(|m| !m.is_dir()) {
            found = None;
        }
        remove_whiteout(&spot.open, &spot.name);
        let made = self.make_dir(&spot.open, &spot.name, path)?;
        let open = open_dir(spot.open.as_fd(), &spot.name).map_err(failed)?;
        // What was made there for mounts, or placed before.
        remove_all_in(&open).map_err(failed)?;
        if spot.merged {
            self.opaque.make(&open, &spot.host).map_err(failed)?;
        }
        let mut placed = self.placed();
        if made {
            let attributes = found
                .as_ref()
                .map_or_else(Attributes::of_new_dir, Attributes::of);
            placed
                .finish
                .push((spot.parent.join(&spot.name), attributes));
        }
        placed.replaced.push(spot.host.clone());
        placed.paths.push(spot.host);
        Ok(())
    }

    /// A directory that [`Scratch::place_dir`] made, open.
    pub fn open_placed(&self, plan: &Plan, path: &Path) -> Result<OwnedFd, IsolationError> {
        let host = resolve(path)?;
        let replaced = self.placed().replaced.clone();
        let (layer, rest) = plan
            .locate(&host, &replaced)
            .ok_or_else(|| unplaceable(path, "the shadow has a /proc, /sys and /dev of its own"))?;
        let at = layer.store.path().join(rest);
        open_dir(self.dir.as_fd(), at.as_os_str()).map_err(|e| place_error(path, e))
    }

    /// Makes `path` missing.
    pub fn hide(&self, plan: &Plan, path: &Path) -> Result<(), IsolationError> {
        let spot = self.spot(plan, path)?;
        let failed = |source: rustix::io::Errno| place_error(path, source.into());
        match unlinkat(&spot.open, &spot.name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(failed(error)),
        }
        if spot.merged {
            white_out(&spot.open, &spot.name).map_err(|e| place_error(path, e))?;
        }
        self.placed().paths.push(spot.host);
        Ok(())
    }

    /// Gives everything placed the owners, modes and times of what it stands for; what was placed.
    pub fn finish(&self) -> Result<Placed, IsolationError> {
        let placed = std::mem::take(&mut *self.placed());
        // Inner before outer: giving attributes to a child changes no parent, but a parent without
        // write permission bars the way.
        for (path, attributes) in placed.finish.iter().rev() {
            self.give(path, *attributes)
                .map_err(|e| place_error(path, e))?;
        }
        Ok(placed)
    }

    fn give(&self, path: &Path, attributes: Attributes) -> io::Result<()> {
        let exists = statat(&self.dir, path, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|s| FileType::from_raw_mode(s.st_mode) != FileType::CharacterDevice);
        if !exists {
            // Placed first, and hidden or replaced later.
            return Ok(());
        }
        let mut mode = attributes.mode;
        if self.kind == IsolationKind::Root {
            let (owner, group) = (
                Uid::from_raw(attributes.owner),
                Gid::from_raw(attributes.group),
            );
            chownat(&self.dir, path, Some(owner), Some(group), AtFlags::empty())?;
        } else {
            mode = as_owner(attributes);
        }
        chmodat(&self.dir, path, Mode::from_raw_mode(mode), AtFlags::empty())?;
        let stamp = |(seconds, nanos)| Timespec {
            tv_sec: seconds,
            tv_nsec: nanos,
        };
        let times = Timestamps {
            last_access: stamp(attributes.accessed),
            last_modification: stamp(attributes.modified),
        };
        Ok(utimensat(&self.dir, path, &times, AtFlags::empty())?)
    }

    /// Lets the command write into a directory that belongs to others but that it may write to.
    ///
    /// Without root, the kernel cannot copy such a directory into the upper layer, for its owner
    /// has no number in the user namespace; but one that is there already it takes. Where this
    /// fails, the command meets EOVERFLOW when it writes there, and no more is lost.
    pub fn adopt(&self, plan: &Plan, dir: &Path) {
        let Ok(host) = fs::canonicalize(dir) else {
            return;
        };
        if self.kind != IsolationKind::UserNamespace || !host.is_dir() {
            return;
        }
        let replaced = self.placed().replaced.clone();
        // What replaces a directory is for the owner to say.
        let ours = replaced.iter().any(|r| host.starts_with(r));
        if let Some((layer, rest)) = plan.locate(&host, &replaced)
            && !layer.read_only
            && !ours
        {
            let _ = self.open_chain(layer, rest, dir);
        }
    }

    /// Finds, and makes, the directory that holds the stand-in of `path`.
    fn spot(&self, plan: &Plan, path: &Path) -> Result<Spot, IsolationError> {
        let host = resolve(path)?;
        let replaced = self.placed().replaced.clone();
        let (layer, rest) = plan
            .locate(&host, &replaced)
            .ok_or_else(|| unplaceable(path, "the shadow has a /proc, /sys and /dev of its own"))?;
        if layer.read_only {
            return Err(unplaceable(path, "its file system is read-only"));
        }
        let name = rest
            .file_name()
            .ok_or_else(|| unplaceable(path, "it is the root of a file system"))?
            .to_os_string();
        let dir = rest.parent().unwrap_or(Path::new(""));
        let spot = self.open_chain(layer, dir, path)?;
        Ok(Spot { host, name, ..spot })
    }

    /// Opens a directory of a layer, after making it and those above it like the host's.
    fn open_chain(&self, layer: &Layer, dir: &Path, path: &Path) -> Result<Spot, IsolationError> {
        let replaced = self.placed().replaced.clone();
        let mut at = layer.at.clone();
        let mut parent = layer.store.path();
        let mut open =
            open_dir(self.dir.as_fd(), parent.as_os_str()).map_err(|e| place_error(path, e))?;
        for part in dir.components() {
            let Component::Normal(part) = part else {
                continue;
            };
            at.push(part);
            parent.push(part);
            // An opaque directory above would have hidden this too; whiteouts do not.
            let inside = matches!(self.opaque, Opaque::Whiteouts)
                && replaced.iter().any(|r| at.starts_with(r) && at != *r)
                && self.shows_host(layer, &at, &replaced);
            if inside {
                remove_whiteout(&open, part);
            }
            let made = self.make_dir(&open, part, path)?;
            if made && inside {
                open_dir(open.as_fd(), part)
                    .and_then(|dir| self.opaque.make(&dir, &at))
                    .map_err(|e| place_error(path, e))?;
            }
            if made {
                let attributes = fs::metadata(&at)
                    .ok()
                    .as_ref()
                    .map_or_else(Attributes::of_new_dir, Attributes::of);
                self.placed().finish.push((parent.clone(), attributes));
            }
            open = open_dir(open.as_fd(), part).map_err(|e| place_error(path, e))?;
        }
        Ok(Spot {
            parent,
            open,
            name: OsString::new(),
            merged: self.shows_host(layer, &at, &replaced),
            host: at,
        })
    }

    /// Whether the host's content of a directory shows through the upper layer.
    fn shows_host(&self, layer: &Layer, dir: &Path, replaced: &[PathBuf]) -> bool {
        let hidden = match self.opaque {
            Opaque::Attribute(_) => replaced
                .iter()
                .any(|r| r.starts_with(&layer.at) && dir.starts_with(r)),
            // Each directory hides for itself alone.
            Opaque::Whiteouts => false,
        };
        matches!(layer.store, Store::Upper(_)) && !replaced.contains(&layer.at) && !hidden
    }

    /// Makes a directory unless it is there; whether it was made.
    fn make_dir(
        &self,
        parent: &OwnedFd,
        name: &OsStr,
        path: &Path,
    ) -> Result<bool, IsolationError> {
        match mkdirat(parent, name, Mode::from_raw_mode(0o700)) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::EXIST) => Ok(false),
            Err(error) => Err(place_error(path, error.into())),
        }
    }
}

impl Attributes {
    fn of(host: &fs::Metadata) -> Self {
        Attributes {
            mode: host.mode() & 0o7777,
            owner: host.uid(),
            group: host.gid(),
            accessed: (host.atime(), host.atime_nsec()),
            modified: (host.mtime(), host.mtime_nsec()),
        }
    }

    fn of_new_file() -> Self {
        Attributes::new(0o644)
    }

    fn of_new_dir() -> Self {
        Attributes::new(0o755)
    }

    /// Of something that the host does not have: ours, made now.
    fn new(mode: u32) -> Self {
        let now = (0, rustix::fs::UTIME_NOW);
        Attributes {
            mode,
            owner: rustix::process::geteuid().as_raw(),
            group: rustix::process::getegid().as_raw(),
            accessed: now,
            modified: now,
        }
    }
}

/// The mode that gives the user, who owns all stand-ins without root, the rights that the host
/// gives them on the original.
fn as_owner(attributes: Attributes) -> u32 {
    let me = rustix::process::geteuid().as_raw();
    let mode = attributes.mode & 0o777;
    if attributes.owner == me {
        return mode;
    }
    let mine = rustix::process::getgroups().unwrap_or_default();
    let in_group = attributes.group == rustix::process::getegid().as_raw()
        || mine.iter().any(|g| g.as_raw() == attributes.group);
    let rights = if in_group { mode >> 3 & 7 } else { mode & 7 };
    (mode & 0o077) | rights << 6
}

/// The path with links resolved as far as it exists on the host.
fn resolve(path: &Path) -> Result<PathBuf, IsolationError> {
    if !path.is_absolute() {
        return Err(unplaceable(path, "the path is not absolute"));
    }
    let mut missing: Vec<&OsStr> = Vec::new();
    let mut existing = path;
    loop {
        match fs::canonicalize(existing) {
            Ok(mut resolved) => {
                resolved.extend(missing.iter().rev());
                return Ok(resolved);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (Some(parent), Some(name)) = (existing.parent(), existing.file_name()) else {
                    return Err(unplaceable(path, "it ends in `..`"));
                };
                missing.push(name);
                existing = parent;
            }
            Err(error) => return Err(place_error(path, error)),
        }
    }
}

fn place_error(path: &Path, source: io::Error) -> IsolationError {
    IsolationError::Place {
        path: path.to_path_buf(),
        source,
    }
}

fn unplaceable(path: &Path, reason: &str) -> IsolationError {
    IsolationError::Unplaceable {
        path: path.to_path_buf(),
        reason: reason.to_string(),
    }
}

/// What the scratch file system holds, and whether it is full (of bytes or of files).
pub(super) fn used_and_full(scratch: BorrowedFd<'_>) -> io::Result<(Bytes, bool)> {
    let now = fstatfs(scratch)?;
    let block = u64::try_from(now.f_bsize).unwrap_or(4096).max(1);
    let used = Bytes::new((now.f_blocks - now.f_bfree).saturating_mul(block));
    let full = now.f_bfree == 0 || now.f_ffree == 0;
    // A tmpfs without a limit says 0 of 0.
    Ok((used, full && now.f_blocks > 0))
}
