//! The system calls that neither std nor rustix offers, each behind a safe function.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::ptr;
use std::time::Duration;

use foreshadow_quantity::Bytes;
use rustix::process::Pid;

/// Exit code of a child of ours that panicked: nothing of the command ran.
const PANICKED: u8 = 125;

/// Forks; the child runs `run` and exits with its code, without unwinding into the caller and
/// without running anyone's exit handlers.
///
/// The child may allocate: glibc makes its allocator usable after `fork` in programs of many
/// threads. It must not touch other locks that another thread could have held (the environment
/// of variables, standard streams).
pub(super) fn fork(run: impl FnOnce() -> u8) -> io::Result<Pid> {
    // SAFETY: `fork` has no memory preconditions; the child keeps to the rule above and ends in
    // `become_child`.
    match unsafe { libc::fork() } {
        0 => become_child(run),
        pid => parent(pid),
    }
}

/// As [`fork`], but the child becomes a child of the caller's parent, and the first process of the
/// pid namespace that the caller unshared.
///
/// Only for processes of one thread: it goes around the C library's own preparations.
pub(super) fn fork_sibling(run: impl FnOnce() -> u8) -> io::Result<Pid> {
    // SAFETY: without CLONE_VM the child has its own copy of the memory, a null stack means the
    // same addresses as ours; the caller has one thread, so no lock is held by another.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone,
            libc::c_ulong::try_from(libc::CLONE_PARENT | libc::SIGCHLD).unwrap_or(0),
            0usize,
            0usize,
            0usize,
            0usize,
        )
    };
    match pid {
        0 => become_child(run),
        pid => parent(i32::try_from(pid).unwrap_or(-1)),
    }
}

fn parent(pid: libc::pid_t) -> io::Result<Pid> {
    Pid::from_raw(pid)
        .filter(|_| pid > 0)
        .ok_or_else(io::Error::last_os_error)
}

fn become_child(run: impl FnOnce() -> u8) -> ! {
    let code = catch_unwind(AssertUnwindSafe(run)).unwrap_or(PANICKED);
    // SAFETY: ends the process at once; nothing is used afterwards.
    unsafe { libc::_exit(i32::from(code)) }
}

/// Blocks all signals of this thread; [`Blocked::restore`] (or drop) brings the old mask back.
pub(super) struct Blocked(libc::sigset_t);

impl Blocked {
    pub fn all() -> io::Result<Self> {
        // SAFETY: both sets are plain data, initialised by the calls before they are read.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            let mut old: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&mut all);
            let code = libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut old);
            if code == 0 {
                Ok(Blocked(old))
            } else {
                Err(io::Error::from_raw_os_error(code))
            }
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: restores a mask that the kernel gave us.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, ptr::null_mut()) };
    }
}

/// Gives every signal its default action. The mask stays.
pub(super) fn default_signal_actions() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL runs no code of ours; signals that cannot be changed refuse harmlessly.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Unblocks every signal.
pub(super) fn unblock_signals() {
    // SAFETY: the set is plain data, initialised by `sigemptyset`.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &none, ptr::null_mut());
    }
}

/// A descriptor that becomes readable when a child ends. SIGCHLD must be blocked.
pub(super) fn child_signals() -> io::Result<OwnedFd> {
    // SAFETY: the set is initialised before use; the returned descriptor is ours alone.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGCHLD);
        owned(libc::signalfd(
            -1,
            &set,
            libc::SFD_CLOEXEC | libc::SFD_NONBLOCK,
        ))
    }
}

/// SAFETY for callers: `fd` is a fresh descriptor that nobody else owns, or negative with errno set.
unsafe fn owned(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        Err(io::Error::last_os_error())
    } else {
        // SAFETY: passed on to the caller of this function.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

/// In a fresh child: moves `keep` to descriptor 3, puts `null` on 0, 1 and 2, and closes all others.
///
/// Every other descriptor value of the parent is void afterwards: the caller must not use, nor
/// drop, what it inherited.
pub(super) fn keep_one_descriptor(keep: RawFd, null: RawFd) -> io::Result<OwnedFd> {
    const KEPT: RawFd = 3;
    // SAFETY: only descriptor numbers are passed. Should `null` be 3, it is copied to 0..=2 first.
    unsafe {
        let high = libc::fcntl(keep, libc::F_DUPFD_CLOEXEC, KEPT + 1);
        if high < 0 {
            return Err(io::Error::last_os_error());
        }
        for stream in 0..KEPT {
            if null != stream && libc::dup2(null, stream) < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        if libc::dup3(high, KEPT, libc::O_CLOEXEC) < 0 {
            return Err(io::Error::last_os_error());
        }
        if libc::syscall(libc::SYS_close_range, KEPT as u32 + 1, u32::MAX, 0u32) < 0 {
            return Err(io::Error::last_os_error());
        }
        owned(KEPT)
    }
}

/// Marks every descriptor from 3 on to be closed by `execve`.
pub(super) fn close_on_exec_from_3() -> io::Result<()> {
    const CLOSE_RANGE_CLOEXEC: u32 = 4;
    // SAFETY: changes flags of descriptors only.
    zero(unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, CLOSE_RANGE_CLOEXEC) })
}

