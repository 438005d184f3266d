//! One shadow: a command in an isolated, idle-class environment, watched until it ends or its
//! budget does.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use foreshadow_diagnostics::{Pace, Recorder, RecorderOptions, Recording};
use foreshadow_environment::isolation::{NetworkAccess, Sandbox, SandboxOptions, ShadowProcess};
use foreshadow_environment::{
    Environment, EnvironmentError, Exit, Host, Limits, Program, ReadProbe, Role, Stream, Totals,
    wait_readable,
};
use foreshadow_quantity::Bytes;

use crate::error::ShadowError;
use crate::live_work::LiveWork;
use crate::waiting::Waiting;

/// What a shadow may use before it is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// CPU time.
    pub cpu: Duration,
    /// Time from the call of [`run`] to the end: setting it up, and the time it was frozen for the
    /// sake of live work, included.
    pub wall: Duration,
    /// Memory beyond which the kernel kills it.
    pub memory: Bytes,
    /// All that it may write.
    pub scratch: Bytes,
}

/// A command to shadow.
#[derive(Debug)]
pub struct ShadowSpec {
    /// The command and its arguments.
    pub argv: Vec<OsString>,
    /// Its variables.
    pub env: Vec<(OsString, OsString)>,
    /// Its working directory.
    pub cwd: PathBuf,
    /// Its standard input.
    pub stdin: ShadowInput,
    /// Limits beyond those that every shadow has; see [`crate::WhatIf`].
    pub limits: Limits,
    /// What it may use.
    pub allowance: Allowance,
    /// Its network.
    pub network: NetworkAccess,
    /// The inputs whose reading is followed.
    pub inputs: Vec<PathBuf>,
    /// Note which files it opens.
    pub watch_opens: bool,
    /// Memory that the isolation itself takes, not to be counted as the command's.
    pub overhead: Bytes,
    /// Stop when it has come so far through its inputs.
    pub progress: Option<Bytes>,
}

/// What a shadow has as its standard input.
#[derive(Debug)]
pub enum ShadowInput {
    /// Nothing, as the command itself has.
    Nothing,
    /// A file that can be read again.
    File(File),
    /// Nothing, in place of something that can't be read twice: whether the command reads it is
    /// found out ([`ShadowRun::missed_stdin`]).
    Missing,
}

/// Why a shadow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The command came to its own end.
    ByItself,
    /// Its allowance of CPU or wall time was used up, or it had come as far as it should.
    Allowance,
    /// Its allowance of memory was used up.
    Memory,
    /// Its allowance of writing was used up.
    Scratch,
    /// The machine was under pressure and did not calm down in time.
    Pressure,
    /// The caller asked for it.
    Cancelled,
}

/// What one shadow showed.
#[derive(Debug)]
pub struct ShadowRun {
    /// What it used.
    pub recording: Recording,
    /// Why it ended.
    pub ended: Ended,
    /// The end of its error output, at most 4 KiB, lossily decoded.
    pub stderr_tail: String,
    /// The files it opened, where that was asked for and the kernel tells.
    pub opened: Vec<PathBuf>,
    /// Those of them that it wrote rather than read.
    pub written: Vec<PathBuf>,
    /// How long it was frozen so that live work could go on.
    pub frozen: Duration,
    /// How long it waited for a processor that others used: a part of the recording's wall time.
    pub waited: Duration,
    /// Whether it read a standard input that was [`ShadowInput::Missing`]: then its figures are
    /// those of another run than the real one.
    pub missed_stdin: bool,
}

impl ShadowRun {
    /// Wall time as it would have been without others on the processors; never less than what the
    /// CPU time takes on `cpus` processors.
    pub fn undisturbed(&self, cpus: f64) -> Duration {
        let least = self.recording.cpu.div_f64(cpus.max(1.0));
        let wall = self.recording.wall;
        wall.saturating_sub(self.waited).max(least).min(wall)
    }

    /// Whether the command ran to a successful end.
    pub fn complete(&self) -> bool {
        self.ended == Ended::ByItself && self.recording.exit.is_some_and(|exit| exit.success())
    }
}

