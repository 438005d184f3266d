use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use foreshadow_quantity::Bytes;
use serde::{Deserialize, Serialize};

/// A command to start: what `execve` needs, and where its three standard streams go.
#[derive(Debug)]
pub struct Program {
    /// The command and its arguments; the first is looked up in the `PATH` of `env`.
    pub argv: Vec<OsString>,
    /// The whole environment of variables.
    pub env: Vec<(OsString, OsString)>,
    /// The working directory.
    pub cwd: PathBuf,
    /// Standard input.
    pub stdin: Stream,
    /// Standard output.
    pub stdout: Stream,
    /// Standard error.
    pub stderr: Stream,
}

/// Where one standard stream of a [`Program`] goes.
#[derive(Debug)]
pub enum Stream {
    /// The stream of this process.
    Inherit,
    /// `/dev/null`.
    Null,
    /// This descriptor.
    Fd(OwnedFd),
}

impl Program {
    /// A command with this process's variables and working directory, its streams inherited.
    ///
    /// # Errors
    /// Where the working directory is gone.
    pub fn new(argv: Vec<OsString>) -> std::io::Result<Self> {
        Ok(Program {
            argv,
            env: std::env::vars_os().collect(),
            cwd: std::env::current_dir()?,
            stdin: Stream::Inherit,
            stdout: Stream::Inherit,
            stderr: Stream::Inherit,
        })
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Exit {
    /// Whether it ended by itself with code 0.
    pub fn success(self) -> bool {
        self == Exit::Code(0)
    }

    /// The code a shell would show: 128 + N for signal N.
    pub fn shell_code(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128 + signal,
        }
    }
}

/// What the kernel counted for a process and all its waited-for descendants, at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// CPU time in user mode.
    pub user: Duration,
    /// CPU time in the kernel.
    pub system: Duration,
    /// The largest resident set of any single process, file-backed pages included (`ru_maxrss`).
    pub max_rss: Bytes,
    /// Page faults that waited for a disk.
    pub major_faults: u64,
    /// Page faults that did not.
    pub minor_faults: u64,
    /// Bytes asked for by read calls, from files, pipes and sockets (`rchar`).
    pub read_chars: Option<Bytes>,
    /// Bytes handed to write calls (`wchar`).
    pub write_chars: Option<Bytes>,
    /// Bytes fetched from storage (`read_bytes`).
    pub disk_read: Option<Bytes>,
    /// Bytes sent to storage (`write_bytes`).
    pub disk_written: Option<Bytes>,
}
