use foreshadow_quantity::{Bytes, Cores};
use serde::{Deserialize, Serialize};

use super::{CommandLine, OutcomeSchema, Prediction};

/// The name of the outcome document and its version.
pub const OUTCOME_SCHEMA: &str = "foreshadow.outcome/1";

/// What a run did and used, beside what was predicted (`run --result FILE`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// `"foreshadow.outcome/1"`.
    pub schema: OutcomeSchema,
    /// The task's name in the history.
    pub task_id: String,
    /// The command that ran.
    #[serde(flatten)]
    pub command: CommandLine,
    /// Its exit code; null where a signal ended it.
    pub exit_code: Option<i32>,
    /// The signal that ended it; null where none did.
    pub signal: Option<i32>,
    /// What killed it, where something did.
    pub cause_of_death: Option<CauseOfDeath>,
    /// What was predicted; null where nothing was.
    pub prediction: Option<Prediction>,
    /// What it was given; null where it ran without limits.
    pub reservation: Option<Reservation>,
    /// What it used.
    pub actual: Actual,
    /// How its limits were changed while it ran.
    pub adjustments: Vec<Adjustment>,
    /// What was reported while it ran.
    pub alerts: Vec<AlertSummary>,
}

impl Outcome {
    /// The code to exit with, as a shell would: 128+N for signal N.
    pub fn shell_code(&self) -> i32 {
        match (self.exit_code, self.signal) {
            (_, Some(signal)) => 128 + signal,
            (Some(code), None) => code,
            (None, None) => 125,
        }
    }
}

/// What killed a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseOfDeath {
    /// The kernel, for memory: the task reached the limit of its own environment.
    OomCgroup,
    /// The kernel, for memory: the machine, or an environment around the task's, had no more.
    OomHost,
    /// Another limit of its environment (time, file size, processes).
    Limit,
    /// A signal from somebody, or from a fault of its own.
    Signal,
}

/// What a run was given at its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reservation {
    /// Memory limit; null where unlimited.
    pub memory_bytes: Option<Bytes>,
    /// Cores; null where unlimited.
    pub cores: Option<Cores>,
    /// Wall-clock limit in seconds; null where unlimited.
    pub time_limit_seconds: Option<f64>,
}

/// What a run used, each null where this machine could not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Actual {
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

/// One change of a limit during a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adjustment {
    /// Seconds since the start of the task.
    pub at_seconds: f64,
    /// Which limit: `memory_bytes`, `cores`, ...
    pub resource: String,
    /// Its value before, in the unit of the resource; null where unlimited.
    pub from: Option<f64>,
    /// Its value after; null where unlimited.
    pub to: Option<f64>,
    /// Why, for people.
    pub reason: String,
}

/// One thing that was reported during a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertSummary {
    /// Seconds since the start of the task.
    pub at_seconds: f64,
    /// How bad.
    pub severity: Severity,
    /// What, for people.
    pub message: String,
}

/// How bad an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Will become a problem.
    Warning,
    /// Is a problem.
    Critical,
}
