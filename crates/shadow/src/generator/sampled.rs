//! The ladder over samples of the inputs.

use std::time::{Duration, Instant};

use foreshadow_environment::Limits;
use foreshadow_quantity::Bytes;

use super::verdict::{startup, valid};
use super::{Generator, Ladder, Rung, Source, without_outputs};
use crate::error::ShadowError;
use crate::fill::Filler;
use crate::input::{Input, Role};
use crate::ladder::{RungCost, Scale, next_fraction};
use crate::run::{Allowance, Ended, ShadowInput, ShadowSpec, run};
use crate::sample::{Samples, Strategy};

/// The smallest sample worth a shadow, in bytes of content.
const LEAST: f64 = 4.0 * 1024.0;
/// The largest first sample.
const FIRST_MOST: Bytes = Bytes::mib(32);
/// After a failure a sample is so many times larger.
const RETRY: f64 = 8.0;

impl Generator<'_> {
    /// The ladder over samples of the inputs. `look` also watches what the first shadow opens.
    pub(super) fn sampled(
        mut self,
        mut inputs: Vec<Input>,
        mut samples: Samples,
        mut look: bool,
    ) -> Result<Ladder, ShadowError> {
        let mut rungs: Vec<Rung> = Vec::new();
        let mut costs: Vec<RungCost> = Vec::new();
        let mut strategy = Strategy::Contiguous;
        let mut failures = 0;
        let mut least = LEAST;
        loop {
            let scale = Scale {
                size: content_of(&mut samples).unwrap_or(0.0),
                least,
            };
            let Some(fraction) = next_fraction(&self.task.budget, scale, &costs) else {
                break;
            };
            let Some(fraction) = self.affordable(fraction, scale.size, &costs) else {
                break;
            };
            let allowance = self.allowance(&costs, fraction);
            let since = Instant::now();
            let rung = match self.sample_run(
                &inputs,
                &mut samples,
                fraction,
                strategy,
                allowance,
                Limits::default(),
                look && rungs.is_empty(),
            ) {
                Ok(done) => done,
                // This input can't be made smaller this way: what is left is a prefix of the run.
                Err(ShadowError::Sample(why)) => {
                    self.note(why.to_string());
                    return self.prefix_only(inputs);
                }
                Err(other) => return Err(other),
            };
            if rung.run.ended == Ended::Cancelled || rung.run.ended == Ended::Pressure {
                self.gave_up(rung);
                break;
            }
            if let Some(what) = self.missed_stdin(&rung, true) {
                return Ok(self.without_stdin(inputs, Source::SampledInput, rung, &what));
            }
            if look && rungs.is_empty() {
                look = false;
                let sampled: Vec<usize> = samples.plan().sampled().collect();
                let known = without_outputs(inputs, &rung.run.written);
                let merged = self.with_opened(known.clone(), &rung.run);
                let more = matters(&known, &merged);
                let less = sampled.iter().any(|&i| known[i].role != Role::Data);
                inputs = if more { merged } else { known };
                if more {
                    self.note("further inputs were found by watching what a shadow opened");
                }
                if more || less {
                    samples = self.samples(&inputs);
                    self.wasted.push(rung);
                    if !samples.plan().is_useful() {
                        return self.prefix_only(inputs);
                    }
                    continue;
                }
            }
            let achieved = rung.fraction.unwrap_or(fraction);
            let valid = valid(&rung.run);
            if rung.run.ended == Ended::ByItself && !valid {
                failures += 1;
                let why = self.complaint(&rung.run);
                let wall = rung.run.recording.wall;
                self.wasted.push(rung);
                if failures >= 3 || wall > self.left() {
                    if rungs.is_empty() {
                        self.note(format!("on samples the command fails: {why}"));
                        return self.prefix_only(inputs);
                    }
                    self.note(format!("a shadow failed: {why}"));
                    break;
                }
                // A sample may be too small to make sense, or lack what must come together. What
                // was asked for may have come out larger: a directory holds one file at the least.
                least = (least * RETRY).max(achieved.max(fraction) * RETRY * scale.size);
                if failures == 2 {
                    strategy = Strategy::Random;
                }
                continue;
            }
            costs.push(RungCost {
                fraction: achieved,
                cpu: rung.run.recording.cpu.as_secs_f64(),
                startup: startup(&rung.run),
                wall: since.elapsed().as_secs_f64(),
                complete: valid,
            });
            match rung.run.ended {
                Ended::ByItself => rungs.push(rung),
                Ended::Memory => {
                    self.note(format!(
                        "a shadow on 1/{:.0} of the input used up its {} of memory",
                        1.0 / achieved,
                        allowance.memory
                    ));
                    self.wasted.push(rung);
                }
                Ended::Scratch => {
                    self.note(format!(
                        "a shadow on 1/{:.0} of the input wrote more than the {} it may",
                        1.0 / achieved,
                        allowance.scratch
                    ));
                    self.wasted.push(rung);
                }
                Ended::Allowance | Ended::Pressure | Ended::Cancelled => self.wasted.push(rung),
            }
        }
        if rungs.is_empty() {
            if self.left() > Duration::from_millis(500) && !(self.cancelled)() {
                return self.prefix_only(inputs);
            }
            let why = "no shadow came to an end within the budget".to_owned();
            return Ok(self.failed(inputs, Source::SampledInput, why));
        }
        Ok(self.ladder(inputs, Some(&mut samples), Source::SampledInput, rungs))
    }

    /// A fraction whose sample is not too large to be held in memory, nor too long in the writing
    /// before the cost of a rung is known; `None` where that is no more than has been run.
    fn affordable(&self, fraction: f64, size: f64, costs: &[RungCost]) -> Option<f64> {
        let most = if costs.is_empty() {
            FIRST_MOST
        } else {
            self.machine_share().memory
        };
        let fraction = fraction.min(most.as_f64() / size.max(1.0));
        let known = costs
            .iter()
            .filter(|c| c.complete)
            .any(|c| (fraction / c.fraction - 1.0).abs() < 0.2);
        (!known).then_some(fraction)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one call site each, all of them needed"
    )]
    pub(super) fn sample_run(
        &mut self,
        inputs: &[Input],
        samples: &mut Samples,
        fraction: f64,
        strategy: Strategy,
        allowance: Allowance,
        limits: Limits,
        watch_opens: bool,
    ) -> Result<Rung, ShadowError> {
        self.shadows += 1;
        (self.progress)(self.shadows, Some(fraction));
        let mut filler = Filler::new(inputs, samples, fraction, strategy);
        let stdin = match filler.stdin()? {
            Some(sample) => ShadowInput::File(sample),
            None => self.whole_stdin()?,
        };
        let spec = ShadowSpec {
            argv: self.task.argv.clone(),
            env: self.task.env.clone(),
            cwd: self.task.cwd.clone(),
            stdin,
            limits,
            allowance,
            network: self.task.network,
            inputs: filler.watched(),
            watch_opens,
            overhead: self.overhead,
            progress: None,
        };
        let run = run(
            self.host,
            spec,
            &mut |sandbox| filler.fill(sandbox),
            self.cancelled,
        )?;
        let parts = filler.parts();
        let filled = filler.done();
        for note in filled.notes {
            self.note(note);
        }
        Ok(Rung {
            fraction: Some(filled.fraction.unwrap_or(fraction)),
            bytes: filled.bytes,
            parts,
            run,
        })
    }
}

/// Uncompressed size of all that shrinks.
pub(super) fn content_of(samples: &mut Samples) -> Option<f64> {
    let indices: Vec<usize> = samples.plan().sampled().collect();
    let mut sum = 0.0;
    for index in indices {
        #[expect(clippy::cast_precision_loss, reason = "sizes of files")]
        {
            sum += samples.content(index).ok()?.bytes as f64;
        }
    }
    (sum > 0.0).then_some(sum)
}

/// Whether inputs that were found by watching are a part of the work to reckon with.
pub(super) fn matters(before: &[Input], after: &[Input]) -> bool {
    let size = |inputs: &[Input]| -> f64 {
        inputs
            .iter()
            .filter(|i| i.can_be_sampled())
            .map(|i| i.bytes.as_f64())
            .sum()
    };
    after.len() > before.len() && size(after) > 1.05 * size(before)
}
