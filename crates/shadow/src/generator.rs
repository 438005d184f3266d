//! The shadow task generator: from a task request to the recordings of a ladder of shadows.

mod prefix;
mod sampled;
mod stdin;
mod varied;
mod verdict;

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use foreshadow_environment::isolation::NetworkAccess;
use foreshadow_environment::{Host, Limits};
use foreshadow_quantity::Bytes;

use crate::error::ShadowError;
use crate::input::{self, Input, Kind, Origin, Role, StandardInput, takes_any_bytes};
use crate::ladder::{Budget, RungCost, expected_cpu};
use crate::run::{Allowance, Ended, ShadowInput, ShadowRun, ShadowSpec, run};
use crate::sample::Samples;
use crate::vary::Vary;
use sampled::content_of;
use stdin::cannot_be_replayed;

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
    overhead: Bytes,
}

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
            overhead: Bytes::ZERO,
        }
    }

    /// The inputs that the command line names. A pipe or terminal on standard input isn't among
    /// them: whether it matters, only a shadow can tell.
    pub fn discover(&self) -> Vec<Input> {
        let mut inputs = input::discover(input::Request {
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
        });
        inputs.retain(|i| !(i.origin == Origin::Stdin && cannot_be_replayed(i)));
        inputs
    }

    /// Climbs the ladder.
    ///
    /// # Errors
    /// Where no shadow can be made at all: no isolation, no environment, or no such command.
    pub fn generate(mut self, inputs: Vec<Input>) -> Result<Ladder, ShadowError> {
        self.overhead = self.measure_overhead();
        if !self.task.vary.is_empty() {
            return self.varied(inputs);
        }
        let mut samples = self.samples(&inputs);
        if samples.plan().is_useful() {
            return self.sampled(inputs, samples, true);
        }
        // Nothing on the command line: a look at what it opens may find more.
        let wall = self.left().mul_f64(0.4);
        let rung = self.prefix(&inputs, Duration::from_millis(400), wall)?;
        if let Some(what) = self.missed_stdin(&rung, false) {
            return Ok(self.without_stdin(inputs, Source::Prefix, rung, &what));
        }
        let inputs = without_outputs(inputs, &rung.run.written);
        if rung.run.complete() {
            return Ok(self.ladder(inputs, None, Source::Prefix, vec![rung]));
        }
        let merged = self.with_opened(inputs, &rung.run);
        let mut samples = self.samples(&merged);
        if samples.plan().is_useful() {
            self.wasted.push(rung);
            self.note("its inputs were found by watching what a shadow opened");
            return self.sampled(merged, samples, false);
        }
        self.wasted.push(rung);
        self.prefix_only(merged)
    }

    /// The inputs, and those that a shadow opened.
    fn with_opened(&self, inputs: Vec<Input>, run: &ShadowRun) -> Vec<Input> {
        let read: Vec<PathBuf> = run
            .opened
            .iter()
            .filter(|path| !run.written.contains(path))
            .cloned()
            .collect();
        input::merge_opened(inputs, &read, &self.task.argv, &self.task.cwd).inputs
    }

    /// Memory that a shadow of next to nothing (`true`) takes: namespaces, mounts and their first
    /// process. Nothing where there is no such program.
    fn measure_overhead(&self) -> Bytes {
        // A program that does nothing has this much of its own.
        const OWN: Bytes = Bytes::kib(160);
        const MOST: Bytes = Bytes::mib(4);
        let spec = ShadowSpec {
            argv: vec!["true".into()],
            env: self.task.env.clone(),
            cwd: self.task.cwd.clone(),
            stdin: ShadowInput::Nothing,
            limits: Limits::default(),
            allowance: Allowance {
                cpu: Duration::from_millis(100),
                wall: Duration::from_millis(300),
                ..self.machine_share()
            },
            network: self.task.network,
            inputs: Vec::new(),
            watch_opens: false,
            overhead: Bytes::ZERO,
            progress: None,
        };
        match run(self.host, spec, &mut |_| Ok(()), self.cancelled) {
            Ok(empty) if empty.complete() => {
                empty.recording.peak_memory.saturating_sub(OWN).min(MOST)
            }
            _ => Bytes::ZERO,
        }
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
        mut self,
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
        self.tell_of_load(&rungs);
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
}

/// The same inputs, those marked as outputs that a shadow wrote and did not read.
fn without_outputs(mut inputs: Vec<Input>, written: &[PathBuf]) -> Vec<Input> {
    for input in &mut inputs {
        if input.role == Role::Data
            && matches!(input.kind, Kind::File(_))
            && written.contains(&input.real)
        {
            input.role = Role::Output;
        }
    }
    inputs
}
