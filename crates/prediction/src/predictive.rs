//! A predictive distribution as weighted atoms.

use foreshadow_quantity::{LEVELS, Quantiles};
use serde::{Deserialize, Serialize};

/// What one uncertain, non-negative amount may turn out to be: sorted values with weights.
///
/// The weights sum to 1; the sum of the weights up to and with a value is the probability of not
/// exceeding it. Between two values the quantile function is a straight line, so that `n` equal
/// weights and a last atom for the unseen give the plotting positions `k / (n + 1)` of exchangeable
/// observations. The unit is the user's (bytes, seconds).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct Predictive {
    values: Vec<f64>,
    /// Cumulative weights, strictly increasing, the last is 1.
    cumulative: Vec<f64>,
}

#[derive(Serialize, Deserialize)]
struct Raw(Vec<(f64, f64)>);

impl TryFrom<Raw> for Predictive {
    type Error = &'static str;
    fn try_from(raw: Raw) -> Result<Self, Self::Error> {
        Predictive::from_weighted(raw.0)
            .ok_or("a predictive distribution needs finite values with positive weights")
    }
}

impl From<Predictive> for Raw {
    fn from(p: Predictive) -> Self {
        Raw(p.atoms().collect())
    }
}

/// Levels at which a continuous distribution is cut into atoms: finer towards the upper tail,
/// where the choice of an allocation is made.
const CUTS: [f64; 32] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65,
    0.7, 0.75, 0.8, 0.84, 0.87, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995, 0.999,
];

impl Predictive {
    /// From pairs of value and weight in any order. Negative values become 0, pairs with a
    /// weight of 0 are dropped.
    ///
    /// None where no pair is left, or a value or weight is not finite, or a weight is negative.
    pub fn from_weighted(mut pairs: Vec<(f64, f64)>) -> Option<Self> {
        if pairs
            .iter()
            .any(|(v, w)| !v.is_finite() || !w.is_finite() || *w < 0.0)
        {
            return None;
        }
        pairs.retain(|(_, w)| *w > 0.0);
        pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let total: f64 = pairs.iter().map(|(_, w)| w).sum();
        if pairs.is_empty() || !total.is_finite() {
            return None;
        }
        let mut values: Vec<f64> = Vec::with_capacity(pairs.len());
        let mut cumulative: Vec<f64> = Vec::with_capacity(pairs.len());
        let mut sum = 0.0;
        for (v, w) in pairs {
            sum += w;
            let c = sum / total;
            let v = v.max(0.0);
            match values.last() {
                Some(last) if *last == v => {
                    if let Some(end) = cumulative.last_mut() {
                        *end = c;
                    }
                }
                _ => {
                    // A weight lost to rounding adds nothing.
                    if cumulative.last().is_none_or(|end| c > *end) {
                        values.push(v);
                        cumulative.push(c);
                    }
                }
            }
        }
        *cumulative.last_mut()? = 1.0;
        Some(Predictive { values, cumulative })
    }

    /// All weight on one value; None where it is not finite.
    pub fn exactly(value: f64) -> Option<Self> {
        Self::from_weighted(vec![(value, 1.0)])
    }

    /// From a quantile function, which is read at a fixed set of levels in (0, 1); the last one
    /// stands for all above 0.995.
    ///
    /// None where it gives a value that is not finite.
    pub fn from_quantile_function(mut f: impl FnMut(f64) -> f64) -> Option<Self> {
        let mut before = 0.0;
        let mut least = 0.0_f64;
        let pairs = CUTS
            .iter()
            .map(|&level| {
                let v = f(level);
                // An own running maximum: rounding may let a quantile function dip.
                if v.is_finite() {
                    least = least.max(v);
                }
                let pair = (
                    if v.is_finite() { least } else { v },
                    if level == CUTS[CUTS.len() - 1] {
                        1.0 - before
                    } else {
                        level - before
                    },
                );
                before = level;
                pair
            })
            .collect();
        Self::from_weighted(pairs)
    }

    /// Log-normal with this median and this standard deviation of the logarithm.
    ///
    /// None unless the median is positive and finite and `sigma` finite and not negative.
    pub fn lognormal(median: f64, sigma: f64) -> Option<Self> {
        if !(median > 0.0 && median.is_finite() && sigma >= 0.0 && sigma.is_finite()) {
            return None;
        }
        Self::from_quantile_function(|level| median * (sigma * normal_quantile(level)).exp())
    }

