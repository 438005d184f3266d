use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use foreshadow_quantity::{Bytes, Cores, Rate};
use foreshadow_shadow::Vary;

/// A command as a client hands it in.
#[derive(Clone, Debug)]
pub struct TaskRequest {
    /// The command and its arguments; at least the command.
    pub argv: Vec<OsString>,
    /// Its variables.
    pub env: Vec<(OsString, OsString)>,
    /// Its working directory.
    pub cwd: PathBuf,
    /// Inputs that the client names, beside those that are found.
    pub inputs: Vec<PathBuf>,
    /// Numbers in the command that scale the work; `{n}` in an argument stands for the one
    /// named `n`.
    pub vary: Vec<Vary>,
    /// What the shadows may use.
    pub budget: Budget,
    /// What the shadows may reach of the network.
    pub network: Network,
    /// Whether earlier runs of the same command are used.
    pub use_history: bool,
}

impl TaskRequest {
    /// A command with this process's variables and working directory, all else by default.
    ///
    /// # Errors
    /// Where the working directory is gone.
    pub fn new(argv: Vec<OsString>) -> std::io::Result<Self> {
        Ok(TaskRequest {
            argv,
            env: std::env::vars_os().collect(),
            cwd: std::env::current_dir()?,
            inputs: Vec::new(),
            vary: Vec::new(),
            budget: Budget::default(),
            network: Network::None,
            use_history: true,
        })
    }
}

/// What the shadows of one prediction may use together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Share of the task's own predicted CPU time, 0.05 for 5 %.
    pub cpu_share: f64,
    /// Wall time.
    pub wall: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Budget {
            cpu_share: 0.05,
            wall: Duration::from_secs(10),
        }
    }
}

/// What shadows may reach of the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// Nothing but their own loopback.
    #[default]
    None,
    /// What the machine reaches, at most at this rate each way.
    Limited(Rate),
}

/// A command to run inside what was predicted.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// The command.
    pub task: TaskRequest,
    /// Memory limit that the client sets, in place of the recommended one.
    pub memory: Option<Bytes>,
    /// Cores that the client sets, in place of the recommended ones.
    pub cores: Option<Cores>,
    /// Keep the limits: the command is not paused and grown when it reaches them.
    pub strict: bool,
    /// Predict before the run; off, the limits are the client's alone.
    pub predict: bool,
}

/// What is going on, for a line of progress.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// Looking at the command's inputs and its past.
    Discovering,
    /// A shadow runs: which one, and the fraction of the work it does, where known.
    Shadow {
        /// The first is 1.
        number: usize,
        /// From 0 to 1.
        fraction: Option<f64>,
    },
    /// The command itself runs now.
    Running,
    /// Something worth a word that doesn't stop the work, such as a store that can't be written.
    Note(String),
}
