//! The shadow task generator: inputs, samples, small isolated runs.

mod error;
mod fill;
pub mod format;
mod generator;
pub mod input;
pub mod ladder;
mod live_work;
mod run;
pub mod sample;
mod vary;
mod waiting;

pub use error::ShadowError;
pub use generator::{Generator, Ladder, Rung, Source, TaskToShadow};
pub use run::{Allowance, Ended, ShadowInput, ShadowRun, ShadowSpec, run};
pub use vary::Vary;
