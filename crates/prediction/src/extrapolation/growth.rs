//! Growth laws `base + slope × shape(size)` and how well small runs support each.
//!
//! For each shape the two coefficients are fitted by weighted least squares, neither below 0 (the
//! two-variable case of Lawson & Hanson, "Solving Least Squares Problems", 1974). The laws are
//! then weighted by prior × likelihood × Occam factor (MacKay, "Bayesian Interpolation", Neural
//! Computation 1992: the share of its prior range that the data leave to a free slope), so that
//! growth is believed only where it stands out from the noise, and what the runs cannot tell
//! apart stays open in the prediction and widens its interval.

use super::mixture::Component;
use crate::predictive::normal_quantile;

/// One measured amount at one size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Observation {
    /// Size of the work, above 0.
    pub size: f64,
    /// The amount.
    pub value: f64,
    /// Standard deviation of its noise, above 0, in the unit of the amount.
    pub noise: f64,
}

/// How an amount grows with size, up to a factor and a constant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Shape {
    /// Not at all.
    Constant,
    /// `n^exponent`.
    Power(f64),
    /// `ln(1 + n/k)`: ever slower, without end. `k` in sizes of the largest run.
    Logarithm(f64),
    /// `1 - exp(-n/k)`: towards an end, as the number of distinct ones of equally likely kinds.
    Saturating(f64),
}

impl Shape {
    /// The shape at a size in units of the largest run's.
    fn at(self, relative: f64) -> f64 {
        match self {
            Shape::Constant => 0.0,
            Shape::Power(exponent) => relative.powf(exponent),
            Shape::Logarithm(k) => (relative / k).ln_1p(),
            Shape::Saturating(k) => -(-relative / k).exp_m1(),
        }
    }
}

/// A law of a given shape, fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Law {
    pub shape: Shape,
    pub base: f64,
    slope: f64,
    /// The size that is 1 for the shape.
    unit: f64,
    /// What the data say of the slope: a normal distribution cut off below 0.
    free: Option<FreeSlope>,
    /// Half the weighted sum of squared residuals.
    misfit: f64,
    /// The part of its prior range that the data leave to the slope, at most 1.
    occam: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct FreeSlope {
    mean: f64,
    deviation: f64,
    /// Weighted means of the amounts and of the shape.
    centre: (f64, f64),
}

impl Law {
    /// The amount at a size.
    pub fn at(&self, size: f64) -> f64 {
        self.base + self.slope * self.shape.at(size / self.unit)
    }

    /// Laws of the same shape with slopes that the data allow as well, all equally likely: growth
    /// that hides in the noise of small runs is not none.
    pub fn alternatives(&self) -> Vec<Law> {
        const LEVELS: [f64; 7] = [0.07, 0.21, 0.36, 0.5, 0.64, 0.79, 0.93];
        let Some(free) = self.free else {
            return vec![*self];
        };
        let below = normal_cdf(-free.mean / free.deviation);
        LEVELS
            .iter()
            .map(|level| {
                let level = (below + level * (1.0 - below)).clamp(1e-12, 1.0 - 1e-12);
                let slope = (free.mean + free.deviation * normal_quantile(level)).max(0.0);
                let (y, x) = free.centre;
                Law {
                    slope,
                    base: (y - slope * x).max(0.0),
                    ..*self
                }
            })
            .collect()
    }

    /// The best law of this shape. `points` must not be empty.
    pub fn fit(points: &[Observation], shape: Shape) -> Law {
        let unit = points.iter().map(|p| p.size).fold(0.0, f64::max);
        let x = |p: &Observation| shape.at(p.size / unit);
        let w = |p: &Observation| 1.0 / (p.noise * p.noise);
        let sum = |f: &dyn Fn(&Observation) -> f64| points.iter().map(|p| w(p) * f(p)).sum::<f64>();
        let (s, sx, sxx) = (sum(&|_| 1.0), sum(&x), sum(&|p| x(p) * x(p)));
        let (sy, sxy) = (sum(&|p| p.value), sum(&|p| x(p) * p.value));
        let constant = (sy / s, 0.0);
        let through_zero = (0.0, if sxx > 0.0 { sxy / sxx } else { 0.0 });
        let determinant = s * sxx - sx * sx;
        let grows = shape != Shape::Constant && determinant > 1e-12 * s * sxx;
        let free = grows.then(|| FreeSlope {
            mean: (s * sxy - sx * sy) / determinant,
            deviation: (s / determinant).sqrt(),
            centre: (sy / s, sx / s),
        });
        let misfit =
            |(base, slope): (f64, f64)| 0.5 * sum(&|p| (p.value - base - slope * x(p)).powi(2));
        let fitted = free.map_or(constant, |f| (f.centre.0 - f.mean * f.centre.1, f.mean));
        let inside = fitted.0 >= 0.0 && fitted.1 >= 0.0;
        let (base, slope) = if inside {
            fitted
        } else if shape == Shape::Constant || misfit(constant) <= misfit(through_zero) {
            constant
        } else {
            through_zero
        };
        let largest = points.iter().map(|p| p.value).fold(0.0, f64::max);
        let occam = free.map_or(1.0, |f| {
            let spread = f.deviation * shape.at(1.0);
            spread / (spread + largest)
        });
        Law {
            shape,
            base: base.max(0.0),
            slope: slope.max(0.0),
            unit,
            // Through zero the base is no longer free, and with it the slope is nearly certain.
            free: free.filter(|_| inside || slope == 0.0),
            misfit: misfit((base, slope)),
            occam,
        }
    }
}