    /// A distribution that has these quantiles: between them straight lines in the logarithm (or
    /// in the value, where one is 0), beyond p99 exponential in the logarithm by the slope from
    /// p90 to p99, below p05 by the slope from p50 to p05.
    pub fn from_quantiles(q: &Quantiles) -> Self {
        let v = q.values();
        let tail = if v[3] > 0.0 {
            (v[5] / v[3]).ln() / (0.10_f64 / 0.01).ln()
        } else {
            0.0
        };
        let head = if v[0] > 0.0 {
            (v[2] / v[0]).ln() / (0.50_f64 / 0.05).ln()
        } else {
            0.0
        };
        let at = |level: f64| -> f64 {
            if level > LEVELS[5] {
                return v[5] * (0.01 / (1.0 - level)).powf(tail);
            }
            if level < LEVELS[0] {
                return v[0] * (level / LEVELS[0]).powf(head);
            }
            let i = LEVELS
                .iter()
                .rposition(|l| *l <= level)
                .unwrap_or(0)
                .min(LEVELS.len() - 2);
            let t = (level - LEVELS[i]) / (LEVELS[i + 1] - LEVELS[i]);
            if v[i] > 0.0 {
                v[i] * (v[i + 1] / v[i]).powf(t)
            } else {
                v[i] + t * (v[i + 1] - v[i])
            }
        };
        Self::from_quantile_function(|level| at(level).min(f64::MAX)).unwrap_or(Predictive {
            values: vec![v[5]],
            cumulative: vec![1.0],
        })
    }

    /// The values with their weights, in increasing order of value.
    pub fn atoms(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let mut before = 0.0;
        self.values.iter().zip(&self.cumulative).map(move |(v, c)| {
            let w = c - before;
            before = *c;
            (*v, w)
        })
    }

    /// The values in increasing order.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// For each of [`values`](Self::values) the probability of not exceeding it.
    pub fn cumulative(&self) -> &[f64] {
        &self.cumulative
    }

    /// The largest value that has weight.
    pub fn largest(&self) -> f64 {
        self.values[self.values.len() - 1]
    }

    /// The value that is not exceeded with this probability (clamped to 0..=1).
    pub fn quantile(&self, level: f64) -> f64 {
        let i = self.cumulative.partition_point(|c| *c < level);
        if i == 0 {
            return self.values[0];
        }
        if i >= self.values.len() {
            return self.largest();
        }
        let (c0, c1) = (self.cumulative[i - 1], self.cumulative[i]);
        let (v0, v1) = (self.values[i - 1], self.values[i]);
        v0 + (v1 - v0) * ((level - c0) / (c1 - c0)).clamp(0.0, 1.0)
    }

    /// The probability of not exceeding `value`, by the same straight lines.
    pub fn cdf(&self, value: f64) -> f64 {
        let i = self.values.partition_point(|v| *v <= value);
        if i == 0 {
            return 0.0;
        }
        if i >= self.values.len() {
            return 1.0;
        }
        let (v0, v1) = (self.values[i - 1], self.values[i]);
        let (c0, c1) = (self.cumulative[i - 1], self.cumulative[i]);
        c0 + (c1 - c0) * (value - v0) / (v1 - v0)
    }

    /// The quantiles at [`LEVELS`].
    pub fn quantiles(&self) -> Quantiles {
        let values = LEVELS.map(|level| self.quantile(level));
        // Values are finite by construction.
        Quantiles::new(values).unwrap_or_else(|| unreachable!("finite values: {values:?}"))
    }

    /// The mean of the atoms.
    pub fn mean(&self) -> f64 {
        self.atoms().map(|(v, w)| v * w).sum()
    }

    /// Every value times a factor; None where the factor is negative or a product not finite.
    pub fn scale(&self, factor: f64) -> Option<Self> {
        if factor >= 0.0 {
            Self::from_weighted(self.atoms().map(|(v, w)| (v * factor, w)).collect())
        } else {
            None
        }
    }

    /// A mixture with these shares; None where no share is positive or one is not finite.
    pub fn mix(parts: &[(f64, &Predictive)]) -> Option<Self> {
        Self::from_weighted(
            parts
                .iter()
                .flat_map(|(share, p)| p.atoms().map(move |(v, w)| (v, w * share)))
                .collect(),
        )
    }

    /// The weighted geometric mean of two quantile functions, `weight` (0..=1) being the share of
    /// `other`. Sharper than a mixture: two methods that agree don't widen each other.
    pub fn average(&self, other: &Predictive, weight: f64) -> Self {
        let weight = weight.clamp(0.0, 1.0);
        Self::from_quantile_function(|level| {
            let (a, b) = (self.quantile(level), other.quantile(level));
            if a > 0.0 && b > 0.0 {
                ((1.0 - weight) * a.ln() + weight * b.ln()).exp()
            } else {
                (1.0 - weight) * a + weight * b
            }
        })
        .unwrap_or_else(|| self.clone())
    }