/// Runs a shadow to its end. `fill` puts the samples into the sandbox before the command starts;
/// `cancelled` is asked at every look.
///
/// # Errors
/// Where the shadow cannot be isolated, limited or started; nothing has run then, or all of it is
/// gone.
pub fn run(
    host: &Host,
    spec: ShadowSpec,
    fill: &mut dyn FnMut(&Sandbox) -> Result<(), ShadowError>,
    cancelled: &dyn Fn() -> bool,
) -> Result<ShadowRun, ShadowError> {
    let called = Instant::now();
    let allowance = spec.allowance;
    let limits = Limits {
        // Setting up is a matter of milliseconds that a busy machine must not make seconds of.
        idle: false,
        // The files it writes are charged to it too.
        memory_max: Some(allowance.memory + allowance.scratch),
        pids: Some(spec.limits.pids.unwrap_or(4096)),
        ..spec.limits
    };
    let environment = Environment::create(host, Role::Shadow, &limits)?;
    let sandbox = Sandbox::new(SandboxOptions {
        scratch: allowance.scratch,
        network: spec.network,
        watch_opens: spec.watch_opens,
        join: environment.join(),
    })?;
    fill(&sandbox)?;

    let stderr = tempfile::tempfile().map_err(ShadowError::ErrorOutput)?;
    // Not /dev/null: some programs (grep, tar) do less work for it.
    let (output, sink) = io::pipe().map_err(ShadowError::Output)?;
    let (stdin, probe) = match spec.stdin {
        ShadowInput::Nothing => (Stream::Null, None),
        ShadowInput::File(file) => (Stream::Fd(file.into()), None),
        ShadowInput::Missing => {
            let (probe, given) = ReadProbe::new().map_err(ShadowError::StandardInput)?;
            (Stream::Fd(given), Some(probe))
        }
    };
    let program = Program {
        argv: spec.argv,
        env: spec.env,
        cwd: spec.cwd,
        stdin,
        stdout: Stream::Fd(sink.into()),
        stderr: Stream::Fd(stderr.try_clone().map_err(ShadowError::ErrorOutput)?.into()),
    };
    let waiting = Waiting::start(host, &environment);
    let recorder = Recorder::start(
        &environment,
        RecorderOptions {
            pace: Pace::CLOSE,
            inputs: spec.inputs,
            processes: true,
            overhead: spec.overhead,
        },
    )?;
    let process = sandbox.start(program)?;
    environment.adopt(process.init_pid());
    environment.set_limits(&Limits {
        idle: true,
        ..limits
    })?;
    // Ends with the last of the shadow's processes.
    let drain = thread::spawn(move || {
        let mut output = output;
        io::copy(&mut output, &mut io::sink())
    });
    let mut run = Watch {
        host,
        environment: &environment,
        waiting,
        recorder,
        process,
        frozen: Duration::ZERO,
        allowance: Allowance {
            wall: allowance.wall.saturating_sub(called.elapsed()),
            ..allowance
        },
        progress: spec.progress,
    }
    .until_end(stderr, cancelled)?;
    run.missed_stdin = probe.is_some_and(|probe| probe.was_read());
    // What became of its output is of no interest; all of it has been read.
    let _ = drain.join();
    Ok(run)
}

struct Watch<'a> {
    host: &'a Host,
    environment: &'a Environment,
    waiting: Waiting,
    recorder: Recorder,
    process: ShadowProcess,
    frozen: Duration,
    allowance: Allowance,
    progress: Option<Bytes>,
}

/// A shadow that was frozen for longer than this altogether gives up.
const PATIENCE: Duration = Duration::from_secs(5);

