//! The primary: the command itself, inside limits that grow while the machine has room.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use foreshadow_diagnostics::{Pace, Recorder, RecorderOptions, Recording};
use foreshadow_environment::{
    Environment, Exit, Feature, Host, Limits, Process, Program, Role, Signals, Totals, Weight,
    wait_readable,
};
use foreshadow_quantity::{Bytes, Cores};

use crate::contract::{Adjustment, CauseOfDeath};
use crate::error::EngineError;
use crate::request::Progress;

/// What a primary starts with.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Start {
    /// Memory limit.
    pub memory: Option<Bytes>,
    /// CPU quota.
    pub cores: Option<Cores>,
    /// Keep the limits whatever happens.
    pub strict: bool,
}

/// What became of a primary.
#[derive(Debug)]
pub(crate) struct Finished {
    pub recording: Recording,
    /// What it was given, as far as this machine holds it to that.
    pub start: Start,
    pub exit: Exit,
    pub cause_of_death: Option<CauseOfDeath>,
    pub adjustments: Vec<Adjustment>,
}

/// Memory is raised by this factor: the same step as the controller's for memory pressure.
const GROWTH: f64 = 1.5;
/// Where the kernel only slows a task at a soft limit, the hard one is this much above it.
const HEADROOM: f64 = 1.25;
/// Share of the machine's memory that growing leaves to others.
const RESERVE: f64 = 0.02;
/// A quota that holds the task back for this share of its time is raised.
const THROTTLED: f64 = 0.05;

/// Runs the command to its end, its three streams untouched.
pub(crate) fn run(
    host: &Host,
    signals: &Signals,
    command: (Vec<OsString>, Vec<(OsString, OsString)>, PathBuf),
    start: Start,
    progress: &mut dyn FnMut(Progress),
) -> Result<Finished, EngineError> {
    let (argv, env, cwd) = command;
    let program = Program {
        argv,
        env,
        cwd,
        stdin: foreshadow_environment::Stream::Inherit,
        stdout: foreshadow_environment::Stream::Inherit,
        stderr: foreshadow_environment::Stream::Inherit,
    };
    let environment = Environment::create(host, Role::Primary, &limits(start, start.memory))?;
    let start = held(&environment, start, progress);
    progress(Progress::Running);
    // Where the kernel can park a task at its limit, it waits there until it is grown.
    let parks = !start.strict && start.memory.is_some() && environment.set_oom_pause(true)?;
    let soft = !start.strict && !parks;
    if soft && let Some(memory) = start.memory {
        let headroom = memory.scale(HEADROOM) + Bytes::mib(16);
        environment.set_limits(&Limits {
            memory_high: Some(memory),
            memory_max: Some(headroom),
            ..environment.limits()
        })?;
    }
    let mut recorder = Recorder::start(
        &environment,
        RecorderOptions {
            pace: Pace::LIGHT,
            inputs: Vec::new(),
            processes: false,
            overhead: Bytes::ZERO,
        },
    )?;
    let oom_before = host.oom_kills();
    let process = environment.spawn(program)?;
    // Of a command that ends before the next look, this is all there is.
    recorder.sample(&environment, || Bytes::ZERO)?;
    Primary {
        host,
        signals,
        environment,
        process,
        recorder,
        start,
        parks,
        memory: start.memory,
        cores: start.cores,
        refused: false,
        adjustments: Vec::new(),
        throttled: (Duration::ZERO, Duration::ZERO),
    }
    .until_end(oom_before)
}

/// What of a start this machine can hold a command to; what it can't is said.
fn held(environment: &Environment, start: Start, progress: &mut dyn FnMut(Progress)) -> Start {
    let missing = environment.unsupported();
    let why = |feature| missing.iter().find(|m| m.feature == feature);
    let memory = start.memory.and(why(Feature::MemoryMax));
    let cores = start.cores.and(why(Feature::Cores));
    let what = match (memory, cores) {
        (None, None) => return start,
        (Some(_), None) => "memory is",
        (None, Some(_)) => "cores are",
        (Some(_), Some(_)) => "memory and cores are",
    };
    if let Some(missing) = memory.or(cores) {
        progress(Progress::Note(format!(
            "the command's {what} not limited here: {} (foreshadow doctor tells more)",
            missing.reason
        )));
    }
    Start {
        memory: start.memory.filter(|_| memory.is_none()),
        cores: start.cores.filter(|_| cores.is_none()),
        ..start
    }
}

