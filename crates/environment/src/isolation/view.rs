//! The shadow's own view of the file tree, built by its first process.
//!
//! Everything written lands in one scratch file system (a tmpfs of bounded size): upper layers,
//! `/run`, `/dev/shm`, `/dev`. It is made detached, so that the host's table of mounts never
//! shows it, and it vanishes with its last user however that ends.

use std::ffi::CString;
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Gid, Mode, Timespec, Timestamps, Uid, chownat, fstatfs, mkdirat, utimensat,
};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags, MountFlags, MountPropagationFlags,
    MoveMountFlags, OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_reconfigure,
    fsconfig_set_string, fsmount, fsopen, fspick, mount, mount_change, move_mount, open_tree,
    unmount,
};
use rustix::process::{chdir, pivot_root};

use super::IsolationKind;
use super::devices::{self, HostNodes};
use super::error::{At, Failure, Step};
use super::plan::{Layer, Plan, RUN, SHM, SKELETON, Store, is_within, may_show_directly};
use super::sys;
use super::wire::Order;

/// Where the scratch file system is mounted while the view is built. Nothing of the host's `/dev`
/// is needed by then.
const SCRATCH: &str = "/dev";
/// The directory in it that becomes the root.
const NEW_ROOT: &str = "root";

/// A scratch file system, not yet of bounded size, with a directory for each layer.
pub(super) fn make_scratch(plan: &Plan, kind: IsolationKind) -> Result<OwnedFd, Failure> {
    let scratch = new_tmpfs().at(Step::Scratch)?;
    let make = |path: &Path, mode: u32| {
        mkdirat(&scratch, path, Mode::from_raw_mode(mode))
            // The process's umask must not decide.
            .and_then(|()| {
                rustix::fs::chmodat(&scratch, path, Mode::from_raw_mode(mode), AtFlags::empty())
            })
            .about(Step::Scratch, path.display())
    };
    make(Path::new(NEW_ROOT), 0o755)?;
    make(Path::new(devices::DEV), 0o755)?;
    make(Path::new(RUN), 0o755)?;
    make(Path::new(SHM), 0o1777)?;
    for layer in &plan.layers {
        if let Store::Upper(n) = layer.store {
            let base = PathBuf::from(n.to_string());
            make(&base, 0o755)?;
            make(&base.join("u"), 0o755)?;
            make(&base.join("w"), 0o755)?;
        }
    }
    if kind == IsolationKind::UserNamespace {
        debug_assert_eq!(SKELETON, NEW_ROOT);
        for dir in &plan.directories {
            make(&in_root(dir), 0o755)?;
        }
        for (link, target) in &plan.links {
            rustix::fs::symlinkat(target, &scratch, in_root(link))
                .about(Step::Scratch, link.display())?;
        }
    }
    Ok(scratch)
}

fn new_tmpfs() -> io::Result<OwnedFd> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), "source", "foreshadow")?;
    fsconfig_set_string(context.as_fd(), "mode", "0755")?;
    fsconfig_create(context.as_fd())?;
    Ok(fsmount(
        context.as_fd(),
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV,
    )?)
}

/// Lets the scratch file system grow by `room` bytes from what it holds now.
fn bound_scratch(scratch: BorrowedFd<'_>, room: u64) -> io::Result<()> {
    let now = fstatfs(scratch)?;
    let block = u64::try_from(now.f_bsize).unwrap_or(4096).max(1);
    let used = (now.f_blocks - now.f_bfree).saturating_mul(block);
    // 0 would mean no limit.
    let size = used.saturating_add(room).max(block);
    // Inodes take kernel memory, about 1 KiB each.
    let files = (now.f_files - now.f_ffree) + (room / 1024).max(4096);
    let context = fspick(
        scratch,
        "",
        FsPickFlags::FSPICK_EMPTY_PATH | FsPickFlags::FSPICK_CLOEXEC,
    )?;
    fsconfig_set_string(context.as_fd(), "size", size.to_string())?;
    fsconfig_set_string(context.as_fd(), "nr_inodes", files.to_string())?;
    Ok(fsconfig_reconfigure(context.as_fd())?)
}

/// Nothing mounted or unmounted from here on reaches the host.
pub(super) fn detach_from_host() -> Result<(), Failure> {
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
    .at(Step::Mounts)
}

/// What the view is built from.
pub(super) struct View<'a> {
    pub kind: IsolationKind,
    pub plan: &'a Plan,
    pub order: &'a Order,
    pub scratch: BorrowedFd<'a>,
    /// Bytes that the shadow may write.
    pub room: u64,
}

