use super::{Learner, Prediction};
use crate::Predictive;

/// Spread of a shadow's errors assumed before any was seen, in the logarithm, and how many
/// observations that assumption is worth.
const PRIOR: (f64, f64) = (0.15, 2.0);

/// A shadow-based forecast corrected by how the shadows of this quantity erred so far, and blended
/// with what history says, if it says anything.
///
/// The shadow's values are multiplied by the median ratio of outcome to forecast, drawn towards 1
/// while few were seen. Each side then weighs by the inverse square of its spread. Where the two
/// agree within their spreads their quantile functions are averaged; where they contradict each
/// other both are kept, as a mixture.
pub fn blend(learner: &Learner, history: Option<&Prediction>, shadow: &Predictive) -> Predictive {
    let mut errors = learner.shadow_errors().to_vec();
    errors.sort_unstable_by(f64::total_cmp);
    let n = errors.len() as f64;
    let (sigma0, n0) = PRIOR;
    let median = errors.get(errors.len() / 2).copied().unwrap_or(0.0);
    let bias = median * n / (n + n0);
    let variance = (errors
        .iter()
        .map(|e| (e - bias).powi(2).min(4.0))
        .sum::<f64>()
        + n0 * sigma0 * sigma0)
        / (n + n0);
    let corrected = shadow.scale(bias.exp()).unwrap_or_else(|| shadow.clone());
    let Some(history) = history else {
        return corrected;
    };
    // A spread from few observations is itself uncertain: as if one more had been off by the
    // prior spread.
    let seen = history.n as f64;
    let own = (history.spread.powi(2) * seen + sigma0 * sigma0) / (seen + 1.0);
    let weight = variance.recip() / (variance.recip() + own.recip());
    let (a, b) = (history.predictive.quantile(0.5), corrected.quantile(0.5));
    let apart = if a > 0.0 && b > 0.0 {
        (a / b).ln().abs()
    } else {
        f64::INFINITY
    };
    if apart <= 3.0 * (variance + own).sqrt() {
        history.predictive.average(&corrected, weight)
    } else {
        Predictive::mix(&[(1.0 - weight, &history.predictive), (weight, &corrected)])
            .unwrap_or(corrected)
    }
}
