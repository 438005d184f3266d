//! The engine over the history of this user, with its errors as ours.

use foreshadow_engine::contract::{Outcome, Prediction};
use foreshadow_engine::{Engine, EngineError, Progress, RunRequest, TaskRequest};
use foreshadow_store::{Store, StoreError, state_dir};

use crate::failure::Failure;

pub(crate) fn predict(
    request: &TaskRequest,
    progress: &mut dyn FnMut(Progress),
) -> Result<Prediction, Failure> {
    Ok(engine(progress)?.predict(request, progress)?)
}

pub(crate) fn run(
    request: &RunRequest,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, Failure> {
    Ok(engine(progress)?.run(request, progress)?)
}

/// An engine; without a history where there can be none, which is said once.
fn engine(progress: &mut dyn FnMut(Progress)) -> Result<Engine, Failure> {
    let open = || -> Result<Store, StoreError> { Store::open(&state_dir()?) };
    let store = open()
        .map_err(|e| progress(Progress::Note(format!("going on without history: {e}"))))
        .ok();
    Ok(Engine::new(store)?)
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let text = error.to_string();
        match error {
            EngineError::NotFound { .. } => Failure::NotFound(text),
            EngineError::NotExecutable { .. } => Failure::NotExecutable(text),
            EngineError::Interrupted(signal) => Failure::Interrupted(signal),
            EngineError::NotMarked { .. } | EngineError::NoCommand => Failure::Usage(text),
            EngineError::Spawn(_)
            | EngineError::Environment(_)
            | EngineError::Shadow(_)
            | EngineError::Wait(_) => Failure::Engine(text),
        }
    }
}