    /// The distribution given that the value is above `bound`; None where nothing is.
    pub fn given_above(&self, bound: f64) -> Option<Self> {
        Self::from_weighted(self.atoms().filter(|(v, _)| *v > bound).collect())
    }
}

/// The standard normal quantile function, by the rational approximation of P. J. Acklam
/// (relative error below 1.2e-9); infinite at 0 and 1.
pub(crate) fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] = [
        7.784_695_709_041_462e-3,
        3.224_671_290_700_398e-1,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
    ];
    let horner = |k: &[f64], x: f64| k.iter().fold(0.0, |acc, c| acc * x + c);
    if p <= 0.0 {
        f64::NEG_INFINITY
    } else if p >= 1.0 {
        f64::INFINITY
    } else if p < 0.02425 {
        let q = (-2.0 * p.ln()).sqrt();
        horner(&C, q) / (horner(&D, q) * q + 1.0)
    } else if p > 1.0 - 0.02425 {
        -normal_quantile(1.0 - p)
    } else {
        let q = p - 0.5;
        let r = q * q;
        horner(&A, r) * q / (horner(&B, r) * r + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plotting_positions_of_equal_weights() {
        // Three observations and an atom for the unseen above them.
        let p = Predictive::from_weighted(vec![(3.0, 1.0), (1.0, 1.0), (2.0, 1.0), (9.0, 1.0)])
            .unwrap();
        assert_eq!(p.quantile(0.25), 1.0);
        assert_eq!(p.quantile(0.5), 2.0);
        assert_eq!(p.quantile(0.75), 3.0);
        assert_eq!(p.quantile(0.625), 2.5);
        assert_eq!(p.cdf(2.5), 0.625);
        assert_eq!(p.cdf(0.5), 0.0);
        assert_eq!(p.cdf(10.0), 1.0);
        assert_eq!(p.mean(), 15.0 / 4.0);
    }

    #[test]
    fn bad_atoms_are_refused() {
        for bad in [
            vec![],
            vec![(1.0, 0.0)],
            vec![(f64::NAN, 1.0)],
            vec![(f64::INFINITY, 1.0)],
            vec![(1.0, -1.0)],
            vec![(1.0, f64::NAN)],
            vec![(1.0, f64::MAX), (2.0, f64::MAX)],
        ] {
            assert!(Predictive::from_weighted(bad.clone()).is_none(), "{bad:?}");
        }
        assert!(Predictive::lognormal(0.0, 1.0).is_none());
        assert!(serde_json::from_str::<Predictive>("[[1.0,-1.0]]").is_err());
    }

    #[test]
    fn lognormal_has_its_quantiles() {
        let p = Predictive::lognormal(100.0, 0.5).unwrap();
        for (level, z) in [
            (0.05, -1.644_854),
            (0.5, 0.0),
            (0.95, 1.644_854),
            (0.99, 2.326_348),
        ] {
            let want = 100.0 * (0.5_f64 * z).exp();
            let got = p.quantile(level);
            assert!((got / want - 1.0).abs() < 1e-5, "{level}: {got} {want}");
        }
    }

    #[test]
    fn quantiles_survive_the_way_through_atoms() {
        let q = Quantiles::new([1.0, 2.0, 10.0, 30.0, 40.0, 90.0]).unwrap();
        let back = Predictive::from_quantiles(&q).quantiles();
        for (a, b) in q.values().iter().zip(back.values()) {
            assert!((a / b - 1.0).abs() < 1e-9, "{q:?} {back:?}");
        }
        let zero = Quantiles::exactly(0.0).unwrap();
        assert_eq!(Predictive::from_quantiles(&zero).largest(), 0.0);
    }

    proptest! {
        #[test]
        fn quantile_and_cdf_are_inverse_and_monotone(
            pairs in proptest::collection::vec((0.0_f64..1e12, 0.01_f64..10.0), 1..40),
            levels in proptest::collection::vec(0.0_f64..1.0, 2),
        ) {
            let p = Predictive::from_weighted(pairs).unwrap();
            let (a, b) = (levels[0].min(levels[1]), levels[0].max(levels[1]));
            prop_assert!(p.quantile(a) <= p.quantile(b));
            prop_assert!(p.cdf(p.quantile(a)) <= a.max(p.cumulative()[0]) + 1e-6);
            let json = serde_json::to_string(&p).unwrap();
            let back: Predictive = serde_json::from_str(&json).unwrap();
            prop_assert!((back.quantile(a) - p.quantile(a)).abs() <= 1e-6 * p.largest());
        }
    }
}
