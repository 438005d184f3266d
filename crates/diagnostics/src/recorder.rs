use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use foreshadow_environment::{Environment, EnvironmentError, Exit, Totals, Usage};
use foreshadow_quantity::Bytes;

use crate::processes::{Progress, Scan};
use crate::{Curve, PeakEvidence, Recording, Sample};

/// How often a [`Recorder`] looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The shortest time between two looks.
    pub shortest: Duration,
    /// The longest.
    pub longest: Duration,
}

impl Pace {
    /// For shadows, where the shape of a short run is what is wanted.
    pub const CLOSE: Pace = Pace {
        shortest: Duration::from_millis(2),
        longest: Duration::from_millis(10),
    };
    /// For primaries, which are watched for hours.
    pub const LIGHT: Pace = Pace {
        shortest: Duration::from_millis(4),
        longest: Duration::from_millis(100),
    };
}

/// What a [`Recorder`] is to watch.
#[derive(Clone, Debug)]
pub struct RecorderOptions {
    /// How often to look.
    pub pace: Pace,
    /// The inputs whose reading is followed, by the paths that the command sees.
    pub inputs: Vec<PathBuf>,
    /// Memory charged to the environment that isn't the command's, beside what is there already.
    pub overhead: Bytes,
    /// Look at `/proc` too (progress, read calls, threads), not only at the counters.
    pub processes: bool,
}

/// Watches one execution and makes its [`Recording`].
#[derive(Debug)]
pub struct Recorder {
    options: RecorderOptions,
    started: Instant,
    progress: Progress,
    curve: Curve,
    usage: Usage,
    base: Usage,
    evidence: PeakEvidence,
    cache_last: Bytes,
    cache_most: Bytes,
    cache_step: Bytes,
    file_rss: Bytes,
    paused: Duration,
    next: Duration,
}

/// Processes whose descriptors are looked at in one sample; a command with more is a crowd in
/// which no single one stands for the progress.
const MOST_PROCESSES: usize = 32;

impl Recorder {
    /// Starts the clock. `environment` may have been used before: its counters now, and the memory
    /// charged to it now (of a sandbox that waits for its command), are the zero.
    ///
    /// # Errors
    /// Where the environment's counters cannot be read.
    pub fn start(
        environment: &Environment,
        options: RecorderOptions,
    ) -> Result<Self, EnvironmentError> {
        let mut base = environment.usage()?;
        base.kernel = base.kernel + options.overhead;
        Ok(Recorder {
            progress: Progress::new(options.inputs.iter().cloned()),
            next: options.pace.shortest,
            options,
            started: Instant::now(),
            curve: Curve::default(),
            usage: base,
            base,
            evidence: PeakEvidence::default(),
            cache_last: Bytes::ZERO,
            cache_most: Bytes::ZERO,
            cache_step: Bytes::ZERO,
            file_rss: Bytes::ZERO,
            paused: Duration::ZERO,
        })
    }