/// Puts a copy of `fd` on a standard stream, kept over `execve`.
pub(super) fn on_stream(fd: BorrowedFd<'_>, stream: RawFd) -> io::Result<()> {
    // SAFETY: duplicates a valid descriptor onto 0, 1 or 2, which std and rustix never own.
    if unsafe { libc::dup2(fd.as_raw_fd(), stream) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Lets a command inherit these descriptors, under the same numbers.
pub(super) fn inherit(command: &mut Command, fds: &[BorrowedFd<'_>]) {
    let numbers: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let keep = move || {
        for fd in &numbers {
            // SAFETY: changes a flag of a descriptor of the child.
            zero(unsafe { libc::fcntl(*fd, libc::F_SETFD, 0) }.into())?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec only `fcntl` is called.
    unsafe { command.pre_exec(keep) };
}

/// `unshare(2)`; `flags` never hold `CLONE_FILES`.
pub(super) fn unshare(flags: rustix::thread::UnshareFlags) -> io::Result<()> {
    debug_assert!(!flags.contains(rustix::thread::UnshareFlags::FILES));
    // SAFETY: the descriptor table stays shared as it was.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}

/// Changes the attributes of a mount (`mount_setattr(2)`).
pub(super) fn mount_attributes(mount: BorrowedFd<'_>, set: u64, clear: u64) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: set,
        attr_clr: clear,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: the structure outlives the call and its true size is passed.
    zero(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &attributes,
            size_of::<libc::mount_attr>(),
        )
    })
}

/// Brings the loopback interface of this network namespace up.
pub(super) fn loopback_up() -> io::Result<()> {
    // SAFETY: `ifreq` is plain data, zeroed, with a terminated name; the ioctls read and write it
    // only while it lives. The socket is closed by its owner.
    unsafe {
        let socket = owned(libc::socket(
            libc::AF_INET,
            libc::SOCK_DGRAM | libc::SOCK_CLOEXEC,
            0,
        ))?;
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        if libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &request) < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Installs a seccomp filter for this thread and its children. Needs `no_new_privs`.
pub(super) fn seccomp(program: &mut [libc::sock_filter]) -> io::Result<()> {
    const SECCOMP_SET_MODE_FILTER: libc::c_uint = 1;
    // Without it, older kernels switch speculation off for filtered processes and slow them.
    const SECCOMP_FILTER_FLAG_SPEC_ALLOW: libc::c_uint = 4;
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the program is valid for the length given and is copied by the kernel.
    zero(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            SECCOMP_SET_MODE_FILTER,
            SECCOMP_FILTER_FLAG_SPEC_ALLOW,
            &filter,
        )
    })
}

/// `execve(2)`; returns only on failure.
pub(super) fn execve(path: &CStr, argv: &[CString], env: &[CString]) -> io::Error {
    let pointers = |list: &[CString]| {
        list.iter()
            .map(|s| s.as_ptr())
            .chain([ptr::null()])
            .collect::<Vec<_>>()
    };
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: both arrays end with null and point to strings that outlive the call.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// What the kernel counted for a process that ended and the descendants it waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub user: Duration,
    pub system: Duration,
    pub max_rss: Bytes,
    pub major_faults: u64,
    pub minor_faults: u64,
}

/// Waits for a child; its raw wait status and what it used.
pub(super) fn wait4(pid: Pid) -> io::Result<(i32, Counted)> {
    loop {
        let mut status = 0;
        // SAFETY: both out-parameters are valid plain data for the time of the call.
        let (code, usage) = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            let code = libc::wait4(pid.as_raw_nonzero().get(), &mut status, 0, &mut usage);
            (code, usage)
        };
        if code >= 0 {
            return Ok((status, counted(&usage)));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// What this process itself used so far.
pub(super) fn own_usage() -> Counted {
    // SAFETY: the out-parameter is valid plain data.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    counted(&usage)
}

fn counted(usage: &libc::rusage) -> Counted {
    let time = |t: libc::timeval| {
        Duration::from_secs(u64::try_from(t.tv_sec).unwrap_or(0))
            + Duration::from_micros(u64::try_from(t.tv_usec).unwrap_or(0))
    };
    let count = |n: libc::c_long| u64::try_from(n).unwrap_or(0);
    Counted {
        user: time(usage.ru_utime),
        system: time(usage.ru_stime),
        max_rss: Bytes::new(count(usage.ru_maxrss).saturating_mul(1024)),
        major_faults: count(usage.ru_majflt),
        minor_faults: count(usage.ru_minflt),
    }
}

/// Reaps one child that ended, if there is one: its pid and raw status.
pub(super) enum Reaped {
    Child(i32, i32),
    NoneYet,
    NoChildren,
}

/// Reaps any child; waits for one if `block`.
pub(super) fn reap(block: bool) -> Reaped {
    loop {
        let mut status = 0;
        let options = if block { 0 } else { libc::WNOHANG } | libc::__WALL;
        // SAFETY: the out-parameter is valid for the time of the call.
        match unsafe { libc::waitpid(-1, &mut status, options) } {
            0 => return Reaped::NoneYet,
            -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            -1 => return Reaped::NoChildren,
            pid => return Reaped::Child(pid, status),
        }
    }
}

/// Kills every process of this pid namespace but the caller, its first one.
pub(super) fn kill_all_others() {
    // SAFETY: in a pid namespace, -1 means the processes of the namespace only. The guard makes
    // sure that we are its first process.
    unsafe {
        if libc::getpid() == 1 {
            libc::kill(-1, libc::SIGKILL);
        }
    }
}

/// A fanotify group that reports opened files as descriptors.
pub(super) fn fanotify_group() -> io::Result<OwnedFd> {
    let flags = libc::FAN_CLASS_NOTIF | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK;
    let event_flags = libc::O_RDONLY | libc::O_LARGEFILE | libc::O_CLOEXEC | libc::O_NONBLOCK;
    // SAFETY: the returned descriptor is ours alone.
    unsafe { owned(libc::fanotify_init(flags, event_flags as libc::c_uint)) }
}

/// Makes a fanotify group report each file opened, changed, or closed after reading only, on the
/// file system that holds `path`.
pub(super) fn fanotify_watch_opens(group: BorrowedFd<'_>, path: &CStr) -> io::Result<()> {
    // SAFETY: the path is a valid string; no memory is kept.
    let code = unsafe {
        libc::fanotify_mark(
            group.as_raw_fd(),
            libc::FAN_MARK_ADD | libc::FAN_MARK_FILESYSTEM,
            libc::FAN_OPEN | libc::FAN_MODIFY | libc::FAN_CLOSE_NOWRITE,
            libc::AT_FDCWD,
            path.as_ptr(),
        )
    };
    zero(code.into())
}

/// One event of a fanotify group: what was done with a file, or that events were lost. Things done
/// with the same file between two reads of the group may come as one event.
pub(super) enum Opened {
    File {
        file: OwnedFd,
        /// Its content was changed: by a write, or by opening it as an empty one.
        changed: bool,
        /// It was closed by someone who could only read it.
        read: bool,
    },
    Lost,
}

/// Reads events; none is an empty list.
pub(super) fn fanotify_read(group: BorrowedFd<'_>) -> io::Result<Vec<Opened>> {
    let mut buffer = [0u64; 512];
    // SAFETY: the buffer is valid for its whole length and aligned for the events.
    let length = unsafe {
        libc::read(
            group.as_raw_fd(),
            buffer.as_mut_ptr().cast(),
            size_of_val(&buffer),
        )
    };
    let Ok(length) = usize::try_from(length) else {
        let error = io::Error::last_os_error();
        return match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(Vec::new()),
            _ => Err(error),
        };
    };
    let mut events = Vec::new();
    let mut at = 0;
    while at + size_of::<libc::fanotify_event_metadata>() <= length {
        // SAFETY: the kernel wrote a whole event header at this offset, within `length` bytes.
        let event: libc::fanotify_event_metadata =
            unsafe { ptr::read_unaligned(buffer.as_ptr().cast::<u8>().add(at).cast()) };
        if event.fd >= 0 {
            events.push(Opened::File {
                // SAFETY: the kernel opened this descriptor for us; nobody else owns it.
                file: unsafe { OwnedFd::from_raw_fd(event.fd) },
                changed: event.mask & libc::FAN_MODIFY != 0,
                read: event.mask & libc::FAN_CLOSE_NOWRITE != 0,
            });
        } else if event.mask & libc::FAN_Q_OVERFLOW != 0 {
            events.push(Opened::Lost);
        }
        let step = event.event_len as usize;
        if step == 0 {
            break;
        }
        at += step;
    }
    Ok(events)
}

fn zero(code: libc::c_long) -> io::Result<()> {
    if code < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
