//! Scheduling class and priority of processes (sched(7)).

use std::io;

use rustix::process::{Pid, setpriority_process};

/// Puts all threads of a process into the idle class, or back into the normal one with a `nice` value.
/// Threads that end meanwhile are passed over.
pub(crate) fn set(pid: u32, idle: bool, nice: i32) -> io::Result<()> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return Ok(());
    };
    for task in tasks.flatten() {
        let Some(thread) = task
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
            .and_then(Pid::from_raw)
        else {
            continue;
        };
        set_class(thread, idle)?;
        match setpriority_process(Some(thread), nice) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[expect(unsafe_code, reason = "rustix has no sched_setscheduler")]
fn set_class(thread: Pid, idle: bool) -> io::Result<()> {
    let class = if idle {
        libc::SCHED_IDLE
    } else {
        libc::SCHED_OTHER
    };
    // SAFETY: all-zero is the valid parameter of both classes; it lives through the call.
    let result = unsafe {
        let parameter: libc::sched_param = std::mem::zeroed();
        libc::sched_setscheduler(thread.as_raw_nonzero().get(), class, &raw const parameter)
    };
    if result == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ESRCH) {
        return Ok(());
    }
    Err(error)
}

/// Whether this process may take more than the usual priority.
pub(crate) fn may_raise() -> bool {
    rustix::process::geteuid().is_root()
}
