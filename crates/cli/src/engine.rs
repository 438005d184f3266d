//! The engine, with its errors as ours.

use foreshadow_engine::contract::{Outcome, Prediction};
use foreshadow_engine::{Progress, RunRequest, TaskRequest};

use crate::failure::Failure;

pub(crate) fn predict(
    _request: &TaskRequest,
    _progress: &mut dyn FnMut(Progress),
) -> Result<Prediction, Failure> {
    Err(Failure::Engine(
        "the engine is not part of this build yet".into(),
    ))
}

pub(crate) fn run(
    _request: &RunRequest,
    _progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, Failure> {
    Err(Failure::Engine(
        "the engine is not part of this build yet".into(),
    ))
}