/// The laws of a grid with their posterior weights, which sum to 1.
///
/// `prior` gives pairs of shape and weight. `points` must not be empty.
pub(super) fn posterior(points: &[Observation], prior: &[(Shape, f64)]) -> Vec<(f64, Law)> {
    let laws: Vec<(f64, Law)> = prior
        .iter()
        .filter(|(_, weight)| *weight > 0.0)
        .map(|&(shape, weight)| {
            let law = Law::fit(points, shape);
            ((weight * law.occam.max(1e-300)).ln() - law.misfit, law)
        })
        .collect();
    let best = laws
        .iter()
        .map(|(log, _)| *log)
        .fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = laws.iter().map(|(log, _)| (log - best).exp()).sum();
    laws.into_iter()
        .map(|(log, law)| ((log - best).exp() / total, law))
        .collect()
}

/// The laws with what the data allow beside them, as components of a mixture; `at` gives the median
/// and the standard deviation of the logarithm for a law.
pub(super) fn components(laws: &[(f64, Law)], at: impl Fn(&Law) -> (f64, f64)) -> Vec<Component> {
    let mut out = Vec::new();
    for (weight, law) in laws {
        let alternatives = law.alternatives();
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let weight = weight / alternatives.len() as f64;
        out.extend(alternatives.iter().map(|law| {
            let (median, sigma) = at(law);
            Component {
                weight,
                median,
                sigma,
            }
        }));
    }
    out
}

/// The standard normal distribution function, by the logistic approximation of Bowling et al.
/// (2009), off by at most 0.0002.
fn normal_cdf(x: f64) -> f64 {
    1.0 / (1.0 + (-(0.07056 * x.powi(3) + 1.5976 * x)).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GRID: [(Shape, f64); 7] = [
        (Shape::Constant, 0.3),
        (Shape::Power(0.5), 0.1),
        (Shape::Power(1.0), 0.4),
        (Shape::Power(1.5), 0.1),
        (Shape::Power(2.0), 0.1),
        (Shape::Logarithm(1.0), 0.1),
        (Shape::Saturating(0.3), 0.1),
    ];

    fn measured(f: impl Fn(f64) -> f64) -> Vec<Observation> {
        [1e6, 4e6, 16e6]
            .map(|size| Observation {
                size,
                value: f(size),
                noise: 0.01 * f(size) + 0.001,
            })
            .to_vec()
    }

    /// The mean prediction at a size.
    fn predicted(points: &[Observation], size: f64) -> f64 {
        posterior(points, &GRID)
            .into_iter()
            .map(|(weight, law)| weight * law.at(size))
            .sum()
    }

    #[test]
    fn clean_growth_is_recognised() {
        let near = |a: f64, b: f64| (a / b - 1.0).abs() < 0.15;
        assert!(near(predicted(&measured(|_| 3.0), 1e9), 3.0));
        let linear = |n: f64| 0.5 + n / 1e6;
        assert!(near(predicted(&measured(linear), 1e9), linear(1e9)));
        let quadratic = |n: f64| 0.5 + (n / 1e6).powi(2);
        assert!(near(predicted(&measured(quadratic), 1e9), quadratic(1e9)));
        let full = |n: f64| 5.0 - 4.0 * (-n / 4e6).exp();
        assert!(near(predicted(&measured(full), 1e9), 5.0));
    }

    #[test]
    fn growth_within_the_noise_is_not_believed() {
        let points: Vec<_> = [(1e6, 10.0), (4e6, 10.1), (16e6, 10.15)]
            .map(|(size, value)| Observation {
                size,
                value,
                noise: 0.15,
            })
            .to_vec();
        let constant: f64 = posterior(&points, &GRID)
            .iter()
            .filter(|(_, law)| law.shape == Shape::Constant)
            .map(|(weight, _)| weight)
            .sum();
        assert!(constant > 0.8, "{constant}");
    }

    #[test]
    fn a_law_tells_its_coefficients() {
        let law = Law::fit(&measured(|n| 2.0 + 3e-6 * n), Shape::Power(1.0));
        assert!((law.at(1e9) - 3002.0).abs() < 0.5, "{law:?}");
        assert!((law.base - 2.0).abs() < 1e-6);
    }

    #[test]
    fn falling_amounts_become_constants() {
        let law = Law::fit(&measured(|n| 5.0 - n / 1e7), Shape::Power(1.0));
        assert_eq!(law.slope, 0.0);
    }

    proptest! {
        #[test]
        fn weights_are_probabilities_and_laws_never_fall(
            values in proptest::collection::vec((1.0_f64..1e12, 0.0_f64..1e6), 1..6),
        ) {
            let points: Vec<_> = values
                .iter()
                .map(|&(size, value)| Observation { size, value, noise: 0.02 * value + 0.01 })
                .collect();
            let laws = posterior(&points, &GRID);
            let sum: f64 = laws.iter().map(|(w, _)| w).sum();
            prop_assert!((sum - 1.0).abs() < 1e-9);
            for (_, law) in laws {
                prop_assert!(law.base >= 0.0 && law.slope >= 0.0);
                prop_assert!(law.at(2e12) >= law.at(1e12) && law.at(1e12).is_finite());
            }
        }
    }
}
