use std::io;

use foreshadow_environment::EnvironmentError;
use foreshadow_environment::isolation::{IsolationError, StartError};

use crate::sample::SampleError;

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
    Start(#[from] StartError),
    /// An input cannot be made smaller.
    #[error(transparent)]
    Sample(#[from] SampleError),
    /// Waiting for it failed.
    #[error("cannot wait for the shadow: {0}")]
    Wait(#[source] io::Error),
    /// No pipe for its output.
    #[error("cannot make a pipe for the shadow's output: {0}")]
    Output(#[source] io::Error),
    /// No file for its error output.
    #[error("cannot make a temporary file for the shadow's error output: {0}; is TMPDIR full?")]
    ErrorOutput(#[source] io::Error),
    /// What is on standard input cannot be given to a shadow.
    #[error("cannot give the shadow what is on standard input: {0}")]
    StandardInput(#[source] io::Error),
}
