use std::io;
use std::path::PathBuf;

use foreshadow_store::StoreError;

/// Why this program ends without having done what it was asked; with an exit code as `timeout(1)`
/// has them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command is not there.
    #[error("{0}")]
    NotFound(String),
    /// The command is there and cannot be started.
    #[error("{0}")]
    NotExecutable(String),
    /// A signal asked to end.
    #[error("interrupted")]
    Interrupted(i32),
    /// Anything else that stopped the engine.
    #[error("{0}")]
    Engine(String),
    /// An option's value, or a combination of them.
    #[error("{0}")]
    Usage(String),
    /// The configuration file.
    #[error("{}: {detail}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line.
        detail: String,
    },
    /// The history, where it is what was asked for.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file that was to be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// Standard output.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    /// The working directory.
    #[error("the working directory cannot be used: {0}; change to one that exists")]
    Directory(io::Error),
}

impl Failure {
    /// Our own failure.
    pub(crate) const OURS: u8 = 125;
    const NOT_EXECUTABLE: u8 = 126;
    const NOT_FOUND: u8 = 127;

    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Failure::NotFound(_) => Failure::NOT_FOUND,
            Failure::NotExecutable(_) => Failure::NOT_EXECUTABLE,
            // As a shell says it.
            Failure::Interrupted(signal) => u8::try_from(128 + signal).unwrap_or(Failure::OURS),
            _ => Failure::OURS,
        }
    }

    /// Whether there is nobody to tell: the reader of our output has gone.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self, Failure::Output(e) if e.kind() == io::ErrorKind::BrokenPipe)
    }
}