impl Watch<'_> {
    fn until_end(
        mut self,
        stderr: File,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<ShadowRun, ShadowError> {
        let mut live = LiveWork::new(self.host, self.environment);
        // Of a command that ends before the next look, this is all there is.
        self.look()?;
        let (ended, exit) = loop {
            if let Some(exit) = self.wait(self.recorder.next_look())? {
                let ended = if self.process.scratch_full() && !exit.0.success() {
                    Ended::Scratch
                } else if self.killed_for_memory() {
                    Ended::Memory
                } else {
                    Ended::ByItself
                };
                break (ended, Some(exit));
            }
            self.look()?;
            if cancelled() {
                break (Ended::Cancelled, None);
            }
            if self.spent() {
                break (Ended::Allowance, None);
            }
            if live.suffers() && !self.sit_out(&mut live, cancelled)? {
                break (Ended::Pressure, None);
            }
        };
        // What is left to do, dying and cleaning up, must not wait for a machine that is busy. Where
        // this is refused it takes longer.
        let _ = self.environment.set_limits(&Limits {
            idle: false,
            ..self.environment.limits()
        });
        if exit.is_none() {
            self.process.kill();
        }
        let opened = self.process.opened();
        let scratch = self.process.scratch_used();
        let recording = self.recorder.finish(self.environment, exit, scratch);
        let written = self.process.written();
        let waited = self
            .waiting
            .by_others(self.host, self.environment, &recording);
        Ok(ShadowRun {
            recording,
            ended,
            stderr_tail: tail(stderr),
            opened,
            written,
            frozen: self.frozen,
            waited,
            missed_stdin: false,
        })
    }

    fn spent(&self) -> bool {
        let (cpu, progress) = self
            .recorder
            .latest()
            .map_or((Duration::ZERO, Bytes::ZERO), |s| (s.cpu, s.progress));
        cpu >= self.allowance.cpu
            || self.recorder.elapsed() + self.frozen >= self.allowance.wall
            || self.progress.is_some_and(|far| progress >= far)
    }

    fn look(&mut self) -> Result<(), ShadowError> {
        let process = &self.process;
        self.recorder
            .sample(self.environment, || process.scratch_used())?;
        self.waiting.look(self.environment);
        Ok(())
    }

    fn killed_for_memory(&self) -> bool {
        self.environment
            .usage()
            .is_ok_and(|usage| usage.oom_kills.is_some_and(|kills| kills > 0))
    }

    /// Waits for the end of the command, at most so long.
    fn wait(&mut self, most: Duration) -> Result<Option<(Exit, Totals)>, ShadowError> {
        let ended = self.process.try_wait()?;
        if ended.is_some() {
            return Ok(ended);
        }
        wait_readable(&[self.process.as_fd()], most).map_err(ShadowError::Wait)?;
        Ok(self.process.try_wait()?)
    }

    /// Freezes the shadow until live work is well again; false where that takes too long.
    fn sit_out(
        &mut self,
        live: &mut LiveWork<'_>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<bool, ShadowError> {
        let since = Instant::now();
        let stopped = match self.environment.freeze() {
            Ok(()) => true,
            // One of its processes waits for a disk or for memory: it isn't to be waited for.
            Err(EnvironmentError::NotFrozen { .. }) => false,
            Err(other) => return Err(other.into()),
        };
        let left = self.allowance.wall.saturating_sub(self.recorder.elapsed());
        let patience = PATIENCE.min(left);
        let calm = stopped
            && loop {
                std::thread::sleep(Duration::from_millis(50));
                if !live.suffers() {
                    break true;
                }
                if self.frozen + since.elapsed() > patience || cancelled() {
                    break false;
                }
            };
        self.environment.thaw()?;
        self.frozen += since.elapsed();
        self.recorder.add_pause(since.elapsed());
        Ok(calm)
    }
}

/// The last 4 KiB of what was written.
fn tail(mut file: File) -> String {
    const MOST: u64 = 4096;
    let end = file.seek(SeekFrom::End(0)).unwrap_or(0);
    let mut text = Vec::new();
    let read = file
        .seek(SeekFrom::Start(end.saturating_sub(MOST)))
        .and_then(|_| file.take(MOST).read_to_end(&mut text));
    match read {
        Ok(_) => String::from_utf8_lossy(&text).trim().to_owned(),
        Err(_) => String::new(),
    }
}
