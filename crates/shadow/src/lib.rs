//! The shadow task generator: inputs, samples, small isolated runs.

pub mod format;
pub mod input;
pub mod sample;