impl View<'_> {
    /// Builds the view; the directory that is to become the root.
    pub fn build(&self) -> Result<PathBuf, Failure> {
        bound_scratch(self.scratch, self.room).at(Step::Scratch)?;
        let nodes = HostNodes::pick(self.kind)?;
        move_mount(
            self.scratch,
            "",
            CWD,
            SCRATCH,
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
        )
        .at(Step::Scratch)?;
        let root = scratch(NEW_ROOT);
        if self.kind == IsolationKind::UserNamespace {
            bind(&root, &root, 0, 0).about(Step::Root, root.display())?;
        }
        for layer in &self.plan.layers {
            self.mount_layer(layer)?;
        }
        self.show_files();
        devices::make_dev(self.kind, &root, nodes)?;
        devices::mount_proc(&root)?;
        devices::mount_sys(&root)?;
        self.finish_plain_directories();
        Ok(root)
    }

    fn mount_layer(&self, layer: &Layer) -> Result<(), Failure> {
        if is_within(&layer.at, &self.order.replaced) {
            return Ok(());
        }
        let target = under_root(&layer.at);
        match layer.store {
            Store::Fresh(SKELETON) | Store::Fresh(SHM) => Ok(()),
            Store::Fresh(name) => {
                make_missing(&target);
                bind(&scratch(name), &target, 0, 0).about(Step::Fresh, layer.at.display())
            }
            Store::Upper(n) if self.order.replaced.contains(&layer.at) => {
                let upper = scratch(&n.to_string()).join("u");
                self.like_the_host(&layer.at, &upper);
                bind(&upper, &target, 0, 0).about(Step::Overlay, layer.at.display())
            }
            Store::Upper(n) => {
                let number = scratch(&n.to_string());
                self.like_the_host(&layer.at, &number.join("u"));
                if layer.at.starts_with("/run") {
                    let _ = fs::create_dir_all(&target);
                }
                match self.mount_overlay(layer, &number, &target) {
                    Ok(()) => Ok(()),
                    Err(error) => self.without_overlay(layer, &target, error),
                }
            }
        }
    }

    /// The plain directories between overlays: written to until here.
    fn finish_plain_directories(&self) {
        if self.kind != IsolationKind::UserNamespace {
            return;
        }
        let all = [PathBuf::from("/")];
        for dir in all.iter().chain(&self.plan.directories) {
            let is_layer = |l: &Layer| l.at == *dir && !matches!(l.store, Store::Fresh(SKELETON));
            let replaced = &self.order.replaced;
            if !self.plan.layers.iter().any(is_layer)
                && !replaced.contains(dir)
                && !is_within(dir, replaced)
            {
                self.like_the_host(dir, &under_root(dir));
            }
        }
    }

    /// A merged directory shows the upper's own attributes: make them the lower's.
    fn like_the_host(&self, host: &Path, upper: &Path) {
        let path = host;
        let Ok(host) = fs::metadata(path) else {
            return;
        };
        let mut mode = host.mode() & 0o7777;
        if self.kind == IsolationKind::UserNamespace && !may_write(path) {
            // All that is written belongs to the user, who must not gain rights by it.
            mode &= !0o222;
        }
        let (owner, group) = (Uid::from_raw(host.uid()), Gid::from_raw(host.gid()));
        // In a user namespace only the user's own ids can be given.
        let _ = chownat(CWD, upper, Some(owner), Some(group), AtFlags::empty());
        let _ = fs::set_permissions(upper, Permissions::from_mode(mode));
        let _ = utimensat(CWD, upper, &times(&host), AtFlags::empty());
    }

    fn mount_overlay(&self, layer: &Layer, number: &Path, target: &Path) -> io::Result<()> {
        // The lower directory as `.`: its name may hold what options cannot.
        chdir(&layer.at)?;
        let mut flags = MountFlags::NODEV | MountFlags::NOSUID;
        if layer.read_only {
            flags |= MountFlags::RDONLY;
        }
        let number = number.display();
        let base = format!("lowerdir=.,upperdir={number}/u,workdir={number}/w");
        let extra: &[&str] = match self.kind {
            // Attributes of large files change, and directories move, without a copy.
            IsolationKind::Root => &[",metacopy=on,redirect_dir=on,xino=auto", ""],
            IsolationKind::UserNamespace => &[",userxattr"],
        };
        let mut last = io::Error::from_raw_os_error(libc::EINVAL);
        for extra in extra {
            let options = CString::new(format!("{base}{extra}"))?;
            match mount(
                "overlay",
                target,
                "overlay",
                flags,
                Some(options.as_c_str()),
            ) {
                Ok(()) => return Ok(()),
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }

    /// A mount that no overlay can lie on: shown read-only where that is safe, else left out. The
    /// root, or one that holds stand-ins, must not be left out.
    fn without_overlay(
        &self,
        layer: &Layer,
        target: &Path,
        error: io::Error,
    ) -> Result<(), Failure> {
        let needed = layer.at == Path::new("/")
            || layer.at == Path::new("/usr")
            || self.order.placed.iter().any(|p| {
                self.plan
                    .locate(p, &self.order.replaced)
                    .is_some_and(|(l, _)| l.at == layer.at)
            });
        if needed {
            return Err(Failure::new(
                Step::Overlay,
                layer.at.display().to_string(),
                error,
            ));
        }
        if layer.kind.as_deref().is_some_and(may_show_directly) {
            let _ = self.show(&layer.at, target);
        }
        Ok(())
    }

    /// Single files that are mounts of their own. One that cannot be shown is missing.
    fn show_files(&self) {
        for file in &self.plan.files {
            if self.order.placed.contains(file) || is_within(file, &self.order.replaced) {
                continue;
            }
            let target = under_root(file);
            if self.kind == IsolationKind::UserNamespace && !target.exists() {
                let _ = fs::write(&target, b"");
            }
            let _ = self.show(file, &target);
        }
    }

    /// Shows something of the host as it is, to be read only.
    fn show(&self, from: &Path, to: &Path) -> io::Result<()> {
        let set = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
        match self.kind {
            IsolationKind::Root => {
                let set = set | libc::MOUNT_ATTR_NOATIME;
                bind(from, to, set, libc::MOUNT_ATTR__ATIME)
            }
            // Whether reading leaves a time behind is not the user's to change.
            IsolationKind::UserNamespace => bind(from, to, set, 0),
        }
    }

    /// A fanotify group that sees each file opened from here on in the layers of the view; `None`
    /// where the kernel gives none (there is a limit of groups for each user).
    pub fn watch_opens(&self) -> Option<OwnedFd> {
        let group = sys::fanotify_group().ok()?;
        for layer in &self.plan.layers {
            if matches!(layer.store, Store::Fresh(_)) || is_within(&layer.at, &self.order.replaced)
            {
                continue;
            }
            let target = under_root(&layer.at);
            let path = CString::new(target.as_os_str().as_bytes()).ok()?;
            let watched = sys::fanotify_watch_opens(group.as_fd(), &path);
            // Others may be missing: layers that were left out.
            if watched.is_err() && layer.at == Path::new("/") {
                return None;
            }
        }
        Some(group)
    }
}

/// A path of the scratch file system while it is mounted.
fn scratch(name: &str) -> PathBuf {
    Path::new(SCRATCH).join(name)
}

fn in_root(path: &Path) -> PathBuf {
    Path::new(NEW_ROOT).join(path.strip_prefix("/").unwrap_or(path))
}

fn under_root(path: &Path) -> PathBuf {
    Path::new(SCRATCH).join(in_root(path))
}

fn may_write(path: &Path) -> bool {
    rustix::fs::accessat(CWD, path, rustix::fs::Access::WRITE_OK, AtFlags::EACCESS).is_ok()
}

fn times(host: &fs::Metadata) -> Timestamps {
    let stamp = |seconds, nanos| Timespec {
        tv_sec: seconds,
        tv_nsec: nanos,
    };
    Timestamps {
        last_access: stamp(host.atime(), host.atime_nsec()),
        last_modification: stamp(host.mtime(), host.mtime_nsec()),
    }
}

/// Makes a directory where the host has none. If that fails, the mount on it says so.
pub(super) fn make_missing(target: &Path) {
    if fs::symlink_metadata(target).is_err() {
        let _ = fs::create_dir_all(target);
    }
}

/// Makes a symbolic link; one that exists stays.
pub(super) fn link(target: &str, at: &Path) -> io::Result<()> {
    match symlink(target, at) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Mounts a file or directory, alone, on another, with attributes changed before it is seen.
pub(super) fn bind(from: &Path, to: &Path, set: u64, clear: u64) -> io::Result<()> {
    let tree = clone_mount(from, set, clear)?;
    place_mount(tree.as_fd(), to)
}

/// A detached copy of a mount.
pub(super) fn clone_mount(from: &Path, set: u64, clear: u64) -> io::Result<OwnedFd> {
    let tree = open_tree(
        CWD,
        from,
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC,
    )?;
    if set != 0 || clear != 0 {
        sys::mount_attributes(tree.as_fd(), set, clear)?;
    }
    Ok(tree)
}

/// Mounts a detached mount.
pub(super) fn place_mount(tree: BorrowedFd<'_>, to: &Path) -> io::Result<()> {
    Ok(move_mount(
        tree,
        "",
        CWD,
        to,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )?)
}

/// Makes a directory this process's root, and takes the old one away.
pub(super) fn change_root(root: &Path) -> io::Result<()> {
    chdir(root)?;
    // The old root lands on top of the new one, where it can be taken away at once.
    pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    Ok(chdir("/")?)
}
