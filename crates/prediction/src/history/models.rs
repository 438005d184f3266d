//! The single models, and what each says of an observation that it has not seen.

/// Near and far alike on a logarithmic axis, defined for zero and negative numbers.
pub(super) fn symlog(x: f64) -> f64 {
    x.abs().ln_1p().copysign(x)
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Mean {
        ly: f64,
    },
    Median {
        ly: f64,
    },
    Line {
        slot: usize,
        at: f64,
        slope: f64,
        mean: f64,
    },
    Power {
        slot: usize,
        at: f64,
        slope: f64,
        mean: f64,
    },
    Near {
        slot: usize,
        points: Vec<(f64, f64, f64)>,
        k: usize,
    },
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

/// What the models are fitted to.
pub(super) struct Data {
    pub ly: Vec<f64>,
    pub y: Vec<f64>,
    pub w: Vec<f64>,
}

/// Models with their leave-one-out predictions of the logarithm.
pub(super) fn fit_models(
    data: &Data,
    features: &[Vec<Option<f64>>],
) -> (Vec<Model>, Vec<Vec<f64>>) {
    let mut models = Vec::new();
    let mut predicted = Vec::new();
    let mut add = |kind, p| {
        models.push(Model {
            kind,
            weight: 0.0,
            loss: 0.0,
        });
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
            add(
                Kind::Line {
                    slot,
                    at,
                    slope,
                    mean,
                },
                spread(left_out),
            );
        }
        if let Some((at, slope, mean, left_out)) = least_squares(&log, &ly, &w) {
            add(
                Kind::Power {
                    slot,
                    at,
                    slope,
                    mean,
                },
                spread(left_out),
            );
        }
        let k = (known.len() / 6).clamp(2, 8);
        let mut order: Vec<usize> = (0..known.len()).collect();
        order.sort_unstable_by(|a, b| log[*a].total_cmp(&log[*b]));
        let points: Vec<(f64, f64, f64)> = order.iter().map(|i| (log[*i], ly[*i], w[*i])).collect();
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
            if total - w > 1e-9 {
                (sum - w * y) / (total - w)
            } else {
                mean
            }
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
            if leverage < 0.999 {
                y[i] - error / (1.0 - leverage)
            } else {
                my
            }
        })
        .collect();
    Some((mx, slope, my, left_out))
}

/// Mean of the `k` nearest in `points` (sorted by the first), nearer ones counting more; `at` is
/// the place of `x` among them, `without` one to leave out.
pub(super) fn near(
    points: &[(f64, f64, f64)],
    at: usize,
    without: Option<usize>,
    x: f64,
    k: usize,
) -> f64 {
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
        if i < at {
            left -= 1
        } else {
            right += 1
        }
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
