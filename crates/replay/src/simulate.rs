//! Runs a trace through the methods, task by task.

use crate::methods::{self, Known, Limits, Method, Name, Outcome};
use crate::trace::{Task, Trace};

/// In which order, and what of it is scored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Protocol {
    /// None: as the tasks ended. Some: each process in a random order of its own from this seed.
    pub shuffle: Option<u64>,
    /// The share of each process that is only learned from (0..1), at its beginning.
    pub warmup: f64,
    /// Processes with fewer complete tasks are left out, if this is above 1.
    pub least_tasks: usize,
    /// Leave out whole processes that have a task with run time 0 (as the Sizey paper does), not
    /// just those tasks.
    pub whole_processes: bool,
}

/// Sums over tasks of one method.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// Tasks scored.
    pub tasks: u64,
    /// Attempts that were too small.
    pub failures: u64,
    /// Waste of all attempts in byte-seconds.
    pub waste: f64,
    /// The part of it in failed attempts.
    pub retried: f64,
    /// Peak × run time.
    pub used: f64,
    /// Tasks with intervals, and how many of them the intervals held.
    pub judged: u64,
    /// Peaks in the 80 % interval.
    pub in_p80: u64,
    /// Peaks in the 95 % interval.
    pub in_p95: u64,
}

impl Score {
    /// Adds up.
    pub fn add(&mut self, other: &Score) {
        self.tasks += other.tasks;
        self.failures += other.failures;
        self.waste += other.waste;
        self.retried += other.retried;
        self.used += other.used;
        self.judged += other.judged;
        self.in_p80 += other.in_p80;
        self.in_p95 += other.in_p95;
    }
}

/// One task, sized by one method.
#[derive(Clone, Copy, Debug)]
pub struct Scored<'a> {
    /// The task.
    pub task: &'a Task,
    /// Place of the method among those asked for.
    pub method: usize,
    /// How many tasks of the process were seen before.
    pub before: usize,
    /// The first allocation in bytes.
    pub first: f64,
    /// The sums of this task alone.
    pub score: Score,
}

/// Takes the scores as they come, process after process.
pub trait Sink {
    /// One task was sized by one method.
    fn scored(&mut self, scored: &Scored<'_>);
    /// All tasks of a process are done.
    fn done(&mut self, process: u32, last: &LastSeen);
}

/// What to write into configurations: the most that would have been asked for lately.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LastSeen {
    /// Tasks of the process in the trace.
    pub tasks: u64,
    /// Largest allocation that our method, having seen all, would give to the last tasks (a
    /// quarter of them, at most 32), in bytes.
    pub allocation: f64,
    /// Longest run time in seconds.
    pub longest: f64,
    /// Most cores used on average.
    pub cores: Option<f32>,
}

/// Most tasks that [`LastSeen::allocation`] is taken over.
const RECENT: usize = 32;

/// Runs the trace through the methods. Rows that the protocol leaves out are counted in the trace.
pub fn simulate(
    trace: &mut Trace,
    protocol: &Protocol,
    names: &[Name],
    limits: &Limits,
    sink: &mut impl Sink,
) {
    let groups = group(trace, protocol);
    let mut start = 0;
    while start < groups.len() {
        let process = trace.tasks[groups[start] as usize].process;
        let len = groups[start..]
            .iter()
            .take_while(|i| trace.tasks[**i as usize].process == process)
            .count();
        one(
            trace,
            &groups[start..start + len],
            protocol,
            names,
            limits,
            sink,
        );
        start += len;
    }
}

/// Indices of the tasks to play, by process, each in its order.
fn group(trace: &mut Trace, protocol: &Protocol) -> Vec<u32> {
    let mut complete = vec![0_u32; trace.processes.len()];
    let mut zero = vec![false; trace.processes.len()];
    for t in &trace.tasks {
        complete[t.process as usize] += u32::from(t.complete && t.seconds > 0.0);
        zero[t.process as usize] |= t.seconds == 0.0;
    }
    let mut order: Vec<u32> = Vec::with_capacity(trace.tasks.len());
    let mut counts = [0_u64; 3];
    for (i, t) in trace.tasks.iter().enumerate() {
        let p = t.process as usize;
        if protocol.whole_processes && zero[p] {
            counts[0] += 1;
        } else if protocol.least_tasks > 1 && (complete[p] as usize) < protocol.least_tasks {
            counts[1] += 1;
        } else if t.seconds == 0.0 {
            counts[2] += 1;
        } else if let Ok(i) = u32::try_from(i) {
            order.push(i);
        }
    }
    let reasons = [
        "a task of the process has run time 0".to_owned(),
        format!("the process has fewer than {} tasks", protocol.least_tasks),
        "run time is 0: too short to be measured".to_owned(),
    ];
    for (n, reason) in counts.iter().zip(&reasons) {
        if *n > 0 {
            *trace.skipped.entry(reason.clone()).or_default() += n;
        }
    }
    let tasks = &trace.tasks;
    // Tasks without a time keep their place in the file relative to their neighbours: a stable
    // sort by the last time seen.
    let mut times: Vec<f64> = Vec::with_capacity(tasks.len());
    let mut last = f64::NEG_INFINITY;
    for t in tasks {
        last = t.ended.or(t.started).unwrap_or(last);
        times.push(last);
    }
    order.sort_by(|a, b| {
        let (ta, tb) = (&tasks[*a as usize], &tasks[*b as usize]);
        ta.process
            .cmp(&tb.process)
            .then_with(|| times[*a as usize].total_cmp(&times[*b as usize]))
    });
    if let Some(seed) = protocol.shuffle {
        let mut start = 0;
        while start < order.len() {
            let process = tasks[order[start] as usize].process;
            let len = order[start..]
                .iter()
                .take_while(|i| tasks[**i as usize].process == process)
                .count();
            shuffle(
                &mut order[start..start + len],
                seed,
                &trace.processes[process as usize],
            );
            start += len;
        }
    }
    order
}

