//! The `foreshadow` program: what a command will need, before it runs.

mod args;
mod budget;
mod commands;
mod config;
mod engine;
mod failure;
mod output;
mod progress;
mod render;
mod term;

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::args::Arguments;
use crate::failure::Failure;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version come this way too. A pipe that was closed is no failure.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                _ => ExitCode::from(Failure::OURS),
            };
        }
    };
    match commands::execute(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            if !failure.is_silent() {
                term::say(&failure.to_string());
            }
            ExitCode::from(failure.exit_code())
        }
    }
}
