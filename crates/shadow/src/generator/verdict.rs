//! What a shadow's end says, in words.

use foreshadow_environment::isolation::NetworkAccess;
use foreshadow_quantity::Bytes;

use super::{Generator, Rung};
use crate::run::{Ended, ShadowRun};

/// Waiting of shadows that is worth a word: so long altogether, in seconds ...
const LOAD_SECONDS: f64 = 0.3;
/// ... and this share of the time in which they wanted a processor.
const LOAD_SHARE: f64 = 0.3;

impl Generator<'_> {
    /// Says so where others on the processors made the ladder slow.
    pub(super) fn tell_of_load(&mut self, rungs: &[Rung]) {
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
    pub(super) fn complaint(&self, run: &ShadowRun) -> String {
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
}

/// Whether a shadow's figures say something: it ended well, or with a code that seems to be its
/// way of answering (`grep` without a match, `diff` of files that differ), without complaint.
pub(super) fn valid(run: &ShadowRun) -> bool {
    run.complete()
        || (run.ended == Ended::ByItself
            && run.stderr_tail.is_empty()
            && matches!(
                run.recording.exit,
                Some(foreshadow_environment::Exit::Code(1))
            ))
}

/// How a shadow failed, in its own words where it has some.
pub(super) fn complaint(run: &ShadowRun) -> String {
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
pub(super) fn wants_network(stderr: &str) -> bool {
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
pub(super) fn startup(run: &ShadowRun) -> Option<f64> {
    let samples = run.recording.curve.samples();
    let first = samples.iter().position(|s| s.progress > Bytes::ZERO)?;
    Some(
        samples
            .get(first.checked_sub(1)?)
            .map_or(0.0, |s| s.cpu.as_secs_f64()),
    )
}
