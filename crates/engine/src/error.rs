use std::io;
use std::path::PathBuf;

use foreshadow_environment::isolation::StartError;
use foreshadow_environment::{EnvironmentError, SpawnError};
use foreshadow_shadow::ShadowError;

/// Why the engine could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is no command.
    #[error("no command given; put it after `--`")]
    NoCommand,
    /// The command was not found.
    #[error("{}: command not found", command.display())]
    NotFound {
        /// The command as given.
        command: PathBuf,
    },
    /// The command exists but cannot be executed.
    #[error("{}: cannot execute: {reason}", command.display())]
    NotExecutable {
        /// The command as given.
        command: PathBuf,
        /// Why.
        reason: String,
    },
    /// The command could not be started for another reason.
    #[error(transparent)]
    Spawn(SpawnError),
    /// An environment could not be made, changed or read.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// No shadow could be made.
    #[error(transparent)]
    Shadow(ShadowError),
    /// A number to vary that isn't marked in the command.
    #[error("--vary {name}: no argument of the command holds {{{name}}}, so nothing would change")]
    NotMarked {
        /// The name.
        name: String,
    },
    /// Waiting for a process failed.
    #[error("cannot wait for the command: {0}")]
    Wait(#[source] io::Error),
    /// A signal asked this process to end.
    #[error("interrupted by signal {0}")]
    Interrupted(i32),
}

impl From<SpawnError> for EngineError {
    fn from(error: SpawnError) -> Self {
        match error {
            SpawnError::NotFound { command } => EngineError::NotFound {
                command: command.into(),
            },
            SpawnError::NotExecutable { command, reason } => EngineError::NotExecutable {
                command: command.into(),
                reason,
            },
            other => EngineError::Spawn(other),
        }
    }
}

impl From<ShadowError> for EngineError {
    fn from(error: ShadowError) -> Self {
        match error {
            ShadowError::Start(StartError::NotFound { command }) => {
                EngineError::NotFound { command }
            }
            ShadowError::Start(StartError::NotExecutable { command, source }) => {
                EngineError::NotExecutable {
                    command,
                    reason: source.to_string(),
                }
            }
            other => EngineError::Shadow(other),
        }
    }
}
