//! Growth laws `base + slope × size^exponent` and how well small runs support each.
//!
//! For each exponent of a grid the two coefficients are fitted by weighted least squares, neither
//! below 0 (the two-variable case of Lawson & Hanson, "Solving Least Squares Problems", 1974).
//! The laws are then weighted by prior × likelihood, so that what the runs cannot tell apart
//! stays open in the prediction and widens its interval.

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

/// A law fitted at a given exponent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Law {
    pub exponent: f64,
    pub base: f64,
    pub slope: f64,
    /// Half the weighted sum of squared residuals.
    pub misfit: f64,
}

impl Law {
    /// The amount at a size.
    pub fn at(&self, size: f64) -> f64 {
        if self.exponent == 0.0 {
            self.base
        } else {
            self.base + self.slope * size.powf(self.exponent)
        }
    }

    /// The best law with this exponent. `points` must not be empty.
    pub fn fit(points: &[Observation], exponent: f64) -> Law {
        let scale = points.iter().map(|p| p.size).fold(0.0, f64::max);
        // Sizes relative to the largest keep the sums of powers of alike magnitude.
        let x = |p: &Observation| (p.size / scale).powf(exponent);
        let w = |p: &Observation| 1.0 / (p.noise * p.noise);
        let sum = |f: &dyn Fn(&Observation) -> f64| points.iter().map(|p| w(p) * f(p)).sum::<f64>();
        let (s, sx, sxx) = (sum(&|_| 1.0), sum(&x), sum(&|p| x(p) * x(p)));
        let (sy, sxy) = (sum(&|p| p.value), sum(&|p| x(p) * p.value));
        let constant = (sy / s, 0.0);
        let through_zero = (0.0, if sxx > 0.0 { sxy / sxx } else { 0.0 });
        let determinant = s * sxx - sx * sx;
        let free = if exponent > 0.0 && determinant > 1e-12 * s * sxx {
            let slope = (s * sxy - sx * sy) / determinant;
            ((sy - slope * sx) / s, slope)
        } else {
            constant
        };
        let misfit =
            |(base, slope): (f64, f64)| 0.5 * sum(&|p| (p.value - base - slope * x(p)).powi(2));
        let (base, slope) = if free.0 >= 0.0 && free.1 >= 0.0 {
            free
        } else if exponent == 0.0 || misfit(constant) <= misfit(through_zero) {
            constant
        } else {
            through_zero
        };
        Law {
            exponent,
            base: base.max(0.0),
            slope: slope.max(0.0) / scale.powf(exponent),
            misfit: misfit((base, slope)),
        }
    }
}

/// The laws of a grid with their posterior weights, which sum to 1.
///
/// `prior` gives pairs of exponent and weight. `points` must not be empty.
pub(super) fn posterior(points: &[Observation], prior: &[(f64, f64)]) -> Vec<(f64, Law)> {
    let laws: Vec<(f64, Law)> = prior
        .iter()
        .filter(|(_, weight)| *weight > 0.0)
        .map(|&(exponent, weight)| {
            let law = Law::fit(points, exponent);
            (weight.ln() - law.misfit, law)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GRID: [(f64, f64); 6] = [
        (0.0, 0.2),
        (0.5, 0.1),
        (1.0, 0.4),
        (1.2, 0.1),
        (1.5, 0.1),
        (2.0, 0.1),
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
    }

    #[test]
    fn a_law_tells_its_coefficients() {
        let law = Law::fit(&measured(|n| 2.0 + 3e-6 * n), 1.0);
        assert!((law.at(1e9) - 3002.0).abs() < 0.5, "{law:?}");
        assert!((law.base - 2.0).abs() < 1e-6);
    }

    #[test]
    fn falling_amounts_become_constants() {
        let law = Law::fit(&measured(|n| 5.0 - n / 1e7), 1.0);
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
