//! What a replay found, and its JSON (`foreshadow.replay/1`).

use std::collections::BTreeMap;

use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use crate::methods::Name;
use crate::simulate::{LastSeen, Score, Scored, Sink};

/// Byte-seconds in one GB·h (of 1e9 bytes).
pub const GBH: f64 = 1e9 * 3600.0;

/// The result of a replay. It serialises to the schema `foreshadow.replay/1`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    schema: &'static str,
    /// Rows of the trace.
    pub rows: Rows,
    /// Totals, in the order in which the methods were asked for.
    pub methods: Vec<MethodReport>,
    /// By process, those with the most tasks first.
    pub processes: Processes,
    /// Wall time of reading and replaying.
    pub seconds: f64,
    /// What charts are drawn from.
    #[serde(skip)]
    pub curves: Curves,
    /// What is worth saying about the trace as a whole.
    #[serde(skip)]
    pub warnings: Vec<String>,
    /// In words, what was replayed: file, columns, order.
    #[serde(skip)]
    pub setting: Vec<String>,
}

/// How many rows there were.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Rows {
    /// Read, the header apart. For `sacct` a job and its steps are one row.
    pub read: u64,
    /// Learned from, scored or not.
    pub used: u64,
    /// Reason → rows left out for it.
    pub skipped: BTreeMap<String, u64>,
}

/// The totals of one method.
#[derive(Clone, Debug, Serialize)]
pub struct MethodReport {
    /// Its name.
    #[serde(serialize_with = "name")]
    pub name: Name,
    /// Waste of all attempts in GB·h (1e9 bytes): allocation × run time of those that failed,
    /// (allocation − peak) × run time of those that held.
    pub waste_gbh: f64,
    /// Attempts that were too small.
    pub failures: u64,
    /// Tasks scored.
    pub tasks: u64,
    /// Share of the peaks within the 80 % interval, for methods with intervals.
    pub coverage_p80: Option<f64>,
    /// Share of the peaks within the 95 % interval.
    pub coverage_p95: Option<f64>,
    /// Memory × time held by the attempts that succeeded over that used, minus 1.
    pub over_allocation: f64,
    /// The part of the waste in failed attempts, in GB·h.
    pub retries_gbh: f64,
    /// Memory × time used over that held by all attempts.
    pub utilisation: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn name<S: Serializer>(name: &Name, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(name.as_str())
}

impl MethodReport {
    fn new(name: Name, s: &Score) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "counts of tasks")]
        let share = |n: u64| (s.judged > 0).then(|| n as f64 / s.judged as f64);
        let over = |part: f64| if s.used > 0.0 { part / s.used } else { 0.0 };
        MethodReport {
            name,
            waste_gbh: s.waste / GBH,
            failures: s.failures,
            tasks: s.tasks,
            coverage_p80: share(s.in_p80),
            coverage_p95: share(s.in_p95),
            over_allocation: over(s.waste - s.retried),
            retries_gbh: s.retried / GBH,
            utilisation: if s.used > 0.0 {
                s.used / (s.used + s.waste)
            } else {
                1.0
            },
        }
    }
}

/// Scores by process. Kept flat: a trace may have a million of them.
#[derive(Clone, Debug, Default)]
pub struct Processes {
    methods: Vec<Name>,
    names: Vec<String>,
    /// Index into the names.
    ids: Vec<u32>,
    tasks: Vec<u32>,
    /// Waste in byte-seconds and failures, by process and method.
    scores: Vec<(f64, u32)>,
    last: Vec<LastSeen>,
}

/// One process of a report.
#[derive(Clone, Copy, Debug)]
pub struct ProcessReport<'a> {
    /// Its name.
    pub name: &'a str,
    /// Tasks scored.
    pub tasks: u32,
    methods: &'a [Name],
    scores: &'a [(f64, u32)],
    /// What its tasks were like.
    pub last: &'a LastSeen,
}

impl ProcessReport<'_> {
    /// Waste in GB·h and failures of a method.
    pub fn of(&self, name: Name) -> Option<(f64, u32)> {
        let i = self.methods.iter().position(|m| *m == name)?;
        self.scores.get(i).map(|s| (s.0 / GBH, s.1))
    }
}

impl Processes {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// All of them, those with the most tasks first.
    pub fn iter(&self) -> impl Iterator<Item = ProcessReport<'_>> {
        let mut order: Vec<u32> = (0..self.ids.len())
            .filter_map(|i| u32::try_from(i).ok())
            .collect();
        order.sort_by_key(|i| std::cmp::Reverse(self.tasks[*i as usize]));
        order.into_iter().map(|i| self.get(i as usize))
    }

    fn get(&self, i: usize) -> ProcessReport<'_> {
        let m = self.methods.len();
        ProcessReport {
            name: &self.names[self.ids[i] as usize],
            tasks: self.tasks[i],
            methods: &self.methods,
            scores: &self.scores[i * m..(i + 1) * m],
            last: &self.last[i],
        }
    }
}

