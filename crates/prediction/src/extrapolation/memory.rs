use super::calibration::Prior;
use super::growth::{Observation, posterior};
use super::mixture::{Component, mixture};
use super::{Extrapolated, Rung, usable};
use crate::Predictive;

/// Growth of peak memory.
const GROWTH: [(f64, f64); 6] = [
    (0.0, 0.25),
    (0.5, 0.06),
    (0.75, 0.06),
    (0.9, 0.06),
    (1.0, 0.55),
    (1.2, 0.02),
];

const PRIOR: Prior = Prior {
    bias: 0.0,
    width: 0.02,
    floor: 0.02,
};

/// Noise of a peak: allocators round up, pages are counted in batches.
fn noise(memory: f64) -> f64 {
    (0.015 * memory).hypot(300e3)
}

/// The peak memory of the whole, in bytes; `None` where no rung can be used.
pub fn memory(rungs: &[Rung], whole: f64) -> Option<Extrapolated> {
    let rungs = usable(rungs);
    let largest = rungs.last()?;
    let (bias, sigma) = PRIOR.at(whole / largest.size);
    let points: Vec<_> = rungs
        .iter()
        .map(|r| Observation {
            size: r.size,
            value: r.memory,
            noise: noise(r.memory),
        })
        .collect();
    let components: Vec<_> = posterior(&points, &GROWTH)
        .into_iter()
        .map(|(weight, law)| Component {
            weight,
            median: bias * law.at(whole).max(1.0),
            sigma,
        })
        .collect();
    Some(Extrapolated {
        predictive: mixture(&components)?,
        explain: Vec::new(),
    })
}

/// Another amount (bytes written, page cache) of the whole, from pairs of size and amount; `None`
/// where there is none that can be used.
pub fn amount(points: &[(f64, f64)], whole: f64) -> Option<Predictive> {
    let points: Vec<Observation> = points
        .iter()
        .filter(|(size, value)| *size > 0.0 && value.is_finite() && *value >= 0.0)
        .map(|&(size, value)| Observation {
            size,
            value,
            noise: (0.02 * value).hypot(4096.0),
        })
        .collect();
    let largest = points.iter().map(|p| p.size).reduce(f64::max)?;
    let (_, sigma) = PRIOR.at(whole / largest);
    let components: Vec<_> = posterior(&points, &GROWTH)
        .into_iter()
        .map(|(weight, law)| Component {
            weight,
            median: law.at(whole).max(1.0),
            sigma,
        })
        .collect();
    mixture(&components)
}
