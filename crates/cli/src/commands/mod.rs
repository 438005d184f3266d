//! What each subcommand does.

pub(crate) mod accuracy;
mod doctor;
mod history;
mod pages;
mod predict;
mod run;

use std::env;
use std::ffi::OsString;

use foreshadow_engine::{Budget, Network, TaskRequest};

use crate::args::{Arguments, Command, ShadowArguments};
use crate::config::Config;
use crate::failure::Failure;

/// Does what was asked; gives the exit code.
pub(crate) fn execute(arguments: Arguments) -> Result<u8, Failure> {
    let config = Config::load(arguments.config.as_deref())?;
    let verbose = arguments.verbose > 0;
    match arguments.command {
        Command::Predict(a) => predict::execute(a, &config, verbose).map(|()| 0),
        Command::Run(a) => run::execute(a, &config, verbose),
        Command::History(a) => history::execute(&a).map(|()| 0),
        Command::Accuracy(a) => accuracy::execute(&a).map(|()| 0),
        Command::Replay(a) => Ok(foreshadow_replay::cli::run(&a)),
        Command::Doctor(a) => doctor::execute(&a).map(|()| 0),
        Command::Completions(a) => pages::completions(&a).map(|()| 0),
        Command::Man(a) => pages::man(&a).map(|()| 0),
    }
}

/// The request that the arguments and the configuration make together.
fn request(
    argv: Vec<OsString>,
    shadow: ShadowArguments,
    config: &Config,
) -> Result<TaskRequest, Failure> {
    let mut budget = Budget::default();
    for part in config.budget.iter().chain(&shadow.budget) {
        part.apply(&mut budget);
    }
    Ok(TaskRequest {
        argv,
        env: env::vars_os().collect(),
        cwd: env::current_dir().map_err(Failure::Directory)?,
        inputs: shadow.input,
        vary: shadow.vary,
        budget,
        network: shadow.net.or(config.net).unwrap_or(Network::None),
        use_history: !shadow.no_history && config.history.unwrap_or(true),
    })
}
