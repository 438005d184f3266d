//! What would have been saved: traces of finished tasks, replayed against several ways to size
//! them.
//!
//! # Problem
//! Whether forecasts would pay on one's own tasks should be known before anything is changed. The
//! traces that schedulers and workflow engines write anyway hold the answer: what each task asked
//! for, what it used, and for how long.
//!
//! # Approach
//! The trace is read once, by the names of its columns; rows that can't be used are counted by
//! reason. Then every process (a kind of task) is played in order: each method sizes the task from
//! what was known before it, is scored, and learns the outcome. An attempt with less than the peak
//! costs allocation × run time and is a failure; the attempt that holds costs
//! (allocation − peak) × run time. That is how the paper of Bader et al., "Sizey" (IEEE CLUSTER
//! 2024), scores methods.

mod chart;
pub mod cli;
mod emit;
mod html;
pub mod methods;
pub mod parse;
mod report;
mod simulate;
mod text;
pub mod trace;

use std::io::Read;
use std::time::Instant;

pub use emit::{Target, emit};
pub use html::html;
use methods::{Limits, Name};
use parse::{Columns, TraceError};
pub use report::{Curves, MethodReport, ProcessReport, Processes, Report, Rows};
pub use simulate::{LastSeen, Protocol, Score, Scored, Sink, simulate};
pub use text::table;

/// What to replay, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which columns of the trace to take.
    pub columns: Columns,
    /// In which order, and what is scored.
    pub protocol: Protocol,
    /// Which methods.
    pub methods: Vec<Name>,
    /// Bounds for all methods.
    pub limits: Limits,
}

impl Default for Options {
    /// All usual methods, in the order in which the tasks ended, from a cold start, on nodes with
    /// 128 GB; tasks of which nothing is known get 1 GiB.
    fn default() -> Self {
        Options {
            columns: Columns::default(),
            protocol: Protocol {
                shuffle: None,
                warmup: 0.0,
                least_tasks: 1,
                whole_processes: false,
            },
            methods: Name::USUAL.to_vec(),
            limits: Limits {
                node: 128e9,
                unknown: 1_073_741_824.0,
            },
        }
    }
}

/// Reads a trace and replays it.
///
/// # Errors
/// Where nothing in the trace can be used; single bad rows are counted instead.
pub fn replay(input: impl Read, options: &Options) -> Result<Report, TraceError> {
    let start = Instant::now();
    let mut trace = parse::read(input, &options.columns)?;
    let span = if options.protocol.shuffle.is_some() {
        None
    } else {
        let ended = || trace.tasks.iter().filter_map(|t| t.ended);
        let (from, to) = (
            ended().fold(f64::INFINITY, f64::min),
            ended().fold(f64::NEG_INFINITY, f64::max),
        );
        (to > from).then_some((from, to))
    };
    let mut gather = report::Gather::new(&options.methods, span);
    simulate(
        &mut trace,
        &options.protocol,
        &options.methods,
        &options.limits,
        &mut gather,
    );
    let rows = Rows {
        read: trace.read,
        used: trace.read.saturating_sub(trace.skipped.values().sum()),
        skipped: std::mem::take(&mut trace.skipped),
    };
    let names = std::mem::take(&mut trace.processes);
    let mut report = gather.finish(names, rows, start.elapsed().as_secs_f64());
    report.warnings = std::mem::take(&mut trace.warnings);
    let lower = trace.tasks.iter().filter(|t| !t.complete).count();
    if lower > 0 {
        report.warnings.push(format!(
            "{lower} tasks failed or were killed: their peak counts as a lower bound to learn from, they are not scored"
        ));
    }
    if report.methods.iter().all(|m| m.tasks == 0) {
        report.warnings.push("no task was scored".to_owned());
    }
    let features = if trace.features.is_empty() {
        "none".to_owned()
    } else {
        trace.features.join(", ")
    };
    report.setting = vec![
        format!("peak memory from column {}", trace.target),
        format!("features: {features}"),
        match options.protocol.shuffle {
            Some(seed) => format!(
                "each process in a random order (seed {seed}), the first {:.0} % only learned from",
                options.protocol.warmup * 100.0
            ),
            None if options.protocol.warmup > 0.0 => format!(
                "in the order in which tasks ended, the first {:.0} % of each process only learned from",
                options.protocol.warmup * 100.0
            ),
            None => "in the order in which tasks ended, from a cold start".to_owned(),
        },
    ];
    Ok(report)
}
