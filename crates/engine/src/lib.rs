//! The adaptive shadowing engine: from a task request to its prediction and its run.

pub mod contract;
mod error;
mod forecast;
mod machine;
mod pages;
mod past;
mod predict;
mod primary;
mod request;
mod run;

use foreshadow_environment::{Host, Signals, sweep};
use foreshadow_store::Store;

use crate::contract::{Outcome, Prediction};
use crate::predict::Session;

pub use error::EngineError;
pub use foreshadow_shadow::Vary;
pub use request::{Budget, Network, Progress, RunRequest, TaskRequest};

/// An engine on this machine, over one history.
#[derive(Debug)]
pub struct Engine {
    host: Host,
    store: Option<Store>,
    signals: Signals,
}

impl Engine {
    /// An engine for this machine; `store` is its history, if there is one. Signals that ask the
    /// program to end are from now on taken as events, see [`Signals`].
    ///
    /// # Errors
    /// Where the kernel refuses to hand over signals.
    pub fn new(store: Option<Store>) -> Result<Self, EngineError> {
        let host = Host::detect();
        // What an earlier process left when it was killed; that it can't be removed hinders nothing.
        let _ = sweep(&host);
        Ok(Engine {
            host,
            store,
            signals: Signals::terminating().map_err(EngineError::Wait)?,
        })
    }

    /// The machine.
    pub fn host(&self) -> &Host {
        &self.host
    }

    fn session(&self) -> Session<'_> {
        Session {
            host: &self.host,
            store: self.store.as_ref(),
            signals: &self.signals,
        }
    }

    /// What the command of this request will need. That nothing can be said is no error: see
    /// [`Prediction::abstained`].
    ///
    /// # Errors
    /// Where there is no such command, or a shadow could not be cleaned up or read, or a signal
    /// asked to end.
    pub fn predict(
        &self,
        request: &TaskRequest,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Prediction, EngineError> {
        let session = self.session();
        let made = session.predict(request, true, progress)?;
        session.keep(&made, None, progress);
        Ok(made.document)
    }

    /// Runs the command of this request inside what is predicted for it. Its streams are those of
    /// this process.
    ///
    /// # Errors
    /// Where the command could not be started; that it fails is no error: see [`Outcome`].
    pub fn run(
        &self,
        request: &RunRequest,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Outcome, EngineError> {
        self.session().run(request, progress)
    }
}
