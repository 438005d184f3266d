//! The new process between its birth and its program.
//!
//! In here nothing may allocate, take a lock or panic: another thread of the parent may have held any
//! lock at the moment of the fork. Only system calls and memory prepared before are used.

#![expect(unsafe_code, reason = "fork and exec")]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use libc::{c_char, c_int};

use crate::signal;
use crate::spawn::own;

/// What the new process does; the pointers lead into strings that outlive it.
pub(crate) struct Plan<'a> {
    /// What to put in place of descriptors 0, 1 and 2; each is above 2.
    pub(crate) streams: [Option<RawFd>; 3],
    pub(crate) join: Vec<RawFd>,
    pub(crate) cwd: &'a CStr,
    /// Closed by null, as are the others.
    pub(crate) candidates: Vec<*const c_char>,
    pub(crate) argv: Vec<*const c_char>,
    pub(crate) script_argv: Vec<*const c_char>,
    pub(crate) env: Vec<*const c_char>,
    /// Where to report a failure; closed by exec.
    pub(crate) reporter: RawFd,
    pub(crate) idle: bool,
    pub(crate) nice: Option<i32>,
    /// The limit of open files to have.
    pub(crate) descriptors: Option<libc::rlimit>,
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Writing to this one of the join files.
    Join(usize),
    Streams,
    Priority,
    WorkingDirectory,
    Exec,
}

/// What failed and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) stage: Stage,
    pub(crate) errno: i32,
}

impl Failure {
    pub(crate) const SIZE: usize = 8;

    fn encode(self) -> [u8; Self::SIZE] {
        let stage: u32 = match self.stage {
            Stage::Streams => 0,
            Stage::Priority => 1,
            Stage::WorkingDirectory => 2,
            Stage::Exec => 3,
            Stage::Join(number) => 4 + (number as u32 & 0xff),
        };
        let mut message = [0; Self::SIZE];
        message[..4].copy_from_slice(&stage.to_ne_bytes());
        message[4..].copy_from_slice(&self.errno.to_ne_bytes());
        message
    }

    pub(crate) fn decode(message: [u8; Self::SIZE]) -> Self {
        let [a, b, c, d, e, f, g, h] = message;
        let stage = match u32::from_ne_bytes([a, b, c, d]) {
            0 => Stage::Streams,
            1 => Stage::Priority,
            2 => Stage::WorkingDirectory,
            3 => Stage::Exec,
            join => Stage::Join(join as usize - 4),
        };
        Failure {
            stage,
            errno: i32::from_ne_bytes([e, f, g, h]),
        }
    }
}

/// Makes the new process; returns its number and a handle to it.
pub(crate) fn start(plan: &Plan<'_>, target: Option<BorrowedFd<'_>>) -> io::Result<(u32, OwnedFd)> {
    // Signals wait until the child has put handlers of ours out of reach.
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both calls initialise the sets they are given; a thread's mask is its own.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let result = fork(plan, target);
    // SAFETY: `before` was initialised by the call above.
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut());
    }
    result
}

fn fork(plan: &Plan<'_>, target: Option<BorrowedFd<'_>>) -> io::Result<(u32, OwnedFd)> {
    if let Some(target) = target {
        match clone3(plan, Some(target)) {
            // Not to be had: an old kernel, a filter on system calls (containers), or a group that
            // only lets itself be written to. The join files do the same, a little later.
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(
                        libc::ENOSYS
                            | libc::EINVAL
                            | libc::E2BIG
                            | libc::EPERM
                            | libc::EACCES
                            | libc::EBADF
                            | libc::EOPNOTSUPP
                            | libc::EBUSY
                            | libc::ENODEV
                    )
                ) => {}
            other => return other,
        }
    }
    match clone3(plan, None) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {}
        other => return other,
    }
    // SAFETY: the child does nothing but system calls on memory prepared before, see `run`.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => run(plan, 0),
        pid => {
            let pid = pid.unsigned_abs();
            // Its number stays its own until we wait for it.
            let handle = signal::open(pid).ok_or_else(io::Error::last_os_error)?;
            Ok((pid, handle))
        }
    }
}

