//! Learning from finished tasks: one online learner per command signature and resource.
//!
//! # Problem
//! The tenth run of a command should be far better predicted than the first, from features that
//! are partly missing, partly useless, with relations that may be constant, linear, a power law or
//! nothing of the kind; while programs change, single records are absurd, and killed tasks tell
//! only a lower bound. An update must cost microseconds, and memory must not grow with the number
//! of tasks.
//!
//! # Approach
//! A [`Learner`] keeps a bounded [memory](Learner::remembered) of observations: the most recent
//! ones and a uniform sample of those before. Over it a set of simple models (mean, median, and
//! for each feature a line, a line in the logarithms and nearest neighbours) is fitted, and each
//! model's *leave-one-out* errors are computed in closed form. Models are averaged by their
//! errors; the errors of that average are the predictive distribution, with mass `1/(n+1)` above
//! the largest error for what was never seen. Levels of the distribution are shifted online so
//! that intervals hold their coverage when the data drift (adaptive conformal inference, Gibbs and
//! Candès, NeurIPS 2021). A two-sided cumulative sum over the ranks of outcomes within their
//! forecasts (Page, Biometrika 1954) finds changes, upon which what lies before is forgotten.

mod blend;
mod calibration;
mod change;
mod features;
mod fit;
mod learner;
mod memory;
mod models;

pub use blend::blend;
pub use features::{Features, Observation, ObservationError};
pub use learner::{Abstention, Config, Learner, Prediction};

#[cfg(test)]
mod tests;
