//! The kernel itself, and what it keeps for the whole machine.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{Attempt, Plain, Scene, alone, c, check, found};
use crate::isolation_help::{open_dir, text};

fn outcome(act: fn(&[String]) -> io::Result<()>, plain: Plain) -> Attempt {
    Attempt {
        scene: Scene::outcome,
        act,
        plain,
    }
}

/// A call with arguments that make no sense succeeded as far as rights go.
fn allowed(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS)) => {
            Err(error)
        }
        _ => Ok(()),
    }
}

/// On a directory of the test's own, and in a mount namespace of its own, so that the host is
/// spared when it works.
pub fn mount() -> Attempt {
    let scene = || {
        let dir = open_dir();
        let path = text(dir.path()).to_string();
        Ok(Scene::new(&[&path], move |tried| {
            let _keep = &dir;
            tried.acted
        }))
    };
    let act = |a: &[String]| {
        alone(|| {
            let (none, at) = (std::ptr::null(), c(&a[0]));
            let private = libc::MS_REC | libc::MS_PRIVATE;
            let tmpfs = c"tmpfs".as_ptr();
            unsafe {
                // In a shadow this fails; the mount is tried all the same.
                if libc::unshare(libc::CLONE_NEWNS) == 0 {
                    check(libc::mount(none, c"/".as_ptr(), none, private, none.cast()).into())?;
                }
                check(libc::mount(tmpfs, at.as_ptr(), tmpfs, 0, none.cast()).into())
            }
        })
    };
    Attempt {
        scene,
        act,
        plain: Plain::AsRoot,
    }
}

pub fn user_namespace() -> Attempt {
    let act = |_: &[String]| alone(|| check(unsafe { libc::unshare(libc::CLONE_NEWUSER) }.into()));
    outcome(act, Plain::Perhaps)
}

/// Those of the test, by its number, or of whatever is first here.
pub fn enter_namespaces() -> Attempt {
    let scene = || {
        let own = std::process::id().to_string();
        Ok(Scene::new(&[&own, "1"], |tried| tried.acted))
    };
    let act = |a: &[String]| {
        alone(|| {
            let any = a.iter().any(|pid| {
                ["mnt", "net", "uts", "ipc", "pid"].iter().any(|name| {
                    File::open(format!("/proc/{pid}/ns/{name}"))
                        .is_ok_and(|ns| unsafe { libc::setns(ns.as_raw_fd(), 0) } == 0)
                })
            });
            found(any)
        })
    };
    Attempt {
        scene,
        act,
        plain: Plain::AsRoot,
    }
}

/// Writes back what is there.
pub fn sysctl() -> Attempt {
    let act = |_: &[String]| {
        let path = "/proc/sys/vm/swappiness";
        fs::write(path, fs::read(path)?)
    };
    outcome(act, Plain::Perhaps)
}

/// Whether any file below can be written to (nothing is). Links are not followed.
fn any_writable(path: &Path, skip: &dyn Fn(&str) -> bool, tries: &mut u32) -> Option<String> {
    if *tries == 0 {
        return None;
    }
    *tries -= 1;
    let kind = fs::symlink_metadata(path).ok()?.file_type();
    if kind.is_dir() {
        let entries = fs::read_dir(path).ok()?;
        entries
            .flatten()
            .filter(|e| !skip(&e.file_name().to_string_lossy()))
            .find_map(|e| any_writable(&e.path(), skip, tries))
    } else if kind.is_file() {
        OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)
            // Root may open what has no way of being written to.
            .and_then(|mut file| file.write(b""))
            .ok()
            .map(|_| path.display().to_string())
    } else {
        None
    }
}

fn walk(root: &str, skip: &dyn Fn(&str) -> bool) -> io::Result<()> {
    let mut tries = 200_000;
    match any_writable(Path::new(root), skip, &mut tries) {
        Some(path) => {
            println!("{path} can be written to");
            Ok(())
        }
        None if tries < 199_990 => found(false),
        // Nothing to look at would prove nothing.
        None => {
            println!("{root} is empty");
            Ok(())
        }
    }
}

const MANY: &str = "it opens thousands of files of the kernel for writing";

/// Everything but what belongs to the shadow's own processes.
pub fn anything_in_proc() -> Attempt {
    let act = |_: &[String]| {
        walk("/proc", &|name| {
            name.bytes().all(|b| b.is_ascii_digit()) || name == "self" || name == "thread-self"
        })
    };
    outcome(act, Plain::Unsafe(MANY))
}

pub fn anything_in_sys() -> Attempt {
    outcome(|_| walk("/sys", &|_| false), Plain::Unsafe(MANY))
}

/// Opens it for writing, and writes nothing. What lies in its place may be anything but it.
pub fn sysrq() -> Attempt {
    let act = |_: &[String]| {
        let file = OpenOptions::new().write(true).open("/proc/sysrq-trigger")?;
        let mut kind: libc::statfs = unsafe { std::mem::zeroed() };
        check(unsafe { libc::fstatfs(file.as_raw_fd(), &mut kind) }.into())?;
        found(kind.f_type == libc::PROC_SUPER_MAGIC)
    };
    outcome(act, Plain::Perhaps)
}

/// Sets the name that it has.
pub fn host_name() -> Attempt {
    let act = |_: &[String]| {
        let name = fs::read_to_string("/proc/sys/kernel/hostname")?;
        let name = name.trim();
        check(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) }.into())
    };
    outcome(act, Plain::AsRoot)
}