/// `clone3` as a fork that gives a handle, and puts the child into a group from the start.
fn clone3(plan: &Plan<'_>, target: Option<BorrowedFd<'_>>) -> io::Result<(u32, OwnedFd)> {
    let mut handle: RawFd = -1;
    // SAFETY: all-zero is a valid value of this plain structure.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = libc::CLONE_PIDFD as u64;
    args.pidfd = (&raw mut handle) as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    if let Some(target) = target {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = target.as_raw_fd() as u64;
    }
    // SAFETY: `args` and `handle` live through the call. Without CLONE_VM the child has a copy of all
    // memory and returns here on its own stack, as from fork; it does nothing but system calls on
    // memory prepared before, see `run`.
    let result = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw mut args,
            size_of::<libc::clone_args>(),
        )
    };
    match result {
        -1 => Err(io::Error::last_os_error()),
        0 => run(plan, usize::from(target.is_some())),
        pid => Ok((pid as u32, own(handle))),
    }
}

/// From `linux/sched.h`; wider than the constants that libc has as `c_int`.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// In the child: does as planned, or reports and ends. The first `joined` groups it was born in.
fn run(plan: &Plan<'_>, joined: usize) -> ! {
    let failure = attempt(plan, joined);
    let message = failure.encode();
    // 126 and 127 as a shell has it, should nobody be there to read the message.
    let code = match (failure.stage, failure.errno) {
        (Stage::Exec, libc::ENOENT | libc::ENOTDIR) => 127,
        (Stage::Exec, _) => 126,
        _ => 125,
    };
    // SAFETY: system calls on a local array; `_exit` runs no handlers of the parent's.
    unsafe {
        libc::write(plan.reporter, message.as_ptr().cast(), message.len());
        libc::_exit(code)
    }
}

fn errno() -> i32 {
    // SAFETY: the location is this thread's own.
    unsafe { *libc::__errno_location() }
}

fn attempt(plan: &Plan<'_>, joined: usize) -> Failure {
    let fail = |stage| Failure {
        stage,
        errno: errno(),
    };
    for (number, fd) in plan.join.iter().enumerate().skip(joined) {
        // SAFETY: writes one byte from a constant to a descriptor of ours.
        if unsafe { libc::write(*fd, c"0".as_ptr().cast(), 1) } != 1 {
            return fail(Stage::Join(number));
        }
    }
    if let Some(limit) = &plan.descriptors {
        // SAFETY: the structure lives through the call. Going back to an earlier limit is always
        // allowed, so that there is nothing to report.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, limit) };
    }
    if let Some(nice) = plan.nice {
        // SAFETY: no memory is involved.
        if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) } == -1 {
            return fail(Stage::Priority);
        }
    }
    if plan.idle {
        // SAFETY: all-zero is the valid parameter of this class; it lives through the call.
        let done = unsafe {
            let parameter: libc::sched_param = std::mem::zeroed();
            libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameter)
        };
        if done == -1 {
            return fail(Stage::Priority);
        }
    }
    for (place, fd) in (0..).zip(plan.streams) {
        let Some(fd) = fd else { continue };
        // SAFETY: `fd` is open and above 2; the copy does not close on exec.
        if unsafe { libc::dup2(fd, place) } == -1 {
            return fail(Stage::Streams);
        }
    }
    // SAFETY: the string is closed by zero and outlives the call.
    if unsafe { libc::chdir(plan.cwd.as_ptr()) } == -1 {
        return fail(Stage::WorkingDirectory);
    }
    reset_signals();
    exec(plan)
}