/// Live work comes before all that shares the machine with it unasked.
fn limits(start: Start, memory: Option<Bytes>) -> Limits {
    Limits {
        cores: start.cores,
        cpu_weight: Weight::new(1000),
        memory_max: memory,
        ..Limits::default()
    }
}

struct Primary<'a> {
    host: &'a Host,
    signals: &'a Signals,
    environment: Environment,
    process: Process,
    recorder: Recorder,
    start: Start,
    parks: bool,
    memory: Option<Bytes>,
    cores: Option<Cores>,
    /// The machine had no more memory to give.
    refused: bool,
    adjustments: Vec<Adjustment>,
    /// Time held back by the quota, and time, at the last judgement.
    throttled: (Duration, Duration),
}

impl Primary<'_> {
    fn until_end(mut self, oom_before: Option<u64>) -> Result<Finished, EngineError> {
        let mut events = self.environment.memory_events()?;
        let (exit, totals) = loop {
            let mut fds = vec![
                std::os::fd::AsFd::as_fd(&self.process),
                std::os::fd::AsFd::as_fd(self.signals),
            ];
            if let Some(events) = &events {
                fds.push(std::os::fd::AsFd::as_fd(events));
            }
            wait_readable(&fds, self.recorder.next_look()).map_err(EngineError::Wait)?;
            if let Some(ended) = self.process.try_wait().map_err(EngineError::Wait)? {
                break ended;
            }
            while let Some(arrived) = self.signals.take() {
                // A key of the terminal reached the whole foreground group already.
                if !arrived.from_kernel {
                    self.process
                        .signal(arrived.signal)
                        .map_err(EngineError::Wait)?;
                }
            }
            if let Some(events) = &mut events {
                events.read()?;
            }
            self.recorder.sample(&self.environment, || Bytes::ZERO)?;
            if !self.start.strict {
                self.make_room()?;
            }
        };
        Ok(self.finish(exit, totals, oom_before))
    }

    /// Grows what has become too small.
    fn make_room(&mut self) -> Result<(), EngineError> {
        let usage = *self.recorder.usage();
        if let Some(limit) = self.memory
            && !self.refused
        {
            let parked = self.parks && self.environment.under_oom()?;
            // Before the limit is reached, reclaim of page cache near it slows a task down; the
            // kernel only has to be waited for where growth was too fast to be seen coming.
            let near = usage.memory().as_f64() > 0.9 * limit.as_f64();
            if parked || near {
                self.grow_memory(limit, parked)?;
            }
        }
        if let (Some(cores), Some(throttled)) = (self.cores, usage.throttled) {
            let at = self.recorder.elapsed();
            let span = at.saturating_sub(self.throttled.1);
            if span >= Duration::from_millis(200) {
                let lost = throttled.saturating_sub(self.throttled.0);
                self.throttled = (throttled, at);
                if lost.as_secs_f64() > THROTTLED * span.as_secs_f64() && cores < self.host.cpus() {
                    self.grow_cores(cores, lost, span)?;
                }
            }
        }
        Ok(())
    }

    fn grow_memory(&mut self, limit: Bytes, parked: bool) -> Result<(), EngineError> {
        let available = self.host.memory_available()?;
        let spare = available.saturating_sub(self.host.memory_total().scale(RESERVE));
        let wanted = limit.scale(GROWTH) + Bytes::mib(16);
        let to = wanted.min(limit + spare);
        if to.as_f64() < limit.as_f64() * 1.05 {
            self.refused = true;
            if parked {
                // No room is left: the kernel's own way out is better than waiting for ever.
                self.environment.set_oom_pause(false)?;
            }
            self.adjustments.push(Adjustment {
                at_seconds: self.recorder.elapsed().as_secs_f64(),
                resource: "memory_bytes".into(),
                from: Some(limit.as_f64()),
                to: Some(limit.as_f64()),
                reason: format!(
                    "needs more than {limit}, but the machine has only {available} left"
                ),
            });
            return Ok(());
        }
        let soft = self.environment.limits().memory_high.is_some();
        self.environment.set_limits(&Limits {
            memory_high: soft.then_some(to),
            memory_max: Some(if soft {
                (to.scale(HEADROOM) + Bytes::mib(16)).min(limit + spare)
            } else {
                to
            }),
            ..self.environment.limits()
        })?;
        self.memory = Some(to);
        self.adjusted(
            "memory_bytes",
            limit.as_f64(),
            to.as_f64(),
            if parked {
                "reached its limit and was paused until it had grown"
            } else {
                "came near its limit"
            },
        );
        Ok(())
    }

    fn grow_cores(
        &mut self,
        cores: Cores,
        lost: Duration,
        span: Duration,
    ) -> Result<(), EngineError> {
        let to = Cores::from_f64((cores.as_f64() * 2.0).max(1.0)).min(self.host.cpus());
        self.environment.set_limits(&Limits {
            cores: Some(to),
            ..self.environment.limits()
        })?;
        self.cores = Some(to);
        let reason = format!(
            "was held back for {:.0} % of the time by its quota",
            100.0 * lost.as_secs_f64() / span.as_secs_f64()
        );
        self.adjusted("cores", cores.as_f64(), to.as_f64(), &reason);
        Ok(())
    }

    fn adjusted(&mut self, resource: &str, from: f64, to: f64, reason: &str) {
        self.adjustments.push(Adjustment {
            at_seconds: self.recorder.elapsed().as_secs_f64(),
            resource: resource.into(),
            from: Some(from),
            to: Some(to),
            reason: reason.into(),
        });
    }

    fn finish(self, exit: Exit, totals: Totals, oom_before: Option<u64>) -> Finished {
        let recording = self
            .recorder
            .finish(&self.environment, Some((exit, totals)), Bytes::ZERO);
        let killed_here = recording.usage.oom_kills.is_some_and(|kills| kills > 0);
        let killed_by_host = matches!(
            (oom_before, self.host.oom_kills()),
            (Some(before), Some(after)) if after > before
        );
        Finished {
            start: self.start,
            cause_of_death: cause_of_death(exit, killed_here, killed_by_host),
            recording,
            exit,
            adjustments: self.adjustments,
        }
    }
}

