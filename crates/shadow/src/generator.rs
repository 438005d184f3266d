//! The shadow task generator: from a task request to the recordings of a ladder of shadows.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use foreshadow_environment::isolation::NetworkAccess;
use foreshadow_environment::{Host, Limits};
use foreshadow_quantity::Bytes;

use crate::error::ShadowError;
use crate::fill::Filler;
use crate::input::{self, Input, Kind, StandardInput, Unreadable, takes_any_bytes};
use crate::ladder::{Budget, RungCost, Scale, expected_cpu, next_fraction};
use crate::run::{Allowance, Ended, ShadowRun, ShadowSpec, run};
use crate::sample::{Samples, Strategy};
use crate::vary::Vary;

/// A command to be cloned into shadows.
#[derive(Debug)]
pub struct TaskToShadow {
    /// The command and its arguments.
    pub argv: Vec<OsString>,
    /// Its variables.
    pub env: Vec<(OsString, OsString)>,
    /// Its working directory.
    pub cwd: PathBuf,
    /// Its standard input, if it has one that matters.
    pub stdin: Option<File>,
    /// Inputs that the client names.
    pub named: Vec<PathBuf>,
    /// Numbers that scale the work.
    pub vary: Vec<Vary>,
    /// What all shadows may use together.
    pub budget: Budget,
    /// Their network.
    pub network: NetworkAccess,
}

/// Where the knowledge of a ladder comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Samples of the inputs.
    SampledInput,
    /// The beginning of the real thing.
    Prefix,
    /// Numbers among the arguments, scaled down.
    VariedArgument,
}

/// One shadow of a ladder.
#[derive(Debug)]
pub struct Rung {
    /// The part of the work that it did (or was stopped at), above 0 and at most 1; `None` where
    /// it isn't known how far it came.
    pub fraction: Option<f64>,
    /// Size of what it read, as stored, in bytes: its progress counts up to this.
    pub bytes: Bytes,
    /// Whether its input is a number of separate files.
    pub parts: bool,
    /// What it showed.
    pub run: ShadowRun,
}

/// What a generator found out.
#[derive(Debug)]
pub struct Ladder {
    /// The inputs of the command, those found by watching a shadow included.
    pub inputs: Vec<Input>,
    /// Which of them shrink.
    pub sampled: Vec<bool>,
    /// How the shadows were made smaller.
    pub source: Source,
    /// Uncompressed size of what shrinks, where that is known.
    pub content: Option<f64>,
    /// The shadows that can be learned from, in the order in which they ran.
    pub rungs: Vec<Rung>,
    /// Shadows that failed or told nothing: their cost counts, their figures don't.
    pub wasted: Vec<Rung>,
    /// Wall time from the first shadow's start to the last one's end.
    pub wall: Duration,
    /// What a user should know, one sentence each.
    pub notes: Vec<String>,
    /// Why there are no rungs to learn from, where there are none.
    pub failure: Option<String>,
}

/// Makes shadows of one task.
pub struct Generator<'a> {
    host: &'a Host,
    task: TaskToShadow,
    cancelled: &'a dyn Fn() -> bool,
    progress: &'a mut dyn FnMut(usize, Option<f64>),
    started: Instant,
    notes: Vec<String>,
    wasted: Vec<Rung>,
    shadows: usize,
}

/// The smallest sample worth a shadow, in bytes of content.
const LEAST: f64 = 4.0 * 1024.0;
/// A prefix run is stopped at this part of the input.
const PREFIX: f64 = 0.04;

impl<'a> Generator<'a> {
    /// A generator for one task. `cancelled` is asked while shadows run; `progress` is told the
    /// number of each shadow and its fraction of the work, before it starts.
    pub fn new(
        host: &'a Host,
        task: TaskToShadow,
        cancelled: &'a dyn Fn() -> bool,
        progress: &'a mut dyn FnMut(usize, Option<f64>),
    ) -> Self {
        Generator {
            host,
            task,
            cancelled,
            progress,
            started: Instant::now(),
            notes: Vec::new(),
            wasted: Vec::new(),
            shadows: 0,
        }
    }

    /// The inputs that the command line names.
    pub fn discover(&self) -> Vec<Input> {
        input::discover(input::Request {
            argv: &self.task.argv,
            cwd: &self.task.cwd,
            stdin: self
                .task
                .stdin
                .as_ref()
                .map_or(StandardInput::Nothing, |f| {
                    StandardInput::Descriptor(f.as_fd())
                }),
            named: &self.task.named,
        })
    }

