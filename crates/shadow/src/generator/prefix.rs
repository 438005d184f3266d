//! The beginning of the real thing.

use std::ffi::OsString;
use std::time::Duration;

use foreshadow_environment::Limits;
use foreshadow_quantity::Bytes;

use super::verdict::valid;
use super::{Generator, Ladder, Rung, Source};
use crate::error::ShadowError;
use crate::input::{Input, Kind, Role};
use crate::run::{Allowance, Ended, ShadowSpec, run};
use crate::vary::Vary;

/// A prefix run is stopped at this part of the input.
const PREFIX: f64 = 0.04;

impl Generator<'_> {
    /// The real thing from its beginning, stopped after so much CPU time or a small part of its
    /// input.
    pub(super) fn prefix(
        &mut self,
        inputs: &[Input],
        cpu: Duration,
        wall: Duration,
    ) -> Result<Rung, ShadowError> {
        self.shadows += 1;
        (self.progress)(self.shadows, None);
        let files: Vec<&Input> = inputs
            .iter()
            .filter(|i| matches!(i.kind, Kind::File(_)) && i.role == Role::Data)
            .collect();
        let bytes: Bytes = files.iter().map(|i| i.bytes).sum();
        let stdin = self.whole_stdin()?;
        let spec = ShadowSpec {
            argv: self.whole_argv(),
            env: self.task.env.clone(),
            cwd: self.task.cwd.clone(),
            stdin,
            limits: Limits::default(),
            allowance: Allowance {
                cpu,
                wall,
                ..self.machine_share()
            },
            network: self.task.network,
            inputs: files.iter().map(|i| i.real.clone()).collect(),
            watch_opens: true,
            overhead: self.overhead,
            progress: (bytes > Bytes::ZERO).then(|| bytes.scale(PREFIX)),
        };
        let run = run(self.host, spec, &mut |_| Ok(()), self.cancelled)?;
        let reached = run
            .recording
            .curve
            .samples()
            .last()
            .map_or(Bytes::ZERO, |s| s.progress);
        let fraction = if run.complete() {
            Some(1.0)
        } else if bytes > Bytes::ZERO && reached > Bytes::ZERO {
            Some((reached.as_f64() / bytes.as_f64()).min(1.0))
        } else {
            None
        };
        Ok(Rung {
            fraction,
            bytes: reached,
            parts: false,
            run,
        })
    }

    pub(super) fn whole_argv(&self) -> Vec<OsString> {
        Vary::apply(&self.task.vary, &self.task.argv, 1.0).0
    }

    /// What is left where nothing can be made smaller.
    pub(super) fn prefix_only(mut self, inputs: Vec<Input>) -> Result<Ladder, ShadowError> {
        let cpu = self.left().mul_f64(0.6);
        let rung = self.prefix(&inputs, cpu, self.left())?;
        if let Some(what) = self.missed_stdin(&rung, false) {
            return Ok(self.without_stdin(inputs, Source::Prefix, rung, &what));
        }
        match rung.run.ended {
            Ended::ByItself if !valid(&rung.run) => {
                let why = format!(
                    "the command fails in its shadow: {}",
                    self.complaint(&rung.run)
                );
                self.wasted.push(rung);
                Ok(self.failed(inputs, Source::Prefix, why))
            }
            Ended::ByItself | Ended::Allowance => {
                Ok(self.ladder(inputs, None, Source::Prefix, vec![rung]))
            }
            Ended::Memory | Ended::Scratch => {
                let why = "its shadow used up what it may of memory or scratch".to_owned();
                self.wasted.push(rung);
                Ok(self.failed(inputs, Source::Prefix, why))
            }
            Ended::Pressure | Ended::Cancelled => {
                self.gave_up(rung);
                let why = "the shadows were stopped before they told anything".to_owned();
                Ok(self.failed(inputs, Source::Prefix, why))
            }
        }
    }
}
