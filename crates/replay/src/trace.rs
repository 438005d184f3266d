//! The finished tasks of a trace, whatever its format was.

use std::collections::{BTreeMap, HashMap};

/// One usable row. Amounts are finite; the peak is positive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Task {
    /// Index into [`Trace::processes`].
    pub process: u32,
    /// Peak memory in bytes; a lower bound where `complete` is false.
    pub peak: f64,
    /// Run time in seconds, not negative.
    pub seconds: f64,
    /// What the user had asked for, in bytes.
    pub requested: Option<f64>,
    /// When it ended (seconds since whatever epoch), if the trace says so.
    pub ended: Option<f64>,
    /// When it started.
    pub started: Option<f64>,
    /// Cores used on average, if known.
    pub cores: Option<f32>,
    /// Whether the task ran to its end with success.
    pub complete: bool,
}

/// A trace in memory, and what was left out of it.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Names, by index.
    pub processes: Vec<String>,
    /// Usable rows in the order of the file.
    pub tasks: Vec<Task>,
    /// Names of the features, by index.
    pub features: Vec<String>,
    /// Name of the column with the peak.
    pub target: String,
    /// For each task as many values as there are features; NaN is missing. Flat, because a trace
    /// may have millions of rows.
    pub values: Vec<f64>,
    /// Rows read, usable or not, the header apart.
    pub read: u64,
    /// Reason → how many rows were left out for it.
    pub skipped: BTreeMap<String, u64>,
    /// What happened to the file as a whole (an early end), in words.
    pub warnings: Vec<String>,
    pub(crate) ids: HashMap<String, u32>,
}

impl Trace {
    /// Counts one row as left out.
    pub fn skip(&mut self, reason: &str) {
        if let Some(n) = self.skipped.get_mut(reason) {
            *n += 1;
        } else {
            self.skipped.insert(reason.to_owned(), 1);
        }
    }

    /// The index of a process by name.
    pub fn process(&mut self, name: &str) -> u32 {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        // A trace with 2^32 processes doesn't fit into memory anyway.
        let id = u32::try_from(self.processes.len()).unwrap_or(u32::MAX);
        self.processes.push(name.to_owned());
        self.ids.insert(name.to_owned(), id);
        id
    }

    /// The features of task number `i`; NaN is missing.
    pub fn values_of(&self, i: usize) -> &[f64] {
        let n = self.features.len();
        self.values.get(i * n..(i + 1) * n).unwrap_or(&[])
    }

    /// Frees what is only needed while reading.
    pub fn finish(&mut self) {
        self.ids = HashMap::new();
        self.tasks.shrink_to_fit();
        self.values.shrink_to_fit();
    }
}
