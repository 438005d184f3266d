//! When the past stopped being true.

use serde::{Deserialize, Serialize};

use crate::predictive::normal_quantile;

/// A two-sided cumulative sum (Page 1954) over normal scores of the outcomes' ranks. Ranks bound
/// the influence of a single outlier: three in a row beyond anything expected are needed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Change {
    up: Sum,
    down: Sum,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Sum {
    level: f64,
    /// Outcomes since the sum was last 0.
    since: usize,
}

/// Scores beyond this are cut: a rank says nothing more.
const MOST: f64 = 3.0;

impl Change {
    /// Takes the rank of one outcome. Some(k) where the last k outcomes no longer fit what was
    /// before them.
    pub fn update(&mut self, rank: f64, slack: f64, threshold: f64) -> Option<usize> {
        let score = normal_quantile(rank).clamp(-MOST, MOST);
        let up = self.up.add(score - slack, threshold);
        let found = up.or(self.down.add(-score - slack, threshold));
        if found.is_some() {
            *self = Change::default();
        }
        found
    }
}

impl Sum {
    fn add(&mut self, excess: f64, threshold: f64) -> Option<usize> {
        self.level += excess;
        self.since += 1;
        if self.level <= 0.0 {
            *self = Sum::default();
        }
        (self.level > threshold).then_some(self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_outliers_pass_and_a_change_does_not() {
        let mut c = Change::default();
        let mut u = 0.5_f64;
        for i in 0..5000 {
            u = (u + 0.618_033_988_75) % 1.0;
            let rank = if i % 50 == 0 { 1.0 } else { u };
            assert_eq!(c.update(rank, 1.0, 5.0), None, "{i}");
        }
        let found = (0..10).find_map(|_| c.update(1.0, 1.0, 5.0));
        assert_eq!(found, Some(3));
    }
}
