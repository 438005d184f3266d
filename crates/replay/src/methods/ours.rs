use foreshadow_prediction::cost::{CostModel, recommend};
use foreshadow_prediction::history::{Config, Features, Learner, Observation};
use foreshadow_quantity::Bytes;

use super::{Intervals, Known, Method, Outcome};

/// The learner of this project with the allocation of least expected cost.
#[derive(Clone, Debug)]
pub struct Ours {
    learner: Learner,
    cost: CostModel,
    retries: Vec<Bytes>,
    intervals: Option<Intervals>,
}

impl Ours {
    /// For nodes with this much memory.
    pub fn new(node: f64) -> Self {
        Ours {
            learner: Learner::new(Config::default()),
            cost: CostModel {
                limit: Some(Bytes::from_f64(node)),
                ..CostModel::default()
            },
            retries: Vec::new(),
            intervals: None,
        }
    }

    fn features(task: &Known<'_>) -> Features {
        let mut features = Features::new();
        for (name, value) in task.names.iter().zip(task.values) {
            features.set(name.as_str(), *value);
        }
        features
    }
}

impl Method for Ours {
    fn first(&mut self, task: &Known<'_>) -> Option<f64> {
        self.retries.clear();
        self.intervals = None;
        let prediction = self.learner.predict(&Ours::features(task)).ok()?;
        self.intervals = Some(Intervals {
            p80: prediction.interval(0.80),
            p95: prediction.interval(0.95),
        });
        let r = recommend(&prediction.predictive, &self.cost);
        self.retries = r.retries;
        Some(r.allocation.as_f64())
    }

    fn retry(&mut self, failed: f64, _attempt: u32) -> f64 {
        self.retries
            .iter()
            .map(|r| r.as_f64())
            .find(|r| *r > failed)
            .unwrap_or(failed * 2.0)
    }

    fn observe(&mut self, task: &Known<'_>, outcome: &Outcome) {
        let observation = Observation {
            value: outcome.peak,
            censored: !outcome.complete,
        };
        // A trace's peaks are positive and finite: the reader leaves others out.
        let _ = self.learner.observe(&Ours::features(task), &observation);
    }

    fn intervals(&self) -> Option<Intervals> {
        self.intervals
    }
}
