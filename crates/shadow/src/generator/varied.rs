//! The ladder over smaller numbers in the command.

use std::time::Instant;

use foreshadow_environment::Limits;
use foreshadow_quantity::Bytes;

use super::verdict::valid;
use super::{Generator, Ladder, Rung, Source};
use crate::error::ShadowError;
use crate::input::Input;
use crate::ladder::{RungCost, Scale, next_fraction};
use crate::run::{Ended, ShadowSpec, run};
use crate::vary::Vary;

impl Generator<'_> {
    /// The ladder over smaller numbers in the command.
    pub(super) fn varied(mut self, inputs: Vec<Input>) -> Result<Ladder, ShadowError> {
        let mut rungs: Vec<Rung> = Vec::new();
        let mut costs: Vec<RungCost> = Vec::new();
        let scale = Scale {
            size: Vary::size(&self.task.vary),
            least: 1.0,
        };
        while let Some(fraction) = next_fraction(&self.task.budget, scale, &costs) {
            self.shadows += 1;
            (self.progress)(self.shadows, Some(fraction));
            let (argv, achieved) = Vary::apply(&self.task.vary, &self.task.argv, fraction);
            if costs.iter().any(|c| (c.fraction - achieved).abs() < 1e-9) {
                break;
            }
            let since = Instant::now();
            let spec = ShadowSpec {
                argv,
                env: self.task.env.clone(),
                cwd: self.task.cwd.clone(),
                stdin: self.whole_stdin()?,
                limits: Limits::default(),
                allowance: self.allowance(&costs, achieved),
                network: self.task.network,
                inputs: Vec::new(),
                watch_opens: false,
                overhead: self.overhead,
                progress: None,
            };
            let run = run(self.host, spec, &mut |_| Ok(()), self.cancelled)?;
            let valid = valid(&run);
            costs.push(RungCost {
                fraction: achieved,
                cpu: run.recording.cpu.as_secs_f64(),
                startup: None,
                wall: since.elapsed().as_secs_f64(),
                complete: valid,
            });
            let rung = Rung {
                fraction: Some(achieved),
                bytes: Bytes::ZERO,
                parts: false,
                run,
            };
            if let Some(what) = self.missed_stdin(&rung, true) {
                return Ok(self.without_stdin(inputs, Source::VariedArgument, rung, &what));
            }
            if valid {
                rungs.push(rung);
            } else if rung.run.ended == Ended::ByItself {
                let why = self.complaint(&rung.run);
                self.wasted.push(rung);
                self.note(format!("with smaller numbers the command fails: {why}"));
                break;
            } else if matches!(rung.run.ended, Ended::Pressure | Ended::Cancelled) {
                self.gave_up(rung);
                break;
            } else {
                self.wasted.push(rung);
            }
        }
        if rungs.is_empty() {
            let why = "no shadow with smaller numbers came to a successful end".to_owned();
            return Ok(self.failed(inputs, Source::VariedArgument, why));
        }
        Ok(self.ladder(inputs, None, Source::VariedArgument, rungs))
    }
}