    /// Time since the start, less the pauses.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed().saturating_sub(self.paused)
    }

    /// Leaves a time in which the command was frozen out of the clock.
    pub fn add_pause(&mut self, pause: Duration) {
        self.paused += pause;
    }

    /// How long to wait before the next [`Recorder::sample`].
    pub fn next_look(&self) -> Duration {
        self.next
    }

    /// Follows the reading of a further input.
    pub fn watch(&mut self, input: PathBuf) {
        self.progress.watch(input);
    }

    /// The newest sample.
    pub fn latest(&self) -> Option<&Sample> {
        self.curve.samples().last()
    }

    /// The environment's counters as of the newest sample.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Looks once. `foreign` tells the memory charged to the environment that isn't the command's
    /// need (the files of a scratch tmpfs); it is asked after the counters were read, so that what
    /// is written meanwhile is not taken for need.
    ///
    /// # Errors
    /// Where the environment's counters cannot be read.
    pub fn sample(
        &mut self,
        environment: &Environment,
        foreign: impl FnOnce() -> Bytes,
    ) -> Result<(), EnvironmentError> {
        let usage = environment.usage()?;
        let foreign = foreign();
        let mut scan = Scan::default();
        if self.options.processes {
            let pids = environment.pids()?;
            let proc = Path::new("/proc");
            for &pid in pids.iter().take(MOST_PROCESSES) {
                self.progress.look(proc, pid);
                scan.add(proc, pid);
            }
        }
        let memory = usage
            .memory()
            .saturating_sub(foreign)
            .saturating_sub(self.base.memory());
        let page_cache = usage.page_cache.unwrap_or(Bytes::ZERO);
        let sample = Sample {
            at: self.elapsed(),
            cpu: usage.cpu.saturating_sub(self.base.cpu),
            memory,
            page_cache,
            progress: self.progress.total(),
            read_chars: scan.read_chars,
            write_chars: scan.write_chars,
            threads: scan.threads,
        };
        self.evidence.sampled = self.evidence.sampled.max(memory);
        self.see_cache(page_cache + foreign);
        self.file_rss = self.file_rss.max(scan.largest_file_rss);
        self.pace(&sample);
        self.usage = usage;
        self.curve.push(sample);
        Ok(())
    }

    fn see_cache(&mut self, cache: Bytes) {
        self.cache_step = self.cache_step.max(cache.saturating_sub(self.cache_last));
        self.cache_last = cache;
        self.cache_most = self.cache_most.max(cache);
    }

    /// Looks closer while memory moves, and less often the longer a run lasts.
    fn pace(&mut self, sample: &Sample) {
        let Pace { shortest, longest } = self.options.pace;
        let settled = (sample.at / 200).clamp(shortest, longest);
        let before = self.latest().map_or(Bytes::ZERO, |s| s.memory);
        let moved = before.as_f64() * 0.02 + Bytes::mib(1).as_f64();
        self.next = if (sample.memory.as_f64() - before.as_f64()).abs() > moved {
            (self.next / 2).clamp(shortest, settled)
        } else {
            (self.next * 2).clamp(shortest, settled)
        };
    }

    /// Closes the recording. `ended` is how the command ended and the kernel's counts of it, or
    /// `None` where it was cut short; `foreign` as for [`Recorder::sample`], at the end.
    pub fn finish(
        mut self,
        environment: &Environment,
        ended: Option<(Exit, Totals)>,
        foreign: Bytes,
    ) -> Recording {
        let wall = self.elapsed();
        // The command is over: what can't be read any more keeps its last value.
        if let Ok(usage) = environment.usage() {
            // What it wrote last may not have been sampled any more.
            self.see_cache(usage.page_cache.unwrap_or(Bytes::ZERO) + foreign);
            self.usage = usage;
        }
        let totals = ended.map(|(_, totals)| totals);
        self.evidence.total = self
            .usage
            .peak_total
            .filter(|&total| total > Bytes::ZERO)
            .map(|total| total.saturating_sub(self.base.memory()));
        self.evidence.page_cache = self.cache_most + self.cache_step;
        self.evidence.largest_process =
            totals.map_or(Bytes::ZERO, |t| t.max_rss.saturating_sub(self.file_rss));
        let cgroup_cpu = self.usage.cpu.saturating_sub(self.base.cpu);
        let cpu = totals.map_or(cgroup_cpu, |t| (t.user + t.system).max(cgroup_cpu));
        let last = self.latest().copied().unwrap_or_default();
        self.curve.push(Sample {
            at: wall,
            cpu,
            ..last
        });
        Recording {
            exit: ended.map(|(exit, _)| exit),
            wall,
            cpu,
            peak_memory: self.evidence.peak(),
            page_cache_peak: self.usage.page_cache.map(|_| self.cache_most),
            totals,
            usage: self.usage,
            pressure: environment.pressure().ok().flatten(),
            network: None,
            curve: self.curve,
        }
    }
}