    /// Climbs the ladder.
    ///
    /// # Errors
    /// Where no shadow can be made at all: no isolation, no environment, or no such command.
    pub fn generate(mut self, inputs: Vec<Input>) -> Result<Ladder, ShadowError> {
        for i in &inputs {
            if let Kind::Unreadable(why @ (Unreadable::Pipe | Unreadable::Socket)) = &i.kind {
                self.note(format!("{}: {why}; shadows see it empty", i.path.display()));
            }
        }
        if !self.task.vary.is_empty() {
            return self.varied(inputs);
        }
        let mut samples = self.samples(&inputs);
        if samples.plan().is_useful() {
            return self.sampled(inputs, samples, true);
        }
        // Nothing on the command line: a look at what it opens may find more.
        let (rung, opened) = self.prefix(&inputs, Duration::from_millis(400))?;
        if rung.run.complete() {
            return Ok(self.ladder(inputs, None, Source::Prefix, vec![rung]));
        }
        let merged = input::merge_opened(inputs, &opened, &self.task.argv, &self.task.cwd).inputs;
        let mut samples = self.samples(&merged);
        if samples.plan().is_useful() {
            self.wasted.push(rung);
            self.note("its inputs were found by watching what a shadow opened");
            return self.sampled(merged, samples, false);
        }
        self.wasted.push(rung);
        self.prefix_only(merged)
    }

    fn samples(&self, inputs: &[Input]) -> Samples {
        // The same command gets the same samples: predictions are to be repeatable.
        Samples::new(inputs, 1).with_any_bytes(takes_any_bytes(&self.task.argv))
    }

    fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn left(&self) -> Duration {
        self.task.budget.wall.saturating_sub(self.started.elapsed())
    }

    fn ladder(
        self,
        inputs: Vec<Input>,
        samples: Option<&mut Samples>,
        source: Source,
        rungs: Vec<Rung>,
    ) -> Ladder {
        let (mut sampled, mut content) = (vec![false; inputs.len()], None);
        if let Some(samples) = samples {
            let plan = samples.plan();
            for i in plan.sampled() {
                sampled[i] = true;
            }
            content = content_of(samples);
        }
        Ladder {
            inputs,
            sampled,
            source,
            content,
            rungs,
            wasted: self.wasted,
            wall: self.started.elapsed(),
            notes: self.notes,
            failure: None,
        }
    }

    fn failed(self, inputs: Vec<Input>, source: Source, why: String) -> Ladder {
        let mut ladder = self.ladder(inputs, None, source, Vec::new());
        ladder.failure = Some(why);
        ladder
    }

