use foreshadow_engine::RunRequest;
use foreshadow_quantity::{Bytes, Cores};

use crate::args::RunArguments;
use crate::config::Config;
use crate::failure::Failure;
use crate::output::ResultFile;
use crate::progress::Reporter;
use crate::term::{self, Style};
use crate::{engine, render};

pub(super) fn execute(
    arguments: RunArguments,
    config: &Config,
    verbose: bool,
) -> Result<u8, Failure> {
    if arguments.memory == Some(Bytes::ZERO) {
        return Err(Failure::Usage("--memory 0 leaves nothing to run in".into()));
    }
    if arguments.cores == Some(Cores::ZERO) {
        return Err(Failure::Usage("--cores 0 leaves nothing to run on".into()));
    }
    // Before the run: a mistake in the name must not cost the result of hours.
    let result = arguments
        .result
        .as_deref()
        .map(ResultFile::open)
        .transpose()?;
    let quiet = arguments.quiet || config.run.quiet;
    let request = RunRequest {
        task: super::request(arguments.argv, arguments.shadow, config)?,
        memory: arguments.memory,
        cores: arguments.cores,
        strict: arguments.strict || config.run.strict,
        predict: !arguments.no_predict && config.run.predict.unwrap_or(true),
    };
    let outcome = {
        let mut reporter = Reporter::new(quiet, verbose);
        engine::run(&request, &mut |p| reporter.show(&p))?
    };
    if !quiet {
        term::write(&render::outcome::report(
            &outcome,
            &Style::stderr(),
            verbose,
        ));
    }
    if let Some(result) = result
        && let Err(failure) = result.write(&outcome)
    {
        // The command has run, and its own code is what the caller waits for.
        term::say(&failure.to_string());
    }
    // What a parent can see of a code are its lowest eight bits.
    Ok(u8::try_from(outcome.shell_code() & 0xff).unwrap_or(Failure::OURS))
}
