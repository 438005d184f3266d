//! Which parts of the host's file tree a shadow sees through which layer, decided before anything
//! is mounted. Pure but for listing directories in the unprivileged case.
//!
//! Problem: an overlay shows one mount only, never those beneath it, and in a user namespace the
//! kernel refuses an overlay over a directory that has mounts beneath it (they are locked).
//! Approach: as root, one overlay for `/` and one for each mount beneath. Unprivileged, a plain
//! directory for `/` and for every directory with mounts beneath it, and an overlay for each of
//! their other entries.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::IsolationKind;
use super::mounts::{Mount, visible};

/// Directories that are never the host's: the kernel's own file systems, and the place of sockets.
const NEVER: [&str; 4] = ["/proc", "/sys", "/dev", "/run"];

/// A directory of the shadow and where what is written there goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layer {
    /// The directory, as a path of the host.
    pub at: PathBuf,
    pub store: Store,
    /// Read-only on the host, and so in the shadow.
    pub read_only: bool,
    /// The file system below, where it is a mount of its own.
    pub kind: Option<String>,
}

/// A directory of the scratch file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Store {
    /// The upper layer of the overlay of this number.
    Upper(usize),
    /// A directory that starts empty and hides the host's.
    Fresh(&'static str),
}

impl Store {
    /// The path relative to the scratch file system.
    pub fn path(self) -> PathBuf {
        match self {
            Store::Upper(n) => PathBuf::from(format!("{n}/u")),
            Store::Fresh(name) => PathBuf::from(name),
        }
    }
}

/// The name of the plain root directory in the scratch file system (unprivileged).
pub(super) const SKELETON: &str = "root";
/// The name of `/run`.
pub(super) const RUN: &str = "run";
/// The name of `/dev/shm`.
pub(super) const SHM: &str = "shm";

/// The layers, outer before inner, and what else the plain root directory holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub layers: Vec<Layer>,
    /// Directories to make in the plain root.
    pub directories: Vec<PathBuf>,
    /// Symbolic links to make in the plain root, and their targets.
    pub links: Vec<(PathBuf, PathBuf)>,
    /// Single files to show read-only.
    pub files: Vec<PathBuf>,
}

impl Plan {
    /// The plan for the mounts of this table.
    pub fn new(kind: IsolationKind, mounts: &[Mount]) -> io::Result<Plan> {
        let mut plan = Plan::default();
        match kind {
            IsolationKind::Root => plan.overlay_each_mount(mounts),
            IsolationKind::UserNamespace => plan.overlay_between_mounts(mounts)?,
        }
        plan.fresh("/run", RUN);
        plan.fresh("/dev/shm", SHM);
        // Where it is not the usual link to /run.
        if fs::symlink_metadata("/var/run").is_ok_and(|m| m.is_dir()) {
            plan.fresh("/var/run", RUN);
        }
        plan.layers.sort_by_key(|l| l.at.components().count());
        Ok(plan)
    }

    fn fresh(&mut self, at: &str, name: &'static str) {
        self.layers.push(Layer {
            at: at.into(),
            store: Store::Fresh(name),
            read_only: false,
            kind: None,
        });
    }

    fn overlay(&mut self, at: &Path, mount: Option<&Mount>) {
        let number = self
            .layers
            .iter()
            .filter(|l| matches!(l.store, Store::Upper(_)))
            .count();
        self.layers.push(Layer {
            at: at.into(),
            store: Store::Upper(number),
            read_only: mount.is_some_and(|m| m.read_only && at != Path::new("/")),
            kind: mount.map(|m| m.kind.clone()),
        });
    }

    fn overlay_each_mount(&mut self, mounts: &[Mount]) {
        for mount in visible(mounts) {
            if !is_shown(mount) {
                continue;
            }
            // Of a single file, as containers do with /etc/resolv.conf; sockets stay away.
            match fs::symlink_metadata(&mount.point) {
                Ok(m) if m.is_file() => self.files.push(mount.point.clone()),
                Ok(m) if !m.is_dir() => {}
                _ => self.overlay(&mount.point, Some(mount)),
            }
        }
    }

    fn overlay_between_mounts(&mut self, mounts: &[Mount]) -> io::Result<()> {
        let busy: BTreeSet<&Path> = mounts
            .iter()
            .flat_map(|m| m.point.ancestors().skip(1))
            .collect();
        self.layers.push(Layer {
            at: "/".into(),
            store: Store::Fresh(SKELETON),
            read_only: false,
            kind: None,
        });
        let shown = visible(mounts);
        self.split(Path::new("/"), &busy, &shown)
    }

    fn split(&mut self, dir: &Path, busy: &BTreeSet<&Path>, mounts: &[&Mount]) -> io::Result<()> {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            // What the user may not list here, the shadow need not show.
            Err(_) if dir != Path::new("/") => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let path = entry?.path();
            if NEVER.iter().any(|never| path == Path::new(never)) {
                continue;
            }
            let mount = mounts.iter().find(|m| m.point == path);
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                continue;
            };
            let kind = metadata.file_type();
            if kind.is_symlink() {
                if let Ok(target) = fs::read_link(&path) {
                    self.links.push((path, target));
                }
            } else if kind.is_file() {
                self.files.push(path);
            } else if kind.is_dir() {
                self.directories.push(path.clone());
                if mount.is_some_and(|m| !is_shown(m)) {
                    continue;
                }
                if busy.contains(path.as_path()) {
                    self.split(&path, busy, mounts)?;
                } else {
                    self.overlay(&path, mount.copied());
                }
            }
        }
        Ok(())
    }

    /// The innermost layer that holds a path, and the path relative to it. Layers inside a
    /// replaced directory do not count.
    pub fn locate<'p>(&self, path: &'p Path, replaced: &[PathBuf]) -> Option<(&Layer, &'p Path)> {
        let layer = self
            .layers
            .iter()
            .rev()
            .find(|l| path.starts_with(&l.at) && !is_within(&l.at, replaced))?;
        // /dev itself, /proc and /sys are made anew whatever a layer holds.
        let kernels = NEVER[..3].iter().any(|never| path.starts_with(never));
        if kernels && layer.at == Path::new("/") {
            return None;
        }
        Some((layer, path.strip_prefix(&layer.at).ok()?))
    }
}