/// Tells apart what killed a task. A shell that reports its child's death by code 128+N counts
/// as killed where the kernel's own count says that something was.
fn cause_of_death(exit: Exit, killed_here: bool, killed_by_host: bool) -> Option<CauseOfDeath> {
    let signal = match exit {
        Exit::Signal(signal) => Some(signal),
        Exit::Code(code) if code > 128 && code < 128 + 65 => Some(code - 128),
        Exit::Code(_) => None,
    };
    const KILL: i32 = 9;
    const CPU_TIME: i32 = 24;
    const FILE_SIZE: i32 = 25;
    match (exit, signal) {
        (_, Some(KILL)) if killed_here => Some(CauseOfDeath::OomCgroup),
        (_, Some(KILL)) if killed_by_host => Some(CauseOfDeath::OomHost),
        (_, Some(CPU_TIME | FILE_SIZE)) => Some(CauseOfDeath::Limit),
        (Exit::Signal(_), _) => Some(CauseOfDeath::Signal),
        // It failed after one of its processes was killed for memory.
        (Exit::Code(code), _) if code != 0 && killed_here => Some(CauseOfDeath::OomCgroup),
        (Exit::Code(_), _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_limits_claims_none() {
        let host = Host::without_control_groups();
        let signals = Signals::terminating().unwrap();
        let mut notes = Vec::new();
        let start = Start {
            memory: Some(Bytes::mib(64)),
            cores: Some(Cores::whole(1)),
            strict: false,
        };
        let argv = vec!["/bin/sh".into(), "-c".into(), "exit 3".into()];
        let finished = run(
            &host,
            &signals,
            (argv, Vec::new(), "/".into()),
            start,
            &mut |p| {
                if let Progress::Note(note) = p {
                    notes.push(note);
                }
            },
        )
        .unwrap();
        assert_eq!(finished.exit, Exit::Code(3));
        assert_eq!((finished.start.memory, finished.start.cores), (None, None));
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].contains("memory and cores are not limited here"));
    }

    #[test]
    fn deaths_are_told_apart() {
        use CauseOfDeath::*;
        for (exit, here, host, cause) in [
            (Exit::Code(0), false, false, None),
            (Exit::Code(1), false, true, None),
            (Exit::Code(0), true, false, None),
            (Exit::Code(1), true, false, Some(OomCgroup)),
            (Exit::Code(137), true, false, Some(OomCgroup)),
            (Exit::Signal(9), true, true, Some(OomCgroup)),
            (Exit::Signal(9), false, true, Some(OomHost)),
            (Exit::Signal(9), false, false, Some(Signal)),
            (Exit::Signal(11), true, false, Some(Signal)),
            (Exit::Signal(24), false, false, Some(Limit)),
            (Exit::Code(153), false, false, Some(Limit)),
        ] {
            assert_eq!(cause_of_death(exit, here, host), cause, "{exit:?}");
        }
    }
}
