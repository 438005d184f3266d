//! The models over what is remembered, and how each would have predicted what it didn't see.

use super::memory::{MAX_FEATURES, Memory};
use super::models::{Data, Kind, Model, fit_models, near, symlog};

/// Below this scale of relative errors nothing is told apart: runs of one command on one input
/// differ by a few pages.
pub(super) const FLOOR: f64 = 0.002;

/// A model's leave-one-out prediction further off than this (in the logarithm: 7 times) is absurd.
const ABSURD: f64 = 2.0;

/// How many observations the mean over all counts for, where a mean over few is drawn towards it.
const DRAWN: f64 = 2.0;

/// Scale of the tails around a single observation, in the logarithm: a second run of a program on
/// another input is then expected within a factor of 1.6 in nine of ten cases.
const ALONE: f64 = 0.2;

/// A feature beyond the range seen by less than this (in the logarithm: twice) is within it.
const NEAR: f64 = 0.69;

/// Spread added for each unit of the logarithm beyond what was seen, in full where that is as far
/// as what was seen is wide: a trend seen over a wide range goes further.
const TREND_ENDS: f64 = 0.05;

/// Everything that depends on the remembered observations only.
#[derive(Clone, Debug)]
pub(super) struct Fit {
    pub n: usize,
    pub models: Vec<Model>,
    /// Leave-one-out errors of the averaged models, in the logarithm, over the spread expected at
    /// their place; increasing, with weights.
    pub errors: Vec<(f64, f64)>,
    /// Root mean square of the errors themselves.
    pub spread: f64,
    /// Scale of the exponential tails beyond the extreme errors.
    pub tail: f64,
    pub head: f64,
    /// Range of each feature slot in [`symlog`].
    pub ranges: Vec<Option<(f64, f64)>>,
    /// Lower end of what a model may say.
    least: f64,
    local: Local,
}

/// What the models say at one place, in the logarithm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub centre: f64,
    /// What [`Fit::errors`] are to be multiplied with.
    pub scale: f64,
    /// Standard deviation to add for being outside of what was seen.
    pub beyond: f64,
}

/// Sums of absolute errors along the feature that tells most, to see where models err less.
#[derive(Clone, Debug)]
struct Local {
    slot: Option<usize>,
    /// The feature in [`symlog`], increasing.
    at: Vec<f64>,
    /// For each model, and last for their average, prefix sums of absolute errors in that order.
    sums: Vec<Vec<f64>>,
    half: usize,
}

impl Local {
    /// Mean absolute error of column `m` around place `i` (without the point there if `inside`),
    /// drawn towards the mean over all.
    fn mean(&self, m: usize, i: usize, inside: bool) -> f64 {
        let sums = &self.sums[m];
        let n = sums.len() - 1;
        let (low, high) = if inside {
            (i.saturating_sub(self.half), (i + 1 + self.half).min(n))
        } else {
            (i.saturating_sub(self.half), (i + self.half).min(n))
        };
        let mut sum = sums[high] - sums[low];
        let mut count = (high - low) as f64;
        let mut all = sums[n];
        let mut total = n as f64;
        if inside {
            let own = sums[i + 1] - sums[i];
            sum -= own;
            count -= 1.0;
            all -= own;
            total -= 1.0;
        }
        (sum.max(0.0) + DRAWN * all.max(0.0) / total.max(1.0)) / (count + DRAWN)
    }
}