/// Fisher and Yates, with SplitMix64 (Steele et al., OOPSLA 2014) from the seed and the name, so
/// that each process has its own permutation whatever else is in the trace.
fn shuffle(items: &mut [u32], seed: u64, name: &str) {
    // FNV-1a: stable over versions, which std's hasher doesn't promise.
    let mut state = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64 ^ seed, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    for i in (1..items.len()).rev() {
        let bound = i as u64 + 1;
        // The bias of a 64-bit remainder is below 2^-32 for any trace.
        let j = usize::try_from(next() % bound).unwrap_or(0);
        items.swap(i, j);
    }
}

fn one(
    trace: &Trace,
    order: &[u32],
    protocol: &Protocol,
    names: &[Name],
    limits: &Limits,
    sink: &mut impl Sink,
) {
    let complete = order
        .iter()
        .filter(|i| trace.tasks[**i as usize].complete)
        .count();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of tasks"
    )]
    let warm = (complete as f64 * protocol.warmup).floor() as usize;
    let mut methods: Vec<Option<Box<dyn Method>>> =
        names.iter().map(|n| methods::create(*n, limits)).collect();
    let mut last = LastSeen::default();
    let mut played = 0;
    for (place, i) in order.iter().enumerate() {
        let i = *i as usize;
        let task = &trace.tasks[i];
        let known = known(trace, i);
        let outcome = Outcome {
            peak: task.peak,
            seconds: task.seconds,
            complete: task.complete,
        };
        // What a killed task would have needed is not known: it is learned from, not scored.
        let scored = task.complete && played >= warm;
        played += usize::from(task.complete);
        for (m, method) in methods.iter_mut().enumerate() {
            let scored_by = |first: f64, score: Score| Scored {
                task,
                method: m,
                before: place,
                first,
                score,
            };
            let Some(method) = method else {
                if scored {
                    sink.scored(&scored_by(task.peak, oracle(task)));
                }
                continue;
            };
            if scored {
                let (first, mut score) = play(method.as_mut(), &known, task, limits);
                if let Some(intervals) = method.intervals() {
                    let holds =
                        |(low, high): (f64, f64)| u64::from((low..=high).contains(&task.peak));
                    score.judged = 1;
                    score.in_p80 = holds(intervals.p80);
                    score.in_p95 = holds(intervals.p95);
                }
                sink.scored(&scored_by(first, score));
            }
            method.observe(&known, &outcome);
        }
        last.tasks += 1;
        last.longest = last.longest.max(task.seconds);
        last.cores = match (last.cores, task.cores) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
    }
    let ours = names.iter().position(|n| *n == Name::Foreshadow);
    if let Some(Some(method)) = ours.map(|m| methods[m].as_mut()) {
        let recent = (order.len() / 4).clamp(1, RECENT);
        for i in order.iter().rev().take(recent) {
            let known = known(trace, *i as usize);
            let first = method.first(&known).or(known.requested).unwrap_or(0.0);
            last.allocation = last.allocation.max(first);
        }
    }
    if let Some(first) = order.first() {
        sink.done(trace.tasks[*first as usize].process, &last);
    }
}

fn known(trace: &Trace, i: usize) -> Known<'_> {
    let task = &trace.tasks[i];
    Known {
        names: &trace.features,
        values: trace.values_of(i),
        requested: task.requested,
        at: task.ended.or(task.started).unwrap_or(0.0),
    }
}

fn oracle(task: &Task) -> Score {
    Score {
        tasks: 1,
        used: task.peak * task.seconds,
        ..Score::default()
    }
}

/// The first allocation, and the score over all attempts.
fn play(method: &mut dyn Method, known: &Known<'_>, task: &Task, limits: &Limits) -> (f64, Score) {
    let mut score = oracle(task);
    let first = match method.first(known) {
        // A user may know of larger nodes than we were told of; a method can't.
        Some(a) if Some(a) != known.requested => a.min(limits.node),
        other => other.or(known.requested).unwrap_or(limits.unknown),
    }
    .max(0.0);
    let mut allocation = first;
    let mut attempt = 0;
    while allocation < task.peak {
        attempt += 1;
        score.failures += 1;
        score.retried += allocation * task.seconds;
        let next = method.retry(allocation, attempt);
        // Every retry grows, or it would never end; and none is above the node, unless the task
        // itself was.
        allocation = next.max(allocation * 1.01).max(1.0);
        if allocation > limits.node {
            allocation = if score.failures > 64 || task.peak > limits.node {
                allocation.max(task.peak)
            } else {
                limits.node
            };
        }
    }
    score.waste = score.retried + (allocation - task.peak) * task.seconds;
    (first, score)
}
