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

/// Levels at which each component is cut into atoms of equal weight.
const CUTS: usize = 24;

/// The distribution of a mixture; `None` where no component has a positive finite median.
pub(super) fn mixture(components: &[Component]) -> Option<Predictive> {
    let mut atoms = Vec::with_capacity(components.len() * CUTS);
    for c in components {
        // Components that nearly nothing speaks for would only cost time.
        if c.weight < 1e-4 || !c.median.is_finite() || c.median <= 0.0 {
            continue;
        }
        for i in 0..CUTS {
            #[expect(clippy::cast_precision_loss, reason = "small counts")]
            let level = (i as f64 + 0.5) / CUTS as f64;
            let value = c.median * (c.sigma * normal_quantile(level)).exp();
            #[expect(clippy::cast_precision_loss, reason = "small counts")]
            atoms.push((value, c.weight / CUTS as f64));
        }
    }
    Predictive::from_weighted(atoms)
}
