//! The documents that others read: `foreshadow.prediction/1` and `foreshadow.outcome/1`.
//!
//! Within a version, fields are only ever added. A figure that is not known is `null`, never 0;
//! an amount of memory or data is in bytes, a time in seconds, a share of processors in cores.
//!
//! Text in these documents is Unicode, while names of files and arguments need not be. Where one
//! is not UTF-8, its text has U+FFFD in place of what could not be read, and a field with the
//! same name and `_hex` after it holds the bytes themselves; otherwise that field is absent.

mod outcome;
mod prediction;
mod raw;
mod schema;

#[cfg(test)]
mod tests;

pub use outcome::{
    Actual, Adjustment, AlertSummary, CauseOfDeath, OUTCOME_SCHEMA, Outcome, Reservation, Severity,
};
pub use prediction::{
    Input, Levels, Method, PREDICTION_SCHEMA, Prediction, Recommend, Resources, Shadow, ShadowRun,
};
pub use raw::{CommandLine, PathText};
pub use schema::{OutcomeSchema, PredictionSchema};
