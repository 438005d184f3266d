//! The last steps between the first process's child and the command.

use std::ffi::{CStr, CString};
use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::process::{DumpableBehavior, chdir, set_dumpable_behavior, setsid};

use super::streams::Admitted;
use super::sys;
use super::wire::{ExecStage, Order};

/// Exit code when the command could not be executed; the owner gets the reason besides.
const NOT_EXECUTED: u8 = 126;

/// Becomes the command. Returns only on failure, after saying why through `result`, which closes
/// by itself when the command starts.
pub(super) fn become_command(order: &Order, streams: &Admitted, result: BorrowedFd<'_>) -> u8 {
    let Err((stage, error)) = try_become(order, streams) else {
        // Only the empty order ends without a command.
        return 0;
    };
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    let mut message = [0; 5];
    message[0] = stage as u8;
    message[1..].copy_from_slice(&errno.to_le_bytes());
    let _ = rustix::io::write(result, &message);
    NOT_EXECUTED
}

/// What `become_command` said: `None` when the command runs.
pub(super) fn outcome(ready: OwnedFd) -> Option<(ExecStage, i32)> {
    let mut message = [0; 5];
    match fs::File::from(ready).read_exact(&mut message) {
        Ok(()) => {
            let [stage, errno @ ..] = message;
            let stage = ExecStage::from_number(stage).unwrap_or(ExecStage::Other);
            Some((stage, i32::from_le_bytes(errno)))
        }
        Err(_) => None,
    }
}

fn try_become(order: &Order, streams: &Admitted) -> Result<(), (ExecStage, io::Error)> {
    let other = |e: io::Error| (ExecStage::Other, e);
    setsid().map_err(|e| other(e.into()))?;
    set_streams(streams).map_err(other)?;
    be_first_to_go();
    sys::default_signal_actions();
    sys::unblock_signals();
    sys::close_on_exec_from_3().map_err(other)?;
    if order.argv.is_empty() {
        return Ok(());
    }
    chdir(order.cwd.as_c_str()).map_err(|e| (ExecStage::WorkingDirectory, e.into()))?;
    Err((ExecStage::Exec, exec(&order.argv, &order.env)))
}

fn set_streams(streams: &Admitted) -> io::Result<()> {
    let null = super::init::open_null()?;
    for (number, stream) in (0..).zip(streams) {
        let fd = stream.as_ref().map_or(null.as_fd(), AsFd::as_fd);
        sys::on_stream(fd, number)?;
    }
    Ok(())
}

/// When memory runs out, a shadow dies before any live task does.
fn be_first_to_go() {
    // An unprivileged process's /proc files are its own only while it is dumpable; execve makes it
    // so again in any case.
    let _ = set_dumpable_behavior(DumpableBehavior::Dumpable);
    let _ = fs::write("/proc/self/oom_score_adj", b"1000");
}

/// `execve` after looking the command up in the `PATH` of its own environment, as execvp(3) does.
fn exec(argv: &[CString], env: &[CString]) -> io::Error {
    const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";
    let Some(command) = argv.first() else {
        return io::Error::from_raw_os_error(libc::ENOENT);
    };
    let name = command.as_bytes();
    if name.is_empty() {
        return io::Error::from_raw_os_error(libc::ENOENT);
    }
    if name.contains(&b'/') {
        return exec_path(command, argv, env);
    }
    let path = env
        .iter()
        .find_map(|v| v.as_bytes().strip_prefix(b"PATH="))
        .unwrap_or(DEFAULT_PATH);
    let mut worst = io::Error::from_raw_os_error(libc::ENOENT);
    for dir in path.split(|b| *b == b':') {
        let dir = if dir.is_empty() { b"." } else { dir };
        let Ok(full) = CString::new([dir, b"/", name].concat()) else {
            continue;
        };
        let error = exec_path(&full, argv, env);
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) => {}
            // Found, but not allowed: remembered in case no other directory has it.
            Some(libc::EACCES) => worst = error,
            _ => return error,
        }
    }
    worst
}

/// One `execve`; a text file without an interpreter line goes to the shell, as execvp(3) does.
fn exec_path(path: &CStr, argv: &[CString], env: &[CString]) -> io::Error {
    let error = sys::execve(path, argv, env);
    if error.raw_os_error() != Some(libc::ENOEXEC) || !is_text(path) {
        return error;
    }
    let mut script: Vec<CString> = vec![c"/bin/sh".into(), path.into()];
    script.extend(argv.iter().skip(1).cloned());
    sys::execve(c"/bin/sh", &script, env)
}

/// Whether a file looks like a script: no NUL byte at its beginning.
fn is_text(path: &CStr) -> bool {
    let Ok(path) = path.to_str() else {
        return false;
    };
    let mut head = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(256).read_to_end(&mut head))
        .is_ok_and(|_| !head.contains(&0))
}
