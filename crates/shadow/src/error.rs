use std::io;

use foreshadow_environment::isolation::IsolationError;
use foreshadow_environment::{EnvironmentError, SpawnError};

/// Why a shadow could not be run.
#[derive(Debug, thiserror::Error)]
pub enum ShadowError {
    /// Its effects cannot be kept from getting out.
    #[error(transparent)]
    Isolation(#[from] IsolationError),
    /// Its environment cannot be made or read.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The command cannot be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// No file for its error output.
    #[error("cannot make a temporary file for the shadow's error output: {0}; is TMPDIR full?")]
    ErrorOutput(#[source] io::Error),
}
