//! Completions and manual pages, made from the definition of the arguments.

use std::path::Path;

use clap::CommandFactory as _;

use crate::args::{Arguments, CompletionsArguments, ManArguments};
use crate::failure::Failure;
use crate::output;

pub(super) fn completions(arguments: &CompletionsArguments) -> Result<(), Failure> {
    let mut text = Vec::new();
    let mut command = Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "foreshadow", &mut text);
    output::print(&String::from_utf8_lossy(&text))
}

pub(super) fn man(arguments: &ManArguments) -> Result<(), Failure> {
    let command = Arguments::command();
    let Some(dir) = &arguments.dir else {
        let mut text = Vec::new();
        clap_mangen::Man::new(command)
            .render(&mut text)
            .map_err(Failure::Output)?;
        return output::print(&String::from_utf8_lossy(&text));
    };
    write_pages(command, dir).map_err(|source| Failure::Write {
        path: dir.clone(),
        source,
    })
}

fn write_pages(command: clap::Command, dir: &Path) -> std::io::Result<()> {
    clap_mangen::generate_to(command.disable_help_subcommand(true), dir)
}
