use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use foreshadow_quantity::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::TaskId;

/// A task that begins.
#[derive(Clone, Debug)]
pub struct NewTask {
    /// What it is compared by, see [`crate::signature()`].
    pub signature: String,
    /// The command. Beyond 64 KiB its last arguments are not kept.
    pub argv: Vec<OsString>,
    /// Its working directory.
    pub cwd: PathBuf,
    /// The kind of machine it runs on; runs on others are not compared with it.
    pub machine: String,
    /// The sum of its inputs, where known.
    pub input_bytes: Option<Bytes>,
    /// What its needs may depend on.
    pub features: Features,
}

/// What the needs of a task may depend on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Features {
    /// Bytes of each input by its role: its place among the arguments (`1`, `2`, ...), the option
    /// before it (`--reference`), or `stdin`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Bytes>,
    /// Arguments that are numbers, by the same kind of role.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub numbers: BTreeMap<String, f64>,
    /// Records of the inputs (lines, sequences), where they were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<f64>,
}

/// The end of a task.
#[derive(Clone, Debug, Default)]
pub struct FinishTask {
    /// How it ended.
    pub end: End,
    /// What killed it, where something did.
    pub cause: Option<Cause>,
    /// What it used.
    pub actuals: Actuals,
    /// How its limits were changed while it ran.
    pub adjustments: Vec<AdjustmentRecord>,
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Default for End {
    fn default() -> Self {
        End::Code(0)
    }
}

/// What killed a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The memory limit of its own environment.
    OomCgroup,
    /// The memory of the machine, or of an environment around its own.
    OomHost,
    /// Another limit of its environment.
    Limit,
    /// A signal from elsewhere, or from a fault of its own.
    Signal,
}

impl Cause {
    /// The name in the database and in the documents: `oom_cgroup`, `oom_host`, `limit`, `signal`.
    pub const fn name(self) -> &'static str {
        match self {
            Cause::OomCgroup => "oom_cgroup",
            Cause::OomHost => "oom_host",
            Cause::Limit => "limit",
            Cause::Signal => "signal",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [
            Cause::OomCgroup,
            Cause::OomHost,
            Cause::Limit,
            Cause::Signal,
        ]
        .into_iter()
        .find(|c| c.name() == name)
    }
}

/// What a task used, each `None` where it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Actuals {
    /// Peak of anonymous + shared + unreclaimable kernel memory.
    pub peak_memory_bytes: Option<Bytes>,
    /// Peak of reclaimable page cache.
    pub page_cache_peak_bytes: Option<Bytes>,
    /// User and system CPU time.
    pub cpu_seconds: Option<f64>,
    /// Wall-clock time.
    pub wall_seconds: Option<f64>,
    /// Bytes read from files.
    pub read_bytes: Option<Bytes>,
    /// Bytes written to files.
    pub write_bytes: Option<Bytes>,
    /// Bytes sent and received over the network.
    pub network_bytes: Option<Bytes>,
    /// Page faults that waited for a disk.
    pub major_faults: Option<u64>,
    /// Time in which some process waited for a processor.
    pub cpu_pressure_seconds: Option<f64>,
    /// Time in which some process waited for memory.
    pub memory_pressure_seconds: Option<f64>,
    /// Time in which some process waited for a disk.
    pub io_pressure_seconds: Option<f64>,
}

/// One change of a limit while a task ran.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AdjustmentRecord {
    /// Seconds since the start of the task.
    pub at_seconds: f64,
    /// Which limit.
    pub resource: String,
    /// Its value before; `None` where unlimited.
    pub from: Option<f64>,
    /// Its value after; `None` where unlimited.
    pub to: Option<f64>,
    /// Why.
    pub reason: String,
}

/// Whether a task goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// It runs.
    Running,
    /// It ended, and its outcome is known.
    Finished,
    /// The process that ran it died without recording the end.
    Lost,
}

/// A task in the history.
#[derive(Clone, Debug)]
pub struct TaskRecord {
    /// Its name.
    pub id: TaskId,
    /// What it is compared by.
    pub signature: String,
    /// Its command.
    pub argv: Vec<OsString>,
    /// How many arguments at the end of the command were not kept, for their length.
    pub omitted_args: u64,
    /// Its working directory.
    pub cwd: PathBuf,
    /// The kind of machine it ran on.
    pub machine: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended; of a lost task, when that was noticed.
    pub ended: Option<Timestamp>,
    /// Whether it goes on.
    pub state: TaskState,
    /// How it ended; `None` unless it finished.
    pub end: Option<End>,
    /// What killed it, where something did.
    pub cause: Option<Cause>,
    /// The sum of its inputs, where known.
    pub input_bytes: Option<Bytes>,
    /// What its needs may depend on.
    pub features: Features,
    /// What it used; `None` unless it finished.
    pub actuals: Option<Actuals>,
    /// The prediction made for it (`foreshadow.prediction/1`), as JSON.
    pub prediction: Option<String>,
}
