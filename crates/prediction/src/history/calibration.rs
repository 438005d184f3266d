//! Levels that keep their promise: adaptive conformal inference.

use serde::{Deserialize, Serialize};

use crate::Predictive;

const LEVELS: [f64; 8] = [0.025, 0.05, 0.1, 0.5, 0.9, 0.95, 0.975, 0.99];

/// For each of some nominal levels the level of the raw distribution to read in its place, moved
/// after each outcome by a small step towards what would have been right.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Calibration {
    shift: [f64; LEVELS.len()],
}

impl Calibration {
    pub fn new() -> Self {
        Calibration {
            shift: [0.0; LEVELS.len()],
        }
    }

    /// `rank` is the probability that the raw distribution gave to not exceeding the outcome.
    pub fn update(&mut self, rank: f64, step: f64) {
        let used = self.used();
        for ((shift, level), used) in self.shift.iter_mut().zip(LEVELS).zip(used) {
            // The outcome lay above the value read: the level was too low this time.
            let above = if rank > used { 1.0 } else { 0.0 };
            *shift += step * (above - (1.0 - level));
            // Wind-up would delay the way back.
            *shift = shift.clamp(-level, 1.0 - level);
        }
    }

    /// The raw level in use for each nominal one, increasing.
    fn used(&self) -> [f64; LEVELS.len()] {
        let mut least = 0.0_f64;
        let mut out = [0.0; LEVELS.len()];
        for (o, (level, shift)) in out.iter_mut().zip(LEVELS.iter().zip(self.shift)) {
            least = (level + shift).clamp(least, 1.0);
            *o = least;
        }
        out
    }

    /// The distribution with its levels corrected.
    pub fn apply(&self, raw: &[(f64, f64)]) -> Option<Predictive> {
        let used = self.used();
        let mut sum = 0.0;
        let mut before = 0.0;
        let pairs = raw
            .iter()
            .map(|(v, w)| {
                sum += w;
                let now = nominal(&used, sum);
                let weight = (now - before).max(0.0);
                before = now;
                (*v, weight)
            })
            .collect();
        Predictive::from_weighted(pairs)
    }
}

/// The nominal level of a raw one, by straight lines between those in use.
fn nominal(used: &[f64], raw: f64) -> f64 {
    let i = used.partition_point(|u| *u < raw);
    let (r0, n0) = if i == 0 {
        (0.0, 0.0)
    } else {
        (used[i - 1], LEVELS[i - 1])
    };
    let (r1, n1) = if i == used.len() {
        (1.0, 1.0)
    } else {
        (used[i], LEVELS[i])
    };
    if r1 > r0 {
        n0 + (n1 - n0) * ((raw - r0) / (r1 - r0)).clamp(0.0, 1.0)
    } else {
        n1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_too_high_raise_the_levels_until_they_hold() {
        let mut c = Calibration::new();
        // A raw distribution uniform on 0..=1, outcomes whose rank is the square root of uniform:
        // 90 % of them lie below 0.949.
        let mut u = 0.5_f64;
        for _ in 0..4000 {
            u = (u + 0.618_033_988_75) % 1.0;
            c.update(u.sqrt(), 0.02);
        }
        let atoms: Vec<(f64, f64)> = (1..=1000).map(|i| (f64::from(i) / 1000.0, 0.001)).collect();
        let p = c.apply(&atoms).unwrap();
        for level in [0.1_f64, 0.5, 0.9] {
            let got = p.quantile(level);
            assert!((got - level.sqrt()).abs() < 0.05, "{level}: {got}");
        }
    }
}
