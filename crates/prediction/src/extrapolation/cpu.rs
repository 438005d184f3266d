use super::calibration::Prior;
use super::growth::{Observation, posterior};
use super::mixture::{Component, mixture};
use super::{Extrapolated, Phases, Rung, usable};

/// Growth of CPU time while input is read.
const READING: [(f64, f64); 6] = [
    (0.9, 0.05),
    (1.0, 0.5),
    (1.05, 0.2),
    (1.1, 0.15),
    (1.2, 0.07),
    (1.5, 0.03),
];
/// Growth of CPU time after the input is read.
const AFTER: [(f64, f64); 8] = [
    (0.0, 0.1),
    (0.5, 0.05),
    (0.8, 0.05),
    (1.0, 0.35),
    (1.1, 0.2),
    (1.2, 0.1),
    (1.5, 0.05),
    (2.0, 0.1),
];
/// Growth of CPU time of a run whose phases aren't known.
const WHOLE: [(f64, f64); 9] = [
    (0.0, 0.02),
    (0.5, 0.03),
    (0.8, 0.05),
    (1.0, 0.4),
    (1.05, 0.15),
    (1.1, 0.12),
    (1.2, 0.08),
    (1.5, 0.05),
    (2.0, 0.1),
];

const PRIOR: Prior = Prior {
    bias: 0.03,
    width: 0.05,
    floor: 0.05,
};

/// Noise of a CPU time: the kernel's clock and disturbance by others.
fn noise(cpu: f64) -> f64 {
    (0.04 * cpu).hypot(0.006)
}

/// The CPU time of the whole, in seconds; `None` where no rung can be used.
pub fn cpu(rungs: &[Rung], whole: f64) -> Option<Extrapolated> {
    let rungs = usable(rungs);
    let largest = rungs.last()?;
    let phases: Vec<Option<Phases>> = rungs.iter().map(Phases::of).collect();
    let observe = |value: f64, rung: &Rung| Observation {
        size: rung.size,
        value,
        noise: noise(value),
    };
    let split: Vec<(&Rung, Phases)> = rungs
        .iter()
        .zip(&phases)
        .filter_map(|(r, p)| p.map(|p| (r, p)))
        .collect();
    let mut components = Vec::new();
    let factor = whole / largest.size;
    let (bias, sigma) = PRIOR.at(factor);
    let mut explain = Vec::new();
    let has_phases = split.last().is_some_and(|(r, _)| r.size == largest.size);
    if has_phases {
        let startup = split
            .iter()
            .map(|(_, p)| p.startup)
            .fold(f64::MAX, f64::min);
        // Rungs whose reading could not be followed still count, with a reading phase estimated
        // from their total less the start-up: they are the small ones.
        let reading: Vec<_> = split.iter().map(|(r, p)| observe(p.reading, r)).collect();
        let after: Vec<_> = split.iter().map(|(r, p)| observe(p.after, r)).collect();
        for (wr, lr) in posterior(&reading, &READING) {
            for (wa, la) in posterior(&after, &AFTER) {
                components.push(Component {
                    weight: wr * wa,
                    median: (startup + bias * (lr.at(whole) + la.at(whole))).max(1e-4),
                    sigma,
                });
            }
        }
        explain.push("phases".to_owned());
    } else {
        let totals: Vec<_> = rungs.iter().map(|r| observe(r.cpu, r)).collect();
        for (w, law) in posterior(&totals, &WHOLE) {
            components.push(Component {
                weight: w,
                median: (law.base + bias * (law.at(whole) - law.base)).max(1e-4),
                sigma,
            });
        }
    }
    Some(Extrapolated {
        predictive: mixture(&components)?,
        explain,
    })
}

/// The wall time of the whole, in seconds, on a machine with so many cores that is otherwise idle;
/// `None` where no rung can be used.
pub fn wall(rungs: &[Rung], whole: f64, cores: f64) -> Option<Extrapolated> {
    let cpu = cpu(rungs, whole)?;
    let rungs = usable(rungs);
    let largest = rungs.last()?;
    let ratio = (largest.wall / largest.cpu.max(1e-3)).max(1.0 / cores.max(0.01));
    Some(Extrapolated {
        predictive: cpu.predictive.scale(ratio)?,
        explain: Vec::new(),
    })
}