/// Whether a layer lies inside a directory that was replaced as a whole.
pub(super) fn is_within(at: &Path, replaced: &[PathBuf]) -> bool {
    replaced.iter().any(|r| at != r && at.starts_with(r))
}

fn is_shown(mount: &Mount) -> bool {
    if is_virtual(&mount.kind) {
        return false;
    }
    let below = |dir: &str| mount.point.starts_with(dir);
    // Under /run there are sockets and pid files, but also plugged-in disks.
    if below("/run") || below("/var/run") {
        return mount.kind != "tmpfs" && !mount.kind.starts_with("fuse.");
    }
    !NEVER[..3].iter().any(|never| below(never))
}

/// File systems that are windows into the kernel, not places of files.
fn is_virtual(kind: &str) -> bool {
    matches!(
        kind,
        "proc"
            | "sysfs"
            | "cgroup"
            | "cgroup2"
            | "devtmpfs"
            | "devpts"
            | "mqueue"
            | "debugfs"
            | "tracefs"
            | "securityfs"
            | "pstore"
            | "bpf"
            | "configfs"
            | "fusectl"
            | "binfmt_misc"
            | "hugetlbfs"
            | "efivarfs"
            | "selinuxfs"
            | "smackfs"
            | "nsfs"
            | "autofs"
            | "rpc_pipefs"
            | "nfsd"
            | "resctrl"
            | "functionfs"
            | "swap"
    )
}

/// File systems that an overlay refuses below it (names without regard to case, mostly) and that
/// hold no sockets or pipes through which a process could reach the host: safe to show read-only.
pub(super) fn may_show_directly(kind: &str) -> bool {
    matches!(
        kind,
        "vfat"
            | "msdos"
            | "exfat"
            | "ntfs"
            | "ntfs3"
            | "cifs"
            | "smb3"
            | "iso9660"
            | "udf"
            | "squashfs"
            | "erofs"
            | "romfs"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(id: u32, parent: u32, point: &str, kind: &str) -> Mount {
        Mount {
            id,
            parent,
            point: point.into(),
            read_only: false,
            kind: kind.into(),
        }
    }

    fn plan() -> Plan {
        Plan::new(
            IsolationKind::Root,
            &[
                mount(1, 0, "/", "ext4"),
                mount(2, 1, "/proc", "proc"),
                mount(3, 1, "/sys", "sysfs"),
                mount(4, 3, "/sys/fs/cgroup", "cgroup2"),
                mount(5, 1, "/dev", "devtmpfs"),
                mount(6, 5, "/dev/shm", "tmpfs"),
                mount(7, 1, "/run", "tmpfs"),
                mount(8, 7, "/run/media/u/disk", "ext4"),
                mount(9, 7, "/run/user/1000", "tmpfs"),
                mount(10, 1, "/nowhere/home", "xfs"),
                mount(11, 10, "/nowhere/home/inner", "btrfs"),
            ],
        )
        .expect("a plan")
    }

    #[test]
    fn every_mount_of_files_gets_a_layer_and_the_kernels_own_get_none() {
        let at: Vec<String> = plan()
            .layers
            .iter()
            .filter(|l| matches!(l.store, Store::Upper(_)))
            .map(|l| l.at.display().to_string())
            .collect();
        assert_eq!(
            at,
            [
                "/",
                "/nowhere/home",
                "/nowhere/home/inner",
                "/run/media/u/disk"
            ]
        );
    }

    #[test]
    fn a_path_belongs_to_the_innermost_layer() {
        let plan = plan();
        let at = |path: &str| {
            plan.locate(Path::new(path), &[])
                .map(|(l, rest)| (l.at.clone(), rest.to_path_buf()))
        };
        assert_eq!(
            at("/nowhere/home/inner/a/b"),
            Some(("/nowhere/home/inner".into(), "a/b".into()))
        );
        assert_eq!(
            at("/nowhere/home/x"),
            Some(("/nowhere/home".into(), "x".into()))
        );
        assert_eq!(at("/etc/passwd"), Some(("/".into(), "etc/passwd".into())));
        assert_eq!(at("/run/x"), Some(("/run".into(), "x".into())));
        assert_eq!(at("/dev/shm/x"), Some(("/dev/shm".into(), "x".into())));
        assert_eq!(at("/dev/null"), None);
        assert_eq!(at("/proc/sys/kernel/hostname"), None);
        assert_eq!(at("/sys/power/state"), None);
    }

    #[test]
    fn a_replaced_directory_hides_the_layers_inside() {
        let plan = plan();
        let replaced = [PathBuf::from("/nowhere/home")];
        let (layer, rest) = plan
            .locate(Path::new("/nowhere/home/inner/a"), &replaced)
            .expect("found");
        assert_eq!(layer.at, Path::new("/nowhere/home"));
        assert_eq!(rest, Path::new("inner/a"));
    }
}
