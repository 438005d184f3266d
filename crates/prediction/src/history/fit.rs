//! The models over what is remembered, and how each would have predicted what it didn't see.

use super::memory::{MAX_FEATURES, Memory};

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

/// Near and far alike on a logarithmic axis, defined for zero and negative numbers.
pub(super) fn symlog(x: f64) -> f64 {
    x.abs().ln_1p().copysign(x)
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Mean { ly: f64 },
    Median { ly: f64 },
    Line { slot: usize, at: f64, slope: f64, mean: f64 },
    Power { slot: usize, at: f64, slope: f64, mean: f64 },
    Near { slot: usize, points: Vec<(f64, f64, f64)>, k: usize },
}

impl Kind {
    pub fn slot(&self) -> Option<usize> {
        match self {
            Kind::Mean { .. } | Kind::Median { .. } => None,
            Kind::Line { slot, .. } | Kind::Power { slot, .. } | Kind::Near { slot, .. } => {
                Some(*slot)
            }
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Kind::Mean { .. } => "mean",
            Kind::Median { .. } => "median",
            Kind::Line { .. } => "line",
            Kind::Power { .. } => "power law",
            Kind::Near { .. } => "nearest",
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Model {
    pub kind: Kind,
    pub weight: f64,
    /// Mean absolute leave-one-out error of the logarithm.
    pub loss: f64,
}

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

struct Data {
    ly: Vec<f64>,
    y: Vec<f64>,
    w: Vec<f64>,
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
            sums: predicted.iter().map(|p| prefix(&|i| data.ly[i] - p[i])).collect(),
            at,
            half: (n / 6).clamp(2, 16),
        };
        let mut raw = vec![0.0; n];
        for (place, i) in order.iter().enumerate() {
            let (mut sum, mut total) = (0.0, 0.0);
            for (m, p) in predicted.iter().enumerate() {
                let w = if slot.is_some() { share(local.mean(m, place, true)) } else { models[m].weight };
                sum += w * p[*i];
                total += w;
            }
            raw[*i] = data.ly[*i] - sum / total;
        }
        local.sums.push(prefix(&|i| raw[i]));
        let mut errors: Vec<(f64, f64)> = Vec::with_capacity(n);
        if n > 1 {
            for (place, i) in order.iter().enumerate() {
                let scale = if slot.is_some() { local.mean(models.len(), place, true) + FLOOR } else { 1.0 };
                errors.push((raw[*i] / scale, weights[*i]));
            }
        }
        let square: f64 = (0..n).map(|i| data.w[i] * raw[i] * raw[i]).sum();
        let spread = (square / data.w.iter().sum::<f64>()).sqrt();
        errors.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let least = data.y.iter().copied().fold(f64::INFINITY, f64::min) * 0.5;
        let (head, tail) = tails(&errors);
        Some(Fit { n, models, errors, spread, tail, head, ranges, least, local })
    }

    /// The forecast of the logarithm at this place.
    pub fn place(&self, x: &[Option<f64>]) -> Place {
        let lx = self.local.slot.and_then(|s| x.get(s).copied().flatten()).map(symlog);
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
        Place { centre, scale, beyond }
    }

    /// How far the leading feature lies outside of what was seen, and the width of what was seen,
    /// in the logarithm.
    fn outside(&self, x: &[Option<f64>]) -> (f64, f64) {
        let Some(slot) = self.local.slot else { return (0.0, 1.0) };
        match (self.ranges[slot], x.get(slot).copied().flatten().map(symlog)) {
            (Some((low, high)), Some(x)) => ((x - high).max(low - x).max(0.0), high - low),
            _ => (0.0, 1.0),
        }
    }

    /// What a model says of the logarithm; None where its feature is missing.
    pub fn say(&self, m: &Model, x: &[Option<f64>]) -> Option<f64> {
        let x = m.kind.slot().map(|s| x.get(s).copied().flatten());
        match (&m.kind, x) {
            (Kind::Mean { ly } | Kind::Median { ly }, _) => Some(*ly),
            (Kind::Line { at, slope, mean, .. }, Some(Some(x))) => {
                Some((mean + slope * (x - at)).max(self.least).ln())
            }
            (Kind::Power { at, slope, mean, .. }, Some(Some(x))) => {
                Some(mean + slope * (symlog(x) - at))
            }
            (Kind::Near { points, k, .. }, Some(Some(x))) => {
                let x = symlog(x);
                Some(near(points, points.partition_point(|p| p.0 < x), None, x, *k))
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

/// Models with their leave-one-out predictions of the logarithm.
fn fit_models(data: &Data, features: &[Vec<Option<f64>>]) -> (Vec<Model>, Vec<Vec<f64>>) {
    let mut models = Vec::new();
    let mut predicted = Vec::new();
    let mut add = |kind, p| {
        models.push(Model { kind, weight: 0.0, loss: 0.0 });
        predicted.push(p);
    };
    let (mean, p) = fit_mean(data);
    add(Kind::Mean { ly: mean }, p);
    let (median, base) = fit_median(data);
    add(Kind::Median { ly: median }, base.clone());
    for (slot, x) in features.iter().enumerate() {
        let known: Vec<usize> = (0..x.len()).filter(|i| x[*i].is_some()).collect();
        let raw: Vec<f64> = known.iter().filter_map(|i| x[*i]).collect();
        if known.len() < 3 || raw.iter().all(|v| *v == raw[0]) {
            continue;
        }
        let log: Vec<f64> = raw.iter().map(|v| symlog(*v)).collect();
        let y: Vec<f64> = known.iter().map(|i| data.y[*i]).collect();
        let ly: Vec<f64> = known.iter().map(|i| data.ly[*i]).collect();
        let w: Vec<f64> = known.iter().map(|i| data.w[*i]).collect();
        let spread = |values: Vec<f64>| {
            let mut p = base.clone();
            for (i, v) in known.iter().zip(values) {
                p[*i] = v;
            }
            p
        };
        if let Some((at, slope, mean, left_out)) = least_squares(&raw, &y, &w) {
            let least = y.iter().copied().fold(f64::INFINITY, f64::min) * 0.5;
            let left_out = left_out.into_iter().map(|v| v.max(least).ln()).collect();
            add(Kind::Line { slot, at, slope, mean }, spread(left_out));
        }
        if let Some((at, slope, mean, left_out)) = least_squares(&log, &ly, &w) {
            add(Kind::Power { slot, at, slope, mean }, spread(left_out));
        }
        let k = (known.len() / 6).clamp(2, 8);
        let mut order: Vec<usize> = (0..known.len()).collect();
        order.sort_unstable_by(|a, b| log[*a].total_cmp(&log[*b]));
        let points: Vec<(f64, f64, f64)> =
            order.iter().map(|i| (log[*i], ly[*i], w[*i])).collect();
        let mut left_out = vec![0.0; known.len()];
        for (rank, i) in order.iter().enumerate() {
            left_out[*i] = near(&points, rank, Some(rank), log[*i], k);
        }
        add(Kind::Near { slot, points, k }, spread(left_out));
    }
    (models, predicted)
}

fn fit_mean(data: &Data) -> (f64, Vec<f64>) {
    let total: f64 = data.w.iter().sum();
    let sum: f64 = data.w.iter().zip(&data.ly).map(|(w, y)| w * y).sum();
    let mean = sum / total;
    let left_out = data
        .w
        .iter()
        .zip(&data.ly)
        .map(|(w, y)| {
            if total - w > 1e-9 { (sum - w * y) / (total - w) } else { mean }
        })
        .collect();
    (mean, left_out)
}

/// Weights are left out of account: the median needs none to withstand outliers.
fn fit_median(data: &Data) -> (f64, Vec<f64>) {
    let mut sorted = data.ly.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = sorted.len();
    let at = |i: usize| sorted[i.min(n - 1)];
    let median = (at((n - 1) / 2) + at(n / 2)) / 2.0;
    // Without the i-th, the middle of the n - 1 others moves by half a place.
    let left_out = data
        .ly
        .iter()
        .map(|y| {
            if n == 1 {
                return median;
            }
            let m = n - 1;
            let skip = |i: usize| if *y <= at(i) { at(i + 1) } else { at(i) };
            (skip((m - 1) / 2) + skip(m / 2)) / 2.0
        })
        .collect();
    (median, left_out)
}

/// Weighted least squares of one variable: centre, slope, mean, and for each point the prediction
/// by the line through all others. None where the variable doesn't vary.
fn least_squares(x: &[f64], y: &[f64], w: &[f64]) -> Option<(f64, f64, f64, Vec<f64>)> {
    let total: f64 = w.iter().sum();
    let mx = w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() / total;
    let my = w.iter().zip(y).map(|(w, y)| w * y).sum::<f64>() / total;
    let mut sxx = 0.0;
    let mut sxy = 0.0;
    for i in 0..x.len() {
        let dx = x[i] - mx;
        sxx += w[i] * dx * dx;
        sxy += w[i] * dx * (y[i] - my);
    }
    if sxx.is_nan() || sxx <= 1e-18 * total * mx * mx || sxx == 0.0 {
        return None;
    }
    let slope = sxy / sxx;
    let left_out = (0..x.len())
        .map(|i| {
            let dx = x[i] - mx;
            let leverage = w[i] * (1.0 / total + dx * dx / sxx);
            let error = y[i] - my - slope * dx;
            if leverage < 0.999 { y[i] - error / (1.0 - leverage) } else { my }
        })
        .collect();
    Some((mx, slope, my, left_out))
}

/// Mean of the `k` nearest in `points` (sorted by the first), nearer ones counting more; `at` is
/// the place of `x` among them, `without` one to leave out.
fn near(points: &[(f64, f64, f64)], at: usize, without: Option<usize>, x: f64, k: usize) -> f64 {
    let mut left = at;
    let mut right = if without == Some(at) { at + 1 } else { at };
    let mut taken = [(0.0, 0.0, 0.0); 8];
    let mut count = 0;
    while count < k.min(8) {
        let l = left.checked_sub(1).map(|i| (x - points[i].0).abs());
        let r = points.get(right).map(|p| (p.0 - x).abs());
        let (d, i) = match (l, r) {
            (Some(l), Some(r)) if l <= r => (l, left - 1),
            (Some(l), None) => (l, left - 1),
            (_, Some(r)) => (r, right),
            (None, None) => break,
        };
        if i < at { left -= 1 } else { right += 1 }
        taken[count] = (d, points[i].1, points[i].2);
        count += 1;
    }
    let taken = &taken[..count];
    let furthest = taken.last().map_or(0.0, |t| t.0).max(1e-12);
    let (mut sum, mut total) = (0.0, 0.0);
    for (d, ly, w) in taken {
        let w = w / (d / furthest + 0.1);
        sum += w * ly;
        total += w;
    }
    sum / total
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
    (
        excess(&|i| -errors[i].0),
        excess(&|i| errors[n - 1 - i].0),
    )
}