impl Fit {
    pub fn new(memory: &Memory) -> Option<Fit> {
        let n = memory.len();
        if n == 0 {
            return None;
        }
        let weights: Vec<f64> = memory.iter().map(|s| s.weight).collect();
        let mut data = Data {
            ly: memory.iter().map(|s| s.ly).collect(),
            y: memory.iter().map(|s| s.ly.exp()).collect(),
            w: weights.clone(),
        };
        let features: Vec<Vec<Option<f64>>> = (0..memory.slots().len())
            .map(|slot| memory.iter().map(|s| s.x(slot)).collect())
            .collect();
        let ranges = features.iter().map(|x| range(x)).collect();
        let (mut models, mut predicted) = fit_models(&data, &features);
        // Where every model, not having seen it, is off by a factor of 7, the observation is
        // absurd: it stays among the errors, but must not bend the models.
        let mut absurd = false;
        for i in 0..n {
            let off = predicted
                .iter()
                .map(|p| (data.ly[i] - p[i]).abs())
                .fold(f64::INFINITY, f64::min);
            if off > ABSURD && n > 3 {
                data.w[i] *= (ABSURD / off).powi(4) * 0.01;
                absurd = true;
            }
        }
        if absurd {
            (models, predicted) = fit_models(&data, &features);
        }
        weigh(&mut models, &predicted, &data);
        let slot = leading(&models);
        let mut order: Vec<usize> = (0..n).collect();
        let mut at: Vec<f64> = Vec::new();
        if let Some(slot) = slot {
            let key = |i: usize| features[slot][i].map_or(f64::NEG_INFINITY, symlog);
            let keys: Vec<f64> = (0..n).map(key).collect();
            order.sort_unstable_by(|a, b| keys[*a].total_cmp(&keys[*b]));
            at = order.iter().map(|i| keys[*i]).collect();
        }
        let prefix = |error: &dyn Fn(usize) -> f64| {
            let mut sum = 0.0;
            let mut out = Vec::with_capacity(n + 1);
            out.push(0.0);
            for i in &order {
                sum += data.w[*i] * error(*i).abs().min(ABSURD);
                out.push(sum);
            }
            out
        };
        let mut local = Local {
            slot,
            sums: predicted
                .iter()
                .map(|p| prefix(&|i| data.ly[i] - p[i]))
                .collect(),
            at,
            half: (n / 6).clamp(2, 16),
        };
        let mut raw = vec![0.0; n];
        for (place, i) in order.iter().enumerate() {
            let (mut sum, mut total) = (0.0, 0.0);
            for (m, p) in predicted.iter().enumerate() {
                let w = if slot.is_some() {
                    share(local.mean(m, place, true))
                } else {
                    models[m].weight
                };
                sum += w * p[*i];
                total += w;
            }
            raw[*i] = data.ly[*i] - sum / total;
        }
        local.sums.push(prefix(&|i| raw[i]));
        let mut errors: Vec<(f64, f64)> = Vec::with_capacity(n);
        if n > 1 {
            for (place, i) in order.iter().enumerate() {
                let scale = if slot.is_some() {
                    local.mean(models.len(), place, true) + FLOOR
                } else {
                    1.0
                };
                errors.push((raw[*i] / scale, weights[*i]));
            }
        }
        let square: f64 = (0..n).map(|i| data.w[i] * raw[i] * raw[i]).sum();
        let spread = (square / data.w.iter().sum::<f64>()).sqrt();
        errors.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let least = data.y.iter().copied().fold(f64::INFINITY, f64::min) * 0.5;
        let (head, tail) = tails(&errors);
        Some(Fit {
            n,
            models,
            errors,
            spread,
            tail,
            head,
            ranges,
            least,
            local,
        })
    }

    /// The forecast of the logarithm at this place.
    pub fn place(&self, x: &[Option<f64>]) -> Place {
        let lx = self
            .local
            .slot
            .and_then(|s| x.get(s).copied().flatten())
            .map(symlog);
        let place = lx.map(|lx| self.local.at.partition_point(|a| *a < lx));
        let (mut sum, mut total) = (0.0, 0.0);
        let mut square = 0.0;
        for (i, m) in self.models.iter().enumerate() {
            if let Some(said) = self.say(m, x) {
                let w = place.map_or(m.weight, |p| share(self.local.mean(i, p, false)));
                sum += w * said;
                total += w;
                square += w * said * said;
            }
        }
        let scale = match (self.local.slot, place) {
            (None, _) => 1.0,
            (Some(_), Some(p)) => self.local.mean(self.models.len(), p, false) + FLOOR,
            (Some(_), None) => self.spread + FLOOR,
        };
        // Outside of what was seen the errors seen say little: how far the models differ says more,
        // and even where they agree, a trend need not go on.
        let (outside, range) = self.outside(x);
        let centre = sum / total;
        let beyond = if outside > NEAR {
            (square / total - centre * centre).max(0.0).sqrt()
                + TREND_ENDS * outside * (outside / range).min(1.0)
        } else {
            0.0
        };
        Place {
            centre,
            scale,
            beyond,
        }
    }

