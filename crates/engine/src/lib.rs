//! The adaptive shadowing engine: from a task request to its prediction and its run.

pub mod contract;
mod request;

pub use request::{Budget, Network, Progress, RunRequest, TaskRequest, Vary};
