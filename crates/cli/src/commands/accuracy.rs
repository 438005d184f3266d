use foreshadow_engine::contract::{Levels, Prediction};
use foreshadow_quantity::Bytes;
use foreshadow_store::{End, HistoryFilter, TaskRecord, TaskState};
use serde::Serialize;

use crate::args::AccuracyArguments;
use crate::failure::Failure;
use crate::term::Style;
use crate::{output, render};

pub(super) fn execute(arguments: &AccuracyArguments) -> Result<(), Failure> {
    let tasks = super::history::tasks(HistoryFilter {
        command: arguments.command.clone(),
        state: Some(TaskState::Finished),
        ..HistoryFilter::default()
    })?;
    let accuracy = Accuracy::of(&tasks);
    if arguments.json {
        output::print_json(&accuracy)
    } else {
        output::print(&render::accuracy::report(&accuracy, &Style::stdout()))
    }
}

/// What was predicted of a resource, and what it was; None where one of them is not known.
type Compare = dyn Fn(&Prediction, &TaskRecord) -> Option<(Levels, f64)>;

/// `accuracy --json`.
#[derive(Debug, Serialize)]
pub(crate) struct Accuracy {
    schema: &'static str,
    /// Successful runs with a prediction.
    pub(crate) tasks: usize,
    pub(crate) resources: Resources,
}

#[derive(Debug, Serialize)]
pub(crate) struct Resources {
    pub(crate) peak_memory_bytes: Score,
    pub(crate) cpu_seconds: Score,
    pub(crate) wall_seconds: Score,
}

/// How the predictions of one resource held.
#[derive(Debug, Serialize)]
pub(crate) struct Score {
    /// Runs with both figures.
    pub(crate) tasks: usize,
    /// Median of |p50 - actual| / actual.
    pub(crate) median_error: Option<f64>,
    /// Runs within p10 to p90, below p10, above p90.
    pub(crate) within: usize,
    pub(crate) below: usize,
    pub(crate) above: usize,
}

impl Accuracy {
    fn of(tasks: &[TaskRecord]) -> Self {
        let pairs: Vec<(Prediction, &TaskRecord)> = tasks
            .iter()
            // What a failed run used says nothing of what it would have needed.
            .filter(|t| t.end == Some(End::Code(0)))
            .filter_map(|t| {
                let prediction: Prediction = serde_json::from_str(t.prediction.as_deref()?).ok()?;
                prediction.abstained.is_none().then_some((prediction, t))
            })
            .collect();
        let score = |of: &Compare| Score::of(pairs.iter().filter_map(|(p, t)| of(p, t)));
        Accuracy {
            schema: "foreshadow.accuracy/1",
            tasks: pairs.len(),
            resources: Resources {
                peak_memory_bytes: score(&|p, t| {
                    let actual = t.actuals?.peak_memory_bytes.map(Bytes::as_f64)?;
                    Some((p.prediction.peak_memory_bytes?, actual))
                }),
                cpu_seconds: score(&|p, t| {
                    Some((p.prediction.cpu_seconds?, t.actuals?.cpu_seconds?))
                }),
                wall_seconds: score(&|p, t| {
                    Some((p.prediction.wall_seconds?, t.actuals?.wall_seconds?))
                }),
            },
        }
    }
}

impl Score {
    fn of(pairs: impl Iterator<Item = (Levels, f64)>) -> Self {
        let mut score = Score {
            tasks: 0,
            median_error: None,
            within: 0,
            below: 0,
            above: 0,
        };
        let mut errors = Vec::new();
        for (levels, actual) in pairs {
            score.tasks += 1;
            if levels.holds(actual) {
                score.within += 1;
            } else if actual < levels.p10 {
                score.below += 1;
            } else {
                score.above += 1;
            }
            if actual > 0.0 {
                errors.push((levels.p50 - actual).abs() / actual);
            }
        }
        score.median_error = median(errors);
        score
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(upper, values[values.len() / 2 - 1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_of_pairs() {
        let levels = Levels {
            p10: 90.0,
            p50: 100.0,
            p90: 120.0,
            p99: 130.0,
        };
        let score = Score::of([(levels, 100.0), (levels, 200.0), (levels, 50.0)].into_iter());
        assert_eq!(
            (score.tasks, score.within, score.below, score.above),
            (3, 1, 1, 1)
        );
        assert_eq!(score.median_error, Some(0.5));
        let none = Score::of(std::iter::empty());
        assert_eq!(none.median_error, None);
        assert_eq!(median(vec![1.0, 3.0]), Some(2.0));
    }
}
