//! What this machine offers, what it lacks, and the command that mends it.

use serde::{Deserialize, Serialize};

use crate::Host;

/// How much of something a machine offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All of it.
    Available,
    /// With something missing.
    Limited,
    /// Nothing.
    Missing,
}

/// One thing looked for on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked for.
    pub name: String,
    /// How much of it there is.
    pub status: Status,
    /// What was found.
    pub detail: String,
    /// The command that mends what is missing, where there is one.
    pub remedy: Option<String>,
}

/// Looks at everything.
pub(crate) fn all(_host: &Host) -> Vec<Finding> {
    Vec::new()
}
