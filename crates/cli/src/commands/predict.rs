use crate::args::PredictArguments;
use crate::config::Config;
use crate::failure::Failure;
use crate::progress::Reporter;
use crate::term::Style;
use crate::{engine, output, render};

pub(super) fn execute(
    arguments: PredictArguments,
    config: &Config,
    verbose: bool,
) -> Result<(), Failure> {
    let request = super::request(arguments.argv, arguments.shadow, config)?;
    let prediction = {
        let mut reporter = Reporter::new(false, verbose);
        engine::predict(&request, &mut |p| reporter.show(&p))?
    };
    if arguments.json {
        output::print_json(&prediction)
    } else {
        output::print(&render::predict::report(
            &prediction,
            &request.vary,
            &Style::stdout(),
            verbose,
        ))
    }
}
