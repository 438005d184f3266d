//! Extrapolation, history models, intervals, calibration: pure, without I/O and without a clock.
//!
//! [`Predictive`] is what every method here ends in: a distribution of one positive quantity.
//! [`cost`] turns it into the amount to ask for; [`history`] learns it from finished tasks.

pub mod cost;
pub mod extrapolation;
pub mod history;
mod predictive;

pub use predictive::Predictive;
