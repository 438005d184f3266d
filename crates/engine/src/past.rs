//! What earlier runs of the same command tell.

use foreshadow_prediction::Predictive;
use foreshadow_prediction::history::{self, Config, Learner, Observation};
use foreshadow_quantity::Bytes;
use foreshadow_store::{Actuals, Cause, End, Features, Store, StoreError, TaskRecord};

/// A quantity that is learned from finished tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quantity {
    PeakMemory,
    Cpu,
    Wall,
    PageCache,
    Read,
    Written,
}

impl Quantity {
    fn of(self, actuals: &Actuals) -> Option<f64> {
        let bytes = |b: Option<Bytes>| b.map(Bytes::as_f64);
        match self {
            Quantity::PeakMemory => bytes(actuals.peak_memory_bytes),
            Quantity::Cpu => actuals.cpu_seconds,
            Quantity::Wall => actuals.wall_seconds,
            Quantity::PageCache => bytes(actuals.page_cache_peak_bytes),
            Quantity::Read => bytes(actuals.read_bytes),
            Quantity::Written => bytes(actuals.write_bytes),
        }
    }
}

/// The finished runs of one signature on this kind of machine, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Past {
    tasks: Vec<TaskRecord>,
}

/// So many successful runs can speak for themselves ...
const ENOUGH: usize = 3;
/// ... where what they teach errs by no more than this.
const AGREE: f64 = 0.15;
/// More runs than this teach little that newer ones don't.
const MOST: usize = 48;

impl Past {
    pub fn load(store: &Store, signature: &str, machine: &str) -> Result<Past, StoreError> {
        let mut tasks = store.similar(signature, machine, MOST)?;
        tasks.reverse();
        Ok(Past { tasks })
    }

    /// How many runs came to a successful end.
    pub fn successes(&self) -> usize {
        self.tasks.iter().filter(|t| succeeded(t)).count()
    }

    /// Whether they tell so much of a run with these features that a shadow would add nothing
    /// worth its cost: several runs that agree, at sizes like this one's.
    pub fn suffices(&self, now: &Features) -> bool {
        if self.successes() < ENOUGH {
            return false;
        }
        let known = |quantity| {
            self.learn(quantity)
                .predict(&features(now))
                .is_ok_and(|p| p.spread < AGREE)
        };
        known(Quantity::PeakMemory) && known(Quantity::Cpu)
    }

    /// What they teach of one quantity.
    pub fn learn(&self, quantity: Quantity) -> Learner {
        let mut learner = Learner::new(Config::default());
        for task in &self.tasks {
            let Some(value) = task.actuals.as_ref().and_then(|a| quantity.of(a)) else {
                continue;
            };
            let observation = if succeeded(task) {
                Observation::complete(value)
            } else if quantity == Quantity::PeakMemory && killed_for_memory(task) {
                // It needed more than it had.
                Observation::at_least(value)
            } else {
                // How much a run used before it failed says nothing of one that doesn't.
                continue;
            };
            // An amount of 0 can't be learned from on a logarithmic scale; it isn't wrong either.
            let _ = learner.observe(&features(&task.features), &observation);
        }
        learner
    }
}

fn succeeded(task: &TaskRecord) -> bool {
    task.end == Some(End::Code(0))
}

fn killed_for_memory(task: &TaskRecord) -> bool {
    matches!(task.cause, Some(Cause::OomCgroup | Cause::OomHost))
}

/// The store's features in the learner's form.
pub(crate) fn features(stored: &Features) -> history::Features {
    let mut out = history::Features::new();
    let total: Bytes = stored.inputs.values().copied().sum();
    if !stored.inputs.is_empty() {
        out.set("input bytes", total.as_f64());
    }
    if stored.inputs.len() > 1 {
        for (role, bytes) in &stored.inputs {
            out.set(format!("bytes of input {role}"), bytes.as_f64());
        }
    }
    for (role, number) in &stored.numbers {
        out.set(format!("argument {role}"), *number);
    }
    if let Some(records) = stored.records {
        out.set("records", records);
    }
    out
}

/// History's word on one quantity, corrected shadow's word, or both together.
pub(crate) struct Blended {
    pub predictive: Predictive,
    pub explain: Vec<String>,
}

/// Puts what the shadows say together with what the past says; `None` where neither speaks.
pub(crate) fn blend(
    learner: &Learner,
    now: &Features,
    shadow: Option<&Predictive>,
) -> Option<Blended> {
    let past = learner.predict(&features(now)).ok();
    match (past, shadow) {
        (past, Some(shadow)) => Some(Blended {
            predictive: history::blend(learner, past.as_ref(), shadow),
            explain: past.map(|p| p.explain()).unwrap_or_default(),
        }),
        (Some(past), None) => Some(Blended {
            explain: past.explain(),
            predictive: past.predictive,
        }),
        (None, None) => None,
    }
}
