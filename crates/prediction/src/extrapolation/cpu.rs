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
/// Growth of CPU time of a run as a whole: near 1, rather above than below.
const WHOLE: [(f64, f64); 18] = [
    (0.5, 0.005),
    (0.7, 0.01),
    (0.8, 0.02),
    (0.9, 0.05),
    (0.95, 0.10),
    (0.98, 0.2),
    (1.0, 0.3),
    (1.02, 0.3),
    (1.05, 0.2),
    (1.08, 0.12),
    (1.12, 0.08),
    (1.16, 0.05),
    (1.2, 0.03),
    (1.25, 0.02),
    (1.3, 0.015),
    (1.5, 0.01),
    (1.75, 0.01),
    (2.0, 0.02),
];

const PRIOR: Prior = Prior {
    bias: 0.0,
    width: 0.02,
    floor: 0.05,
};

/// Noise of a CPU time: the kernel's clock and disturbance by others.
fn noise(cpu: f64) -> f64 {
    (0.03 * cpu).hypot(0.004)
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
    if has_phases && std::env::var_os("PH").is_some() {
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
        let mut totals: Vec<_> = rungs.iter().map(|r| observe(r.cpu, r)).collect();
        // What is used before anything is read is start-up, whatever the size.
        let startup = rungs.iter().filter_map(startup).reduce(f64::min);
        if let Some(startup) = startup {
            totals.push(Observation {
                size: largest.size * 1e-9,
                value: startup,
                noise: (0.15 * startup).hypot(0.003),
            });
        }
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

/// CPU time before the first byte of input was read; `None` where reading isn't followed.
fn startup(rung: &Rung) -> Option<f64> {
    let first = rung.curve.iter().position(|p| p.progress > 0.0)?;
    Some(first.checked_sub(1).map_or(0.0, |i| rung.curve[i].cpu))
}