impl Serialize for Processes {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Row<'a> {
            process: &'a str,
            tasks: u32,
            methods: Vec<Cell>,
        }
        #[derive(Serialize)]
        struct Cell {
            name: &'static str,
            waste_gbh: f64,
            failures: u32,
        }
        let mut seq = s.serialize_seq(Some(self.len()))?;
        for p in self.iter() {
            seq.serialize_element(&Row {
                process: p.name,
                tasks: p.tasks,
                methods: p
                    .methods
                    .iter()
                    .zip(p.scores)
                    .map(|(name, s)| Cell {
                        name: name.as_str(),
                        waste_gbh: s.0 / GBH,
                        failures: s.1,
                    })
                    .collect(),
            })?;
        }
        seq.end()
    }
}

/// What charts are drawn from.
#[derive(Clone, Debug, Default)]
pub struct Curves {
    /// By number of tasks seen before (0, 1, 2–3, 4–7, ...), for each method.
    pub learning: Vec<Vec<Score>>,
    /// By time, for each method: waste in byte-seconds. Empty where the trace has no times.
    pub time: Vec<Vec<f64>>,
    /// First and last time, in seconds.
    pub span: Option<(f64, f64)>,
    /// Some tasks of ours: peak, first allocation, in bytes.
    pub points: Vec<(f64, f64)>,
    /// How many tasks one point stands for.
    pub stride: u64,
}

/// Parts of the time axis.
const PARTS: usize = 120;
/// Most points of the scatter chart.
const POINTS: usize = 1500;

/// Gathers the scores of a replay.
pub(crate) struct Gather {
    names: Vec<Name>,
    totals: Vec<Score>,
    processes: Processes,
    current: Vec<(f64, u32)>,
    current_tasks: u32,
    curves: Curves,
    ours: Option<usize>,
    seen: u64,
}

impl Gather {
    pub fn new(names: &[Name], span: Option<(f64, f64)>) -> Self {
        Gather {
            names: names.to_vec(),
            totals: vec![Score::default(); names.len()],
            processes: Processes {
                methods: names.to_vec(),
                ..Processes::default()
            },
            current: vec![(0.0, 0); names.len()],
            current_tasks: 0,
            curves: Curves {
                time: if span.is_some() {
                    vec![vec![0.0; names.len()]; PARTS]
                } else {
                    Vec::new()
                },
                span,
                stride: 1,
                ..Curves::default()
            },
            ours: names.iter().position(|n| *n == Name::Foreshadow),
            seen: 0,
        }
    }

    pub fn finish(mut self, names: Vec<String>, rows: Rows, seconds: f64) -> Report {
        self.processes.names = names;
        Report {
            schema: "foreshadow.replay/1",
            rows,
            methods: self
                .names
                .iter()
                .zip(&self.totals)
                .map(|(n, s)| MethodReport::new(*n, s))
                .collect(),
            processes: self.processes,
            seconds,
            curves: self.curves,
            warnings: Vec::new(),
            setting: Vec::new(),
        }
    }
}

impl Sink for Gather {
    fn scored(&mut self, s: &Scored<'_>) {
        let m = s.method;
        self.totals[m].add(&s.score);
        self.current[m].0 += s.score.waste;
        let failures = u32::try_from(s.score.failures).unwrap_or(u32::MAX);
        self.current[m].1 = self.current[m].1.saturating_add(failures);
        self.current_tasks += u32::from(m == 0);
        let octave = (usize::BITS - s.before.leading_zeros()) as usize;
        let learning = &mut self.curves.learning;
        while learning.len() <= octave {
            learning.push(vec![Score::default(); self.names.len()]);
        }
        learning[octave][m].add(&s.score);
        if let (Some((from, to)), Some(at)) = (self.curves.span, s.task.ended) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a part of the axis; the cast saturates"
            )]
            let part = ((at - from) / (to - from) * PARTS as f64) as usize;
            self.curves.time[part.min(PARTS - 1)][m] += s.score.waste;
        }
        if self.ours == Some(m) {
            if self.seen.is_multiple_of(self.curves.stride) {
                self.curves.points.push((s.task.peak, s.first));
                if self.curves.points.len() > POINTS {
                    // Every second one stays.
                    let mut keep = false;
                    self.curves.points.retain(|_| {
                        keep = !keep;
                        keep
                    });
                    self.curves.stride *= 2;
                }
            }
            self.seen += 1;
        }
    }

    fn done(&mut self, process: u32, last: &LastSeen) {
        if self.current_tasks > 0 {
            self.processes.ids.push(process);
            self.processes.tasks.push(self.current_tasks);
            self.processes.scores.extend_from_slice(&self.current);
            self.processes.last.push(*last);
        }
        self.current.fill((0.0, 0));
        self.current_tasks = 0;
    }
}
