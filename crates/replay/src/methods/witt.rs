use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::{Known, Method, Outcome};

/// The 95th percentile of the peaks so far (linear between order statistics); doubled after a
/// failure.
#[derive(Clone, Debug, Default)]
pub struct WittPercentile {
    /// The order statistics up to the lower neighbour of the percentile.
    low: BinaryHeap<Ordered>,
    high: BinaryHeap<Reverse<Ordered>>,
}

const PERCENTILE: f64 = 0.95;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Ordered(f64);

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl WittPercentile {
    /// Place of the percentile among `n` order statistics, from 0.
    fn place(n: usize) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a count of tasks")]
        let n = n as f64;
        PERCENTILE * (n - 1.0)
    }
}

impl Method for WittPercentile {
    fn first(&mut self, _task: &Known<'_>) -> Option<f64> {
        let lower = self.low.peek()?.0;
        let place = WittPercentile::place(self.low.len() + self.high.len());
        let upper = self.high.peek().map_or(lower, |r| r.0.0);
        Some(lower + (upper - lower) * place.fract())
    }

    fn retry(&mut self, failed: f64, _attempt: u32) -> f64 {
        failed * 2.0
    }

    fn observe(&mut self, _task: &Known<'_>, outcome: &Outcome) {
        if !outcome.complete {
            return;
        }
        let peak = Ordered(outcome.peak);
        if self.low.peek().is_some_and(|l| peak <= *l) {
            self.low.push(peak);
        } else {
            self.high.push(Reverse(peak));
        }
        let place = WittPercentile::place(self.low.len() + self.high.len());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count"
        )]
        let want = place.floor() as usize + 1;
        while self.low.len() > want {
            if let Some(l) = self.low.pop() {
                self.high.push(Reverse(l));
            }
        }
        while self.low.len() < want {
            match self.high.pop() {
                Some(Reverse(h)) => self.low.push(h),
                None => break,
            }
        }
    }
}

/// Least squares over the first feature, plus as many times the prediction as the standard
/// deviation of the relative errors so far; doubled after a failure.
#[derive(Clone, Debug, Default)]
pub struct WittRegression {
    n: f64,
    mean_x: f64,
    mean_y: f64,
    sxx: f64,
    sxy: f64,
    largest: f64,
    errors: (f64, f64, f64),
    said: Option<f64>,
}

impl Method for WittRegression {
    fn first(&mut self, task: &Known<'_>) -> Option<f64> {
        self.said = None;
        if self.n == 0.0 {
            return None;
        }
        let x = task
            .values
            .first()
            .copied()
            .filter(|x| x.is_finite())
            .unwrap_or(self.mean_x);
        let slope = if self.sxx > 0.0 {
            self.sxy / self.sxx
        } else {
            0.0
        };
        let said = self.mean_y + slope * (x - self.mean_x);
        self.said = Some(said);
        let (n, sum, squares) = self.errors;
        let deviation = if n > 0.0 {
            (squares / n - (sum / n).powi(2)).max(0.0).sqrt()
        } else {
            0.0
        };
        Some(said + deviation * said)
    }

    fn retry(&mut self, failed: f64, _attempt: u32) -> f64 {
        if failed > 0.0 {
            failed * 2.0
        } else {
            self.largest
        }
    }

    fn observe(&mut self, task: &Known<'_>, outcome: &Outcome) {
        if !outcome.complete {
            return;
        }
        if let Some(said) = self.said.take() {
            let error = (outcome.peak - said) / outcome.peak;
            self.errors.0 += 1.0;
            self.errors.1 += error;
            self.errors.2 += error * error;
        }
        let x = task
            .values
            .first()
            .copied()
            .filter(|x| x.is_finite())
            .unwrap_or(self.mean_x);
        self.n += 1.0;
        let (dx, dy) = (x - self.mean_x, outcome.peak - self.mean_y);
        self.mean_x += dx / self.n;
        self.mean_y += dy / self.n;
        self.sxx += dx * (x - self.mean_x);
        self.sxy += dx * (outcome.peak - self.mean_y);
        self.largest = self.largest.max(outcome.peak);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_as_by_sorting_everything() {
        let mut w = WittPercentile::default();
        let known = Known {
            names: &[],
            values: &[],
            requested: None,
            at: 0.0,
        };
        let mut all: Vec<f64> = Vec::new();
        let mut u = 0.3_f64;
        for _ in 0..300 {
            u = (u * 997.0 + 0.123) % 1.0;
            w.observe(
                &known,
                &Outcome {
                    peak: u,
                    seconds: 1.0,
                    complete: true,
                },
            );
            all.push(u);
            all.sort_unstable_by(f64::total_cmp);
            let place = 0.95 * (all.len() - 1) as f64;
            let i = place.floor() as usize;
            let next = all.get(i + 1).copied().unwrap_or(all[i]);
            let want = all[i] + (next - all[i]) * (place - i as f64);
            let got = w.first(&known).unwrap();
            assert!((got - want).abs() < 1e-12, "{got} {want}");
        }
    }

    #[test]
    fn regression_follows_a_line() {
        let mut w = WittRegression::default();
        for x in 1..20 {
            let values = [f64::from(x)];
            let known = Known {
                names: &[],
                values: &values,
                requested: None,
                at: 0.0,
            };
            w.first(&known);
            w.observe(
                &known,
                &Outcome {
                    peak: 5.0 + 2.0 * values[0],
                    seconds: 1.0,
                    complete: true,
                },
            );
        }
        let known = Known {
            names: &[],
            values: &[100.0],
            requested: None,
            at: 0.0,
        };
        w.first(&known);
        assert!((w.said.unwrap() - 205.0).abs() < 1e-6);
    }
}