/// Handlers go with exec by themselves, but may not run before it; SIGPIPE is ignored by Rust's
/// runtime, which the program must not inherit. Other ignored signals stay so, as `nohup` wants it.
fn reset_signals() {
    for number in 1..=64 {
        // SAFETY: `action` is initialised by the first call before it is read; numbers that are no
        // signals, and those that cannot be changed, give an error that changes nothing.
        unsafe {
            let mut action = std::mem::zeroed::<libc::sigaction>();
            if libc::sigaction(number, std::ptr::null(), &raw mut action) == -1 {
                continue;
            }
            let ignored = action.sa_sigaction == libc::SIG_IGN && number != libc::SIGPIPE;
            if action.sa_sigaction != libc::SIG_DFL && !ignored {
                action.sa_sigaction = libc::SIG_DFL;
                libc::sigaction(number, &raw const action, std::ptr::null_mut());
            }
        }
    }
    // SAFETY: the set is initialised by the first call.
    unsafe {
        let mut none = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Tries the candidates as execvp(3) does: goes on where there is nothing, remembers that something was
/// there but not allowed, and hands a text without `#!` to the shell.
fn exec(plan: &Plan<'_>) -> Failure {
    let mut worst: c_int = libc::ENOENT;
    for &path in &plan.candidates {
        if path.is_null() {
            break;
        }
        match try_path(plan, path) {
            libc::ENOENT | libc::ENOTDIR => {}
            libc::EACCES => worst = libc::EACCES,
            libc::ENOEXEC => {
                run_script(plan, path);
                worst = libc::ENOEXEC;
                break;
            }
            other => {
                worst = other;
                break;
            }
        }
    }
    Failure {
        stage: Stage::Exec,
        errno: worst,
    }
}

/// Runs a path; returns only where that fails, with the error. A file that somebody has open for writing
/// may be one that was written just now, whose descriptor another new process holds for the moment
/// between its own fork and exec: that passes.
fn try_path(plan: &Plan<'_>, path: *const c_char) -> c_int {
    for _ in 0..50 {
        // SAFETY: all strings are closed by zero and all arrays by null, and outlive the call.
        unsafe { libc::execve(path, plan.argv.as_ptr(), plan.env.as_ptr()) };
        if errno() != libc::ETXTBSY {
            break;
        }
        // SAFETY: no memory is involved.
        unsafe { libc::usleep(2_000) };
    }
    errno()
}

/// Runs `/bin/sh PATH ARGUMENTS`; returns only where that fails.
fn run_script(plan: &Plan<'_>, path: *const c_char) {
    // An empty or binary file is no script: a shell would run rubbish, or succeed at nothing.
    if !looks_like_text(path) {
        return;
    }
    let argv = plan.script_argv.as_ptr().cast_mut();
    // SAFETY: the array has at least `sh` and the command, whose place the path takes; this process's
    // copy of it is used by nobody else. Strings and arrays are closed and outlive the call.
    unsafe {
        *argv.add(1) = path;
        libc::execve(*argv, argv, plan.env.as_ptr());
    }
}

/// Whether a file begins with something other than a zero byte within its first bytes.
fn looks_like_text(path: *const c_char) -> bool {
    let mut start = [0_u8; 256];
    // SAFETY: the path is closed by zero; the array lives through the call.
    let n = unsafe {
        let fd = libc::open(path, libc::O_RDONLY | libc::O_CLOEXEC);
        if fd == -1 {
            return false;
        }
        let n = libc::read(fd, start.as_mut_ptr().cast(), start.len());
        libc::close(fd);
        n
    };
    let mut at = 0;
    while at < start.len() && (at as isize) < n {
        if start[at] == 0 {
            return false;
        }
        at += 1;
    }
    n > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_survive_the_pipe() {
        for stage in [
            Stage::Join(0),
            Stage::Join(6),
            Stage::Streams,
            Stage::Priority,
            Stage::WorkingDirectory,
            Stage::Exec,
        ] {
            let failure = Failure { stage, errno: 13 };
            assert_eq!(Failure::decode(failure.encode()), failure);
        }
    }
}