    /// How far the leading feature lies outside of what was seen, and the width of what was seen,
    /// in the logarithm.
    fn outside(&self, x: &[Option<f64>]) -> (f64, f64) {
        let Some(slot) = self.local.slot else {
            return (0.0, 1.0);
        };
        match (
            self.ranges[slot],
            x.get(slot).copied().flatten().map(symlog),
        ) {
            (Some((low, high)), Some(x)) => ((x - high).max(low - x).max(0.0), high - low),
            _ => (0.0, 1.0),
        }
    }

    /// What a model says of the logarithm; None where its feature is missing.
    pub fn say(&self, m: &Model, x: &[Option<f64>]) -> Option<f64> {
        let x = m.kind.slot().map(|s| x.get(s).copied().flatten());
        match (&m.kind, x) {
            (Kind::Mean { ly } | Kind::Median { ly }, _) => Some(*ly),
            (
                Kind::Line {
                    at, slope, mean, ..
                },
                Some(Some(x)),
            ) => Some((mean + slope * (x - at)).max(self.least).ln()),
            (
                Kind::Power {
                    at, slope, mean, ..
                },
                Some(Some(x)),
            ) => Some(mean + slope * (symlog(x) - at)),
            (Kind::Near { points, k, .. }, Some(Some(x))) => {
                let x = symlog(x);
                Some(near(
                    points,
                    points.partition_point(|p| p.0 < x),
                    None,
                    x,
                    *k,
                ))
            }
            _ => None,
        }
        .filter(|s| s.is_finite())
    }
}

/// The feature whose models have most of the weight, if there are any.
fn leading(models: &[Model]) -> Option<usize> {
    let mut weights: [f64; MAX_FEATURES] = [0.0; MAX_FEATURES];
    for m in models {
        if let Some(s) = m.kind.slot() {
            weights[s] += m.weight;
        }
    }
    let best = (0..MAX_FEATURES).max_by(|a, b| weights[*a].total_cmp(&weights[*b]))?;
    (weights[best] > 0.0).then_some(best)
}

/// The weight of a model with this mean error.
fn share(loss: f64) -> f64 {
    (loss + FLOOR).powi(-3)
}

fn range(x: &[Option<f64>]) -> Option<(f64, f64)> {
    x.iter().flatten().map(|x| symlog(*x)).fold(None, |r, x| {
        Some(r.map_or((x, x), |(lo, hi): (f64, f64)| (lo.min(x), hi.max(x))))
    })
}

/// Weights by the inverse power of each model's mean error.
fn weigh(models: &mut [Model], predicted: &[Vec<f64>], data: &Data) {
    let total: f64 = data.w.iter().sum();
    for (m, p) in models.iter_mut().zip(predicted) {
        let sum: f64 = (0..p.len())
            .map(|i| data.w[i] * (data.ly[i] - p[i]).abs().min(ABSURD))
            .sum();
        m.loss = sum / total;
    }
    for m in models.iter_mut() {
        m.weight = share(m.loss);
    }
    let sum: f64 = models.iter().map(|m| m.weight).sum();
    for m in models.iter_mut() {
        m.weight /= sum;
    }
}

/// Scales of the exponential tails below and above: mean excess over the next of the extreme
/// errors (Hill's estimator, in the logarithm), drawn towards what the bulk suggests.
fn tails(errors: &[(f64, f64)]) -> (f64, f64) {
    let n = errors.len();
    if n == 0 {
        return (ALONE, ALONE);
    }
    let spread = errors.iter().map(|e| e.0.abs().min(ABSURD)).sum::<f64>() / n as f64;
    let prior = 1.5 * spread + FLOOR;
    let k = (n / 10).clamp(1, 8).min(n - 1);
    let excess = |at: &dyn Fn(usize) -> f64| -> f64 {
        let over: f64 = (0..k).map(|i| (at(i) - at(k)).min(ABSURD)).sum();
        (over + DRAWN * prior) / (k as f64 + DRAWN)
    };
    (excess(&|i| -errors[i].0), excess(&|i| errors[n - 1 - i].0))
}
