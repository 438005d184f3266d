use super::{Known, Method, Outcome};

/// What the user asked for; doubled after a failure, as workflow engines commonly do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Requested;

impl Method for Requested {
    fn first(&mut self, task: &Known<'_>) -> Option<f64> {
        task.requested
    }

    fn retry(&mut self, failed: f64, _attempt: u32) -> f64 {
        failed * 2.0
    }

    fn observe(&mut self, _task: &Known<'_>, _outcome: &Outcome) {}
}