    /// The ladder over samples of the inputs. `look` also watches what the first shadow opens.
    fn sampled(
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
            let allowance = self.allowance(&costs, fraction);
            let since = Instant::now();
            let (rung, opened) = match self.sample_run(
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
            if look && rungs.is_empty() {
                look = false;
                let merged =
                    input::merge_opened(inputs.clone(), &opened, &self.task.argv, &self.task.cwd)
                        .inputs;
                if matters(&inputs, &merged) {
                    self.note("further inputs were found by watching what a shadow opened");
                    inputs = merged;
                    samples = self.samples(&inputs);
                    self.wasted.push(rung);
                    continue;
                }
            }
            let achieved = rung.fraction.unwrap_or(fraction);
            let valid = valid(&rung.run);
            if rung.run.ended == Ended::ByItself && !valid {
                failures += 1;
                let why = complaint(&rung.run);
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
                // A sample may be too small to make sense, or lack what must come together.
                least = (least * 16.0).max(fraction * 16.0 * scale.size);
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

    fn gave_up(&mut self, rung: Rung) {
        if rung.run.ended == Ended::Pressure {
            self.note("the machine came under pressure, so the shadows stopped early");
        }
        self.wasted.push(rung);
    }

    /// What the next shadow may use: well beyond what is expected of it, within the budget.
    fn allowance(&self, costs: &[RungCost], fraction: f64) -> Allowance {
        // Growth may turn out steeper than a first rung can show.
        let spare = if costs.len() < 2 { 6.0 } else { 2.5 };
        let cpu = expected_cpu(costs, fraction).map_or(2.0, |e| (spare * e).max(0.5));
        Allowance {
            cpu: Duration::from_secs_f64(cpu.min(self.left().as_secs_f64() * 4.0)),
            wall: self.left(),
            ..self.machine_share()
        }
    }

    /// A shadow's memory and scratch: a small part of what nobody uses now.
    fn machine_share(&self) -> Allowance {
        let available = self
            .host
            .memory_available()
            .unwrap_or_else(|_| self.host.memory_total().scale(0.25));
        Allowance {
            cpu: Duration::MAX,
            wall: Duration::MAX,
            memory: available.scale(0.25).max(Bytes::mib(64)),
            scratch: available.scale(0.08).max(Bytes::mib(32)),
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one call site each, all of them needed"
    )]
    fn sample_run(
        &mut self,
        inputs: &[Input],
        samples: &mut Samples,
        fraction: f64,
        strategy: Strategy,
        allowance: Allowance,
        limits: Limits,
        watch_opens: bool,
    ) -> Result<(Rung, Vec<PathBuf>), ShadowError> {
        self.shadows += 1;
        (self.progress)(self.shadows, Some(fraction));
        let mut filler = Filler::new(inputs, samples, fraction, strategy);
        let stdin = filler.stdin()?;
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
        let opened = run.opened.clone();
        Ok((
            Rung {
                fraction: Some(filled.fraction.unwrap_or(fraction)),
                bytes: filled.bytes,
                parts,
                run,
            },
            opened,
        ))
    }

    /// The real thing from its beginning, stopped after so much CPU time or a small part of its
    /// input.
    fn prefix(
        &mut self,
        inputs: &[Input],
        cpu: Duration,
    ) -> Result<(Rung, Vec<PathBuf>), ShadowError> {
        self.shadows += 1;
        (self.progress)(self.shadows, None);
        let files: Vec<&Input> = inputs
            .iter()
            .filter(|i| matches!(i.kind, Kind::File(_)) && i.role == input::Role::Data)
            .collect();
        let bytes: Bytes = files.iter().map(|i| i.bytes).sum();
        let stdin = match &self.task.stdin {
            Some(file) => crate::fill::reopen(file)?,
            None => None,
        };
        let spec = ShadowSpec {
            argv: self.whole_argv(),
            env: self.task.env.clone(),
            cwd: self.task.cwd.clone(),
            stdin,
            limits: Limits::default(),
            allowance: Allowance {
                cpu,
                wall: self.left(),
                ..self.machine_share()
            },
            network: self.task.network,
            inputs: files.iter().map(|i| i.real.clone()).collect(),
            watch_opens: true,
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
        let opened = run.opened.clone();
        Ok((
            Rung {
                fraction,
                bytes: reached,
                parts: false,
                run,
            },
            opened,
        ))
    }

    fn whole_argv(&self) -> Vec<OsString> {
        Vary::apply(&self.task.vary, &self.task.argv, 1.0).0
    }

    /// What is left where nothing can be made smaller.
    fn prefix_only(mut self, inputs: Vec<Input>) -> Result<Ladder, ShadowError> {
        let cpu = self.left().mul_f64(0.6);
        let (rung, _) = self.prefix(&inputs, cpu)?;
        match rung.run.ended {
            Ended::ByItself if !valid(&rung.run) => {
                let why = format!("the command fails in its shadow: {}", complaint(&rung.run));
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

    /// The ladder over smaller numbers in the command.
    fn varied(mut self, inputs: Vec<Input>) -> Result<Ladder, ShadowError> {
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
                stdin: match &self.task.stdin {
                    Some(file) => crate::fill::reopen(file)?,
                    None => None,
                },
                limits: Limits::default(),
                allowance: self.allowance(&costs, achieved),
                network: self.task.network,
                inputs: Vec::new(),
                watch_opens: false,
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
            if valid {
                rungs.push(rung);
            } else if rung.run.ended == Ended::ByItself {
                let why = complaint(&rung.run);
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

/// Uncompressed size of all that shrinks.
fn content_of(samples: &mut Samples) -> Option<f64> {
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
fn matters(before: &[Input], after: &[Input]) -> bool {
    let size = |inputs: &[Input]| -> f64 {
        inputs
            .iter()
            .filter(|i| i.can_be_sampled())
            .map(|i| i.bytes.as_f64())
            .sum()
    };
    after.len() > before.len() && size(after) > 1.05 * size(before)
}

/// Whether a shadow's figures say something: it ended well, or with a code that seems to be its
/// way of answering (`grep` without a match, `diff` of files that differ), without complaint.
fn valid(run: &ShadowRun) -> bool {
    run.complete()
        || (run.ended == Ended::ByItself
            && run.stderr_tail.is_empty()
            && matches!(
                run.recording.exit,
                Some(foreshadow_environment::Exit::Code(1))
            ))
}

/// How a shadow failed, in its own words where it has some.
fn complaint(run: &ShadowRun) -> String {
    let how = match run.recording.exit {
        Some(foreshadow_environment::Exit::Code(code)) => format!("exit code {code}"),
        Some(foreshadow_environment::Exit::Signal(signal)) => format!("signal {signal}"),
        None => "stopped".to_owned(),
    };
    match run.stderr_tail.lines().next_back() {
        Some(line) if !line.is_empty() => format!("{how}, \"{}\"", line.trim()),
        _ => how,
    }
}

/// CPU time before any input was read.
fn startup(run: &ShadowRun) -> Option<f64> {
    let samples = run.recording.curve.samples();
    let first = samples.iter().position(|s| s.progress > Bytes::ZERO)?;
    Some(
        samples
            .get(first.checked_sub(1)?)
            .map_or(0.0, |s| s.cpu.as_secs_f64()),
    )
}
