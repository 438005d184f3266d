use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;

use foreshadow_quantity::Bytes;
use serde::{Deserialize, Serialize};

/// Why an environment could not be made, changed or read.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// A control group could not be made.
    #[error("cannot create control group {path}: {source}", path = path.display())]
    Create {
        /// The directory of the group.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A control group could not be removed.
    #[error("cannot remove control group {path}: {source}", path = path.display())]
    Remove {
        /// The directory of the group.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refused a value.
    #[error("cannot write \"{value}\" to {path}: {source}", path = path.display())]
    Write {
        /// The file written to.
        path: PathBuf,
        /// What was written.
        value: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A file of the kernel could not be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A file of the kernel holds something else than documented.
    #[error("unexpected content of {path}: wanted {wanted}, got {content:?}", path = path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
        /// What it holds (its beginning).
        content: String,
    },
    /// The memory limit asked for is less than what is in use and cannot be reclaimed. Nothing was
    /// changed; the processes live on.
    #[error("cannot lower the memory limit to {wanted}: {used} are in use")]
    BelowUse {
        /// The limit asked for.
        wanted: Bytes,
        /// Memory in use, page cache included.
        used: Bytes,
    },
    /// A limit that cannot be meant.
    #[error("cannot limit {feature} to {value}: {reason}")]
    InvalidLimit {
        /// Which limit.
        feature: Feature,
        /// The value asked for.
        value: String,
        /// What to ask for instead.
        reason: &'static str,
    },
    /// Processes inside did not stop in time.
    #[error("processes in {name} did not freeze within {seconds} s")]
    NotFrozen {
        /// The environment.
        name: String,
        /// How long was waited.
        seconds: u64,
    },
    /// A system call failed.
    #[error("{call}: {source}")]
    System {
        /// What was tried.
        call: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl EnvironmentError {
    /// Wraps the error of a system call.
    pub(crate) fn system<E: Into<io::Error>>(call: &'static str) -> impl FnOnce(E) -> Self {
        move |source| EnvironmentError::System {
            call,
            source: source.into(),
        }
    }
}

/// Why a program did not start.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// There is no command.
    #[error("no command given")]
    Empty,
    /// The command does not exist, neither as a path nor in any folder of `PATH`.
    #[error("{command:?}: command not found")]
    NotFound {
        /// The command as given.
        command: OsString,
    },
    /// The command exists but is no program that can be run.
    #[error("{command:?}: cannot execute: {reason}")]
    NotExecutable {
        /// The command as given.
        command: OsString,
        /// Why.
        reason: String,
    },
    /// The arguments and variables are larger than the kernel allows.
    #[error(
        "{command:?}: the arguments and variables are too long ({bytes}); the kernel takes at most \
         128 KiB each and a quarter of the stack limit (`ulimit -s`) together"
    )]
    TooLong {
        /// The command as given.
        command: OsString,
        /// Their length.
        bytes: Bytes,
    },
    /// An argument or a variable holds a zero byte.
    #[error("{what:?} contains a zero byte, which no program can be given")]
    ZeroByte {
        /// The argument or variable.
        what: OsString,
    },
    /// The working directory cannot be entered.
    #[error("cannot enter the working directory {path}: {source}", path = path.display())]
    WorkingDirectory {
        /// The directory.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The process could not be put into its control group.
    #[error("cannot join the control group by {path}: {source}", path = path.display())]
    Join {
        /// The `cgroup.procs` file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The environment is frozen: a process started in it could not even report that it started.
    #[error("the environment {name} is frozen: thaw it before starting a program in it")]
    Frozen {
        /// The environment.
        name: String,
    },
    /// A system call failed.
    #[error("cannot start {command:?}: {call}: {source}")]
    System {
        /// The command as given.
        command: OsString,
        /// What was tried.
        call: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl SpawnError {
    /// The exit code that says this, as `timeout(1)` and `env(1)` have it: 127 not found, 126 not
    /// executable, 125 anything else.
    pub fn exit_code(&self) -> i32 {
        match self {
            SpawnError::NotFound { .. } => 127,
            SpawnError::NotExecutable { .. } => 126,
            _ => 125,
        }
    }
}

/// Something an environment can do where the machine lets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// A processor quota ([`crate::Limits::cores`]).
    Cores,
    /// A share of processor time ([`crate::Limits::cpu_weight`]).
    CpuWeight,
    /// The idle class ([`crate::Limits::idle`]).
    Idle,
    /// A memory limit that slows ([`crate::Limits::memory_high`]).
    MemoryHigh,
    /// A memory limit that holds ([`crate::Limits::memory_max`]).
    MemoryMax,
    /// A rate of reading from disks ([`crate::Limits::disk_read`]).
    DiskRead,
    /// A rate of writing to disks ([`crate::Limits::disk_write`]).
    DiskWrite,
    /// A rate of network traffic ([`crate::Limits::network`]).
    Network,
    /// A number of processes ([`crate::Limits::pids`]).
    Pids,
    /// Exact counting of memory for all processes together.
    MemoryUsage,
    /// Counting of traffic with disks.
    DiskUsage,
    /// Pressure (stall times) of the environment alone.
    Pressure,
    /// Notice when memory runs out.
    MemoryEvents,
    /// Waiting at the memory limit in place of being killed.
    OomPause,
    /// Stopping all processes so that they cannot notice.
    Freeze,
    /// Killing all processes with none escaping.
    Kill,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Feature::Cores => "cores",
            Feature::CpuWeight => "CPU weight",
            Feature::Idle => "idle class",
            Feature::MemoryHigh => "memory high",
            Feature::MemoryMax => "memory max",
            Feature::DiskRead => "disk read rate",
            Feature::DiskWrite => "disk write rate",
            Feature::Network => "network rate",
            Feature::Pids => "number of processes",
            Feature::MemoryUsage => "memory usage",
            Feature::DiskUsage => "disk usage",
            Feature::Pressure => "pressure",
            Feature::MemoryEvents => "memory events",
            Feature::OomPause => "pause at the memory limit",
            Feature::Freeze => "freeze",
            Feature::Kill => "kill",
        })
    }
}

/// A limit asked for, or a feature, that this environment cannot offer, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsupported {
    /// What is missing.
    pub feature: Feature,
    /// Why, in words for the user.
    pub reason: String,
}

impl Unsupported {
    pub(crate) fn new(feature: Feature, reason: impl Into<String>) -> Self {
        Unsupported {
            feature,
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.feature, self.reason)
    }
}