pub fn clock() -> Attempt {
    let act = |_: &[String]| {
        let mut now: libc::timespec = unsafe { std::mem::zeroed() };
        unsafe {
            libc::clock_gettime(libc::CLOCK_REALTIME, &mut now);
            let set = check(libc::clock_settime(libc::CLOCK_REALTIME, &now).into());
            let mut adjust: libc::timex = std::mem::zeroed();
            adjust.modes = libc::ADJ_OFFSET_SINGLESHOT;
            set.or_else(|_| check(libc::adjtimex(&mut adjust).into()))
        }
    };
    outcome(act, Plain::Unsafe("it sets the clock of the machine"))
}

/// An empty module, which no kernel takes.
pub fn module() -> Attempt {
    let act = |_: &[String]| {
        let none: *const u8 = std::ptr::null();
        allowed(check(unsafe {
            libc::syscall(libc::SYS_init_module, none, 0, c"".as_ptr())
        }))
    };
    outcome(act, Plain::Perhaps)
}

/// From descriptors that are not open.
pub fn kexec() -> Attempt {
    let act = |_: &[String]| {
        allowed(check(unsafe {
            libc::syscall(libc::SYS_kexec_file_load, -1, -1, 0, c"".as_ptr(), 0)
        }))
    };
    outcome(act, Plain::Perhaps)
}

pub fn reboot() -> Attempt {
    let act = |_: &[String]| check(unsafe { libc::reboot(libc::RB_DISABLE_CAD) }.into());
    outcome(act, Plain::Unsafe("it changes what Ctrl-Alt-Del does"))
}

pub fn swap() -> Attempt {
    let act = |_: &[String]| {
        allowed(check(
            unsafe { libc::swapon(c"/nonexistent".as_ptr(), 0) }.into(),
        ))
    };
    outcome(act, Plain::Perhaps)
}

pub fn log() -> Attempt {
    const READ_ALL: i32 = 3;
    let act = |_: &[String]| {
        let mut buffer = [0u8; 64];
        let at = buffer.as_mut_ptr().cast();
        check(unsafe { libc::klogctl(READ_ALL, at, 64) }.into())
    };
    outcome(act, Plain::Perhaps)
}

pub fn bpf() -> Attempt {
    let act = |_: &[String]| {
        // BPF_MAP_CREATE of an array of one number.
        let mut request = [0u32; 32];
        request[..4].copy_from_slice(&[2, 4, 4, 1]);
        let size = size_of_val(&request);
        check(unsafe { libc::syscall(libc::SYS_bpf, 0, request.as_ptr(), size) })
    };
    outcome(act, Plain::Perhaps)
}

pub fn perf() -> Attempt {
    let act = |_: &[String]| {
        // The software CPU clock of this process.
        let mut request = [0u32; 32];
        request[..2].copy_from_slice(&[1, 128]);
        check(unsafe { libc::syscall(libc::SYS_perf_event_open, request.as_ptr(), 0, -1, -1, 0) })
    };
    outcome(act, Plain::Perhaps)
}

/// Writes itself into any cgroup that it finds; outside of a shadow only into the one it is in.
pub fn cgroup() -> Attempt {
    fn below(dir: &Path, depth: u32) -> bool {
        let procs = dir.join("cgroup.procs");
        if procs.exists() {
            return fs::write(procs, b"0").is_ok();
        }
        depth > 0
            && fs::read_dir(dir)
                .into_iter()
                .flatten()
                .flatten()
                .any(|e| e.file_type().is_ok_and(|t| t.is_dir()) && below(&e.path(), depth - 1))
    }
    let scene = || {
        // The directories of the groups that this process is in, where the host mounts them.
        let table = fs::read_to_string("/proc/self/mountinfo").map_err(|e| e.to_string())?;
        let groups = fs::read_to_string("/proc/self/cgroup").map_err(|e| e.to_string())?;
        let mut own: Vec<String> = Vec::new();
        for line in table.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            let Some(dash) = fields.iter().position(|f| *f == "-") else {
                continue;
            };
            let (point, kind) = (fields[4], fields[dash + 1]);
            let options = fields.get(dash + 3).copied().unwrap_or_default();
            for group in groups.lines() {
                let mut parts = group.splitn(3, ':').skip(1);
                let (Some(names), Some(path)) = (parts.next(), parts.next()) else {
                    continue;
                };
                let matches = match kind {
                    "cgroup2" => names.is_empty(),
                    "cgroup" => !names.is_empty() && names.split(',').all(|n| options.contains(n)),
                    _ => false,
                };
                if matches {
                    own.push(format!("{point}{}", path.trim_end_matches('/')));
                }
            }
        }
        if own.is_empty() {
            return Err("no cgroups are mounted here".into());
        }
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        Ok(Scene::new(&own, |tried| tried.acted))
    };
    let act = |a: &[String]| {
        let own = a.iter().any(|dir| below(Path::new(dir), 0));
        // In a shadow there is none that could be written to; anywhere.
        let inside = std::process::id() < 100;
        found(own || inside && below(Path::new("/sys/fs/cgroup"), 4))
    };
    Attempt {
        scene,
        act,
        plain: Plain::Perhaps,
    }
}
