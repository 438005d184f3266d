//! The kernel's own directories in a shadow: `/dev` with the harmless nodes only, a `/proc` of its
//! own processes, `/sys` to look at.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{MountFlags, mount};

use super::IsolationKind;
use super::error::{At, Failure, Step};
use super::plan::SHM;
use super::view::{bind, clone_mount, link, make_missing, place_mount};

/// The name of `/dev` in the scratch file system.
pub(super) const DEV: &str = "dev";

/// Character devices of major 1 and 5 that touch nothing but the process that uses them.
const NODES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    // Without a controlling terminal it answers ENXIO, as programs expect.
    ("tty", 5, 0),
];

const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// The host's nodes, to be shown read-only (their modes and owners stay the host's) where none
/// can be made.
pub(super) struct HostNodes(Vec<(&'static str, OwnedFd)>);

impl HostNodes {
    /// Copies the mounts of the host's nodes while its `/dev` can still be reached.
    pub fn pick(kind: IsolationKind) -> Result<Self, Failure> {
        if kind == IsolationKind::Root && may_make_nodes() {
            return Ok(HostNodes(Vec::new()));
        }
        let set = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC;
        let mut nodes = Vec::new();
        for (name, ..) in NODES {
            let path = Path::new("/dev").join(name);
            match clone_mount(&path, set, 0) {
                Ok(node) => nodes.push((name, node)),
                Err(_) if name != "null" => {}
                Err(error) => return Err(error).about(Step::Devices, path.display()),
            }
        }
        Ok(HostNodes(nodes))
    }
}

/// Whether this process may make device nodes (containers take that right from root).
fn may_make_nodes() -> bool {
    rustix::thread::capabilities(None)
        .is_ok_and(|c| c.effective.contains(rustix::thread::CapabilitySet::MKNOD))
}

/// Mounts `/dev` under `root`. The scratch file system is at the host's `/dev`.
pub(super) fn make_dev(kind: IsolationKind, root: &Path, nodes: HostNodes) -> Result<(), Failure> {
    let dev = root.join("dev");
    make_missing(&dev);
    // Of all the scratch file system, here alone nodes are devices; nothing in the shadow can
    // make one.
    let clear = match kind {
        IsolationKind::Root => libc::MOUNT_ATTR_NODEV,
        IsolationKind::UserNamespace => 0,
    };
    let set = libc::MOUNT_ATTR_NOSUID;
    bind(&Path::new("/dev").join(DEV), &dev, set, clear).at(Step::Devices)?;
    if nodes.0.is_empty() {
        for (name, major, minor) in NODES {
            let path = dev.join(name);
            mknodat(
                CWD,
                &path,
                FileType::CharacterDevice,
                Mode::from_raw_mode(0o666),
                makedev(major, minor),
            )
            .and_then(|()| rustix::fs::chmod(&path, Mode::from_raw_mode(0o666)))
            .about(Step::Devices, name)?;
        }
    }
    for (name, node) in &nodes.0 {
        let path = dev.join(name);
        fs::write(&path, b"").about(Step::Devices, name)?;
        place_mount(node.as_fd(), &path).about(Step::Devices, name)?;
    }
    for (name, target) in LINKS {
        link(target, &dev.join(name)).about(Step::Devices, name)?;
    }
    for name in ["pts", "shm", "mqueue"] {
        fs::create_dir_all(dev.join(name)).about(Step::Devices, name)?;
    }
    let quiet = MountFlags::NOSUID | MountFlags::NOEXEC;
    mount(
        "devpts",
        dev.join("pts"),
        "devpts",
        quiet,
        Some(c"newinstance,ptmxmode=0666,mode=620"),
    )
    .about(Step::Devices, "pts")?;
    bind(
        &Path::new("/dev").join(SHM),
        &dev.join("shm"),
        libc::MOUNT_ATTR_NODEV,
        0,
    )
    .about(Step::Devices, "shm")?;
    // Kernels without POSIX queues have none to contain.
    let _ = mount(
        "mqueue",
        dev.join("mqueue"),
        "mqueue",
        quiet | MountFlags::NODEV,
        None,
    );
    Ok(())
}

/// Files of `/proc` that tell of, or act on, the whole machine: read as empty, written to nowhere.
const HIDDEN: [&str; 13] = [
    "sysrq-trigger",
    "kcore",
    "vmcore",
    "kmsg",
    "keys",
    "key-users",
    "kallsyms",
    "kpagecount",
    "kpageflags",
    "kpagecgroup",
    "timer_list",
    "sched_debug",
    "mem",
];

/// Mounts a `/proc` of this pid namespace in which only processes can be written to.
pub(super) fn mount_proc(root: &Path) -> Result<(), Failure> {
    let proc = root.join("proc");
    make_missing(&proc);
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", &proc, "proc", flags, None).at(Step::Proc)?;
    let null = root.join("dev/null");
    for entry in fs::read_dir(&proc).at(Step::Proc)? {
        let entry = entry.at(Step::Proc)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let kind = entry.file_type().at(Step::Proc)?;
        if kind.is_symlink() || name.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        let path = entry.path();
        if HIDDEN.contains(&&*name) {
            bind(&null, &path, 0, 0).about(Step::Proc, name)?;
        } else if kind.is_dir() || writable(&path).about(Step::Proc, &name)? {
            let set = libc::MOUNT_ATTR_RDONLY;
            bind(&path, &path, set, 0).about(Step::Proc, name)?;
        }
    }
    Ok(())
}

fn writable(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o222 != 0)
}

/// Mounts a read-only `/sys` of this network namespace; without cgroups, debugging and tracing,
/// which are mounts of their own.
pub(super) fn mount_sys(root: &Path) -> Result<(), Failure> {
    let sys = root.join("sys");
    if !Path::new("/sys").is_dir() {
        return Ok(());
    }
    make_missing(&sys);
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    match mount("sysfs", &sys, "sysfs", flags, None) {
        Ok(()) => Ok(()),
        // Containers hide parts of /sys, and then the kernel gives out no whole one. An empty
        // /sys contains as well.
        Err(rustix::io::Errno::PERM) => Ok(()),
        Err(error) => Err(Failure::new(Step::Sys, "/sys", error)),
    }
}
