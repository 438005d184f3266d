use super::{Known, Method, Outcome};

/// The largest peak seen so far × 1.1; doubled after a failure.
#[derive(Clone, Copy, Debug, Default)]
pub struct MaxSeen {
    largest: f64,
}

impl Method for MaxSeen {
    fn first(&mut self, _task: &Known<'_>) -> Option<f64> {
        (self.largest > 0.0).then_some(self.largest * 1.1)
    }

    fn retry(&mut self, failed: f64, _attempt: u32) -> f64 {
        failed * 2.0
    }

    fn observe(&mut self, _task: &Known<'_>, outcome: &Outcome) {
        self.largest = self.largest.max(outcome.peak);
    }
}
