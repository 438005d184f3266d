//! Ways to size a task, each seeing only what was known before it.

mod max_seen;
mod ours;
mod requested;
mod tovar;
mod vpa;
mod witt;

use std::fmt;
use std::str::FromStr;

pub use max_seen::MaxSeen;
pub use ours::Ours;
pub use requested::Requested;
pub use tovar::Tovar;
pub use vpa::Vpa;
pub use witt::{WittPercentile, WittRegression};

/// A way to size tasks, by the name it has in reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// Knows the peak: waste 0.
    Oracle,
    /// What the users asked for.
    Requested,
    /// The largest peak seen so far × 1.1.
    MaxSeen,
    /// The rule of the Kubernetes Vertical Pod Autoscaler.
    Vpa,
    /// 95th percentile of Witt et al., "Feedback-Based Resource Allocation for Batch Scheduling of
    /// Scientific Workflows" (HPCS 2019).
    Witt,
    /// Linear regression with an offset of one standard deviation, of the same paper.
    WittRegression,
    /// First allocation of least waste: Tovar et al. (IEEE TPDS 2018).
    Tovar,
    /// This project's.
    Foreshadow,
}

impl Name {
    /// Those of a report, unless others are asked for.
    pub const USUAL: [Name; 7] = [
        Name::Oracle,
        Name::Requested,
        Name::MaxSeen,
        Name::Vpa,
        Name::Witt,
        Name::Tovar,
        Name::Foreshadow,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Name::Oracle => "oracle",
            Name::Requested => "requested",
            Name::MaxSeen => "max-seen",
            Name::Vpa => "vpa",
            Name::Witt => "witt",
            Name::WittRegression => "witt-regression",
            Name::Tovar => "tovar",
            Name::Foreshadow => "foreshadow",
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Name {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let all = [Name::WittRegression];
        all.iter()
            .chain(&Name::USUAL)
            .find(|n| n.as_str() == s)
            .copied()
            .ok_or_else(|| {
                let names: Vec<&str> = Name::USUAL.iter().chain(&all).map(|n| n.as_str()).collect();
                format!("'{s}' is not a method: {}", names.join(", "))
            })
    }
}

/// What is known of a task before it runs.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Names of the features.
    pub names: &'a [String],
    /// Their values; NaN is missing.
    pub values: &'a [f64],
    /// What the user asked for, in bytes.
    pub requested: Option<f64>,
    /// When it is sized, in seconds.
    pub at: f64,
}

/// What a task turned out to be.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Peak memory in bytes; a lower bound where not complete.
    pub peak: f64,
    /// Run time in seconds.
    pub seconds: f64,
    /// Whether it ran to its end.
    pub complete: bool,
}

/// Central intervals of a forecast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intervals {
    /// Should hold the peak in 80 of 100 tasks.
    pub p80: (f64, f64),
    /// Should hold the peak in 95 of 100 tasks.
    pub p95: (f64, f64),
}

/// Bounds that hold for every method.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Memory of a node in bytes.
    pub node: f64,
    /// What a task gets of which nothing is known, not even a request, in bytes.
    pub unknown: f64,
}

/// One way to size the tasks of one process.
pub trait Method {
    /// The first allocation in bytes; None where the method knows nothing, and the user's request
    /// counts instead.
    fn first(&mut self, task: &Known<'_>) -> Option<f64>;

    /// The allocation after attempt number `attempt` (from 1) with `failed` bytes was too small.
    fn retry(&mut self, failed: f64, attempt: u32) -> f64;

    /// Learns the outcome of the task sized last.
    fn observe(&mut self, task: &Known<'_>, outcome: &Outcome);

    /// The intervals of the forecast behind the last first allocation, for methods that have one.
    fn intervals(&self) -> Option<Intervals> {
        None
    }
}

/// The method of a name with nothing seen; the oracle is no method.
pub fn create(name: Name, limits: &Limits) -> Option<Box<dyn Method>> {
    Some(match name {
        Name::Oracle => return None,
        Name::Requested => Box::new(Requested),
        Name::MaxSeen => Box::new(MaxSeen::default()),
        Name::Vpa => Box::new(Vpa::default()),
        Name::Witt => Box::new(WittPercentile::default()),
        Name::WittRegression => Box::new(WittRegression::default()),
        Name::Tovar => Box::new(Tovar::new(limits.node)),
        Name::Foreshadow => Box::new(Ours::new(limits.node)),
    })
}
