use crate::Predictive;
use crate::predictive::normal_quantile;

/// A log-normal component of a mixture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Component {
    pub weight: f64,
    /// Above 0.
    pub median: f64,
    /// Standard deviation of the logarithm.
    pub sigma: f64,
}

/// Errors of extrapolation have heavier tails than a normal distribution: a share of them is
/// several times wider.
const TAILS: [(f64, f64); 2] = [(0.85, 1.0), (0.15, 4.0)];
/// Levels at which each component is cut into atoms of equal weight.
const CUTS: usize = 16;

/// The distribution of a mixture; `None` where no component has a positive finite median.
pub(super) fn mixture(components: &[Component]) -> Option<Predictive> {
    let mut atoms = Vec::with_capacity(components.len() * CUTS * TAILS.len());
    for c in components {
        // Components that nearly nothing speaks for would only cost time.
        if c.weight < 1e-4 || !c.median.is_finite() || c.median <= 0.0 {
            continue;
        }
        for (share, widening) in TAILS {
            for i in 0..CUTS {
                #[expect(clippy::cast_precision_loss, reason = "small counts")]
                let level = (i as f64 + 0.5) / CUTS as f64;
                let value = c.median * (c.sigma * widening * normal_quantile(level)).exp();
                #[expect(clippy::cast_precision_loss, reason = "small counts")]
                atoms.push((value, c.weight * share / CUTS as f64));
            }
        }
    }
    Predictive::from_weighted(atoms)
}
