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
use crate::input::{self, Input, Kind, Origin, Role, StandardInput, Unreadable, takes_any_bytes};
use crate::ladder::{Budget, RungCost, Scale, expected_cpu, next_fraction};
use crate::run::{Allowance, Ended, ShadowInput, ShadowRun, ShadowSpec, run};
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
    overhead: Bytes,
}

/// The smallest sample worth a shadow, in bytes of content.
const LEAST: f64 = 4.0 * 1024.0;
/// After a failure a sample is so many times larger.
const RETRY: f64 = 8.0;
/// Waiting of shadows that is worth a word: so long altogether, in seconds ...
const LOAD_SECONDS: f64 = 0.3;
/// ... and this share of the time in which they wanted a processor.
const LOAD_SHARE: f64 = 0.3;
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

    /// What is on standard input and can't be read twice.
    fn lost_stdin(&self) -> Option<Input> {
        let found = input::discover(input::Request {
            argv: &[],
            cwd: &self.task.cwd,
            stdin: StandardInput::Descriptor(self.task.stdin.as_ref()?.as_fd()),
            named: &[],
        });
        found.into_iter().find(cannot_be_replayed)
    }

    /// The whole of standard input, for a shadow.
    fn whole_stdin(&self) -> Result<ShadowInput, ShadowError> {
        let Some(file) = &self.task.stdin else {
            return Ok(ShadowInput::Nothing);
        };
        Ok(match crate::fill::reopen(file)? {
            Some(file) => ShadowInput::File(file),
            None if self.lost_stdin().is_some() => ShadowInput::Missing,
            None => ShadowInput::Nothing,
        })
    }

    /// Whether a shadow's figures are worthless since it found nothing on standard input, where the
    /// real run finds something. A terminal is forgiven where there are `samples`: programs look
    /// there for somebody who wants to stop them.
    fn missed_stdin(&mut self, rung: &Rung, samples: bool) -> Option<Unreadable> {
        if !rung.run.missed_stdin {
            return None;
        }
        match self.lost_stdin()?.kind {
            Kind::Unreadable(Unreadable::Terminal) if samples => {
                self.note("it reads the terminal; in a shadow nobody types");
                None
            }
            Kind::Unreadable(why) => Some(why),
            Kind::File(_) | Kind::Directory { .. } => None,
        }
    }

    /// Nothing can be said: it reads what can't be read twice.
    fn without_stdin(
        mut self,
        mut inputs: Vec<Input>,
        source: Source,
        rung: Rung,
        what: &Unreadable,
    ) -> Ladder {
        self.wasted.push(rung);
        if *what != Unreadable::Terminal {
            inputs.extend(self.lost_stdin());
        }
        let what = match what {
            Unreadable::Pipe => "a pipe",
            Unreadable::Socket => "a socket",
            Unreadable::Terminal => "a terminal",
            _ => "a device",
        };
        let why = format!(
            "the command reads standard input, which is {what} and can't be replayed; redirect a \
             file instead: `< FILE`, or `< /dev/null` where it needs nothing from there"
        );
        self.failed(inputs, source, why)
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

    /// Says so where others on the processors made the ladder slow.
    fn tell_of_load(&mut self, rungs: &[Rung]) {
        let (mut cpu, mut waited) = (0.0, 0.0);
        for rung in rungs.iter().chain(&self.wasted) {
            cpu += rung.run.recording.cpu.as_secs_f64();
            waited += rung.run.waited.as_secs_f64();
        }
        if waited < LOAD_SECONDS || waited < LOAD_SHARE * (cpu + waited) {
            return;
        }
        let share = 100.0 * cpu / (cpu + waited);
        let cut = if self.left() < self.task.budget.wall / 8 {
            ", so they came less far than they may"
        } else {
            ""
        };
        self.note(format!(
            "the machine was busy: the shadows got {share:.0} % of the processor time that they \
             could have used{cut}; their waiting is left out of the figures"
        ));
    }

    /// How a shadow failed, and what may be the cause of it.
    fn complaint(&self, run: &ShadowRun) -> String {
        let why = complaint(run);
        if self.task.network != NetworkAccess::None {
            return why;
        }
        if run.stderr_tail.is_empty() {
            return format!(
                "{why}; should it need the network: a shadow has none unless --net limited gives \
                 it some"
            );
        }
        if wants_network(&run.stderr_tail) {
            return format!("{why}; a shadow has no network unless --net limited gives it some");
        }
        why
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

    /// The real thing from its beginning, stopped after so much CPU time or a small part of its
    /// input.
    fn prefix(
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

    fn whole_argv(&self) -> Vec<OsString> {
        Vary::apply(&self.task.vary, &self.task.argv, 1.0).0
    }

    /// What is left where nothing can be made smaller.
    fn prefix_only(mut self, inputs: Vec<Input>) -> Result<Ladder, ShadowError> {
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

/// Whether what is read from it is gone.
fn cannot_be_replayed(input: &Input) -> bool {
    matches!(
        input.kind,
        Kind::Unreadable(
            Unreadable::Pipe | Unreadable::Socket | Unreadable::Terminal | Unreadable::Device
        )
    )
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

/// Whether a complaint is that of a program without a network, in the words of the C library and
/// of common programs.
fn wants_network(stderr: &str) -> bool {
    let stderr = stderr.to_ascii_lowercase();
    [
        "network is unreachable",
        "no route to host",
        "could not resolve",
        "couldn't resolve",
        "unable to resolve",
        "cannot resolve",
        "name resolution",
        "name or service not known",
        "nodename nor servname",
        "unable to connect",
        "failed to connect",
        "could not connect",
        "connection refused",
        "getaddrinfo",
        "no such host",
        "dns error",
    ]
    .iter()
    .any(|words| stderr.contains(words))
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
