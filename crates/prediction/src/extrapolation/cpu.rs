use super::calibration::Prior;
use super::growth::{Observation, Shape, components, posterior};
use super::memory::gathers;
use super::mixture::mixture;
use super::{Extrapolated, Rung, tells, usable};
use crate::Predictive;

/// Growth of CPU time where memory doesn't grow with the input: work record by record.
const STREAMING: [(Shape, f64); 15] = [
    (Shape::Power(0.5), 0.003),
    (Shape::Power(0.7), 0.005),
    (Shape::Power(0.85), 0.01),
    (Shape::Power(0.93), 0.04),
    (Shape::Power(0.97), 0.15),
    (Shape::Power(0.99), 0.25),
    (Shape::Power(1.0), 0.4),
    (Shape::Power(1.01), 0.3),
    (Shape::Power(1.03), 0.2),
    (Shape::Power(1.06), 0.1),
    (Shape::Power(1.1), 0.05),
    (Shape::Power(1.2), 0.03),
    (Shape::Power(1.35), 0.01),
    (Shape::Power(1.6), 0.01),
    (Shape::Power(2.0), 0.015),
];
/// Growth of CPU time where memory grows in proportion to the input: what is gathered is sorted,
/// searched, collected as garbage, and falls out of the caches, so that a record costs more the
/// more there are.
const ACCUMULATING: [(Shape, f64); 17] = [
    (Shape::Power(0.5), 0.003),
    (Shape::Power(0.7), 0.01),
    (Shape::Power(0.8), 0.02),
    (Shape::Power(0.9), 0.03),
    (Shape::Power(0.97), 0.06),
    (Shape::Power(1.0), 0.10),
    (Shape::Power(1.03), 0.15),
    (Shape::Power(1.06), 0.2),
    (Shape::Power(1.09), 0.2),
    (Shape::Power(1.12), 0.18),
    (Shape::Power(1.16), 0.12),
    (Shape::Power(1.2), 0.09),
    (Shape::Power(1.25), 0.06),
    (Shape::Power(1.35), 0.04),
    (Shape::Power(1.5), 0.03),
    (Shape::Power(1.75), 0.02),
    (Shape::Power(2.0), 0.03),
];

const PRIOR: Prior = Prior {
    width: 0.035,
    floor: 0.06,
};

/// Noise of a CPU time: the kernel's clock and disturbance by others.
fn noise(cpu: f64) -> f64 {
    (0.04 * cpu).hypot(0.010)
}

/// The CPU time of the whole, in seconds; `None` where no rung can be used.
pub fn cpu(rungs: &[Rung], whole: f64) -> Option<Extrapolated> {
    let rungs = usable(rungs);
    let largest = rungs.last().filter(|_| tells(&rungs, whole))?;
    let sigma = PRIOR.sigma(whole / largest.size);
    let totals: Vec<_> = rungs
        .iter()
        .map(|r| Observation {
            size: r.size,
            value: r.cpu,
            noise: noise(r.cpu),
        })
        .collect();
    let gathers = gathers(&rungs);
    let prior: Vec<(Shape, f64)> = STREAMING
        .iter()
        .map(|(shape, weight)| (*shape, weight * (1.0 - gathers)))
        .chain(
            ACCUMULATING
                .iter()
                .map(|(shape, weight)| (*shape, weight * gathers)),
        )
        .collect();
    let laws = posterior(&totals, &prior);
    Some(Extrapolated {
        predictive: mixture(&components(&laws, |law| (law.at(whole).max(1e-4), sigma)))?,
        explain: Vec::new(),
    })
}

/// The wall time of the whole, in seconds, on a machine with so many cores that is otherwise idle;
/// `None` where no rung can be used.
pub fn wall(rungs: &[Rung], whole: f64, cores: f64) -> Option<Extrapolated> {
    let cpu = cpu(rungs, whole)?.predictive;
    let rungs = usable(rungs);
    let cores = cores.max(0.01);
    let ratio = wall_to_cpu(&rungs)?.max(1.0 / cores);
    let serial = cpu.scale(ratio)?;
    // Threads that small runs leave idle may find work in a large one.
    let threads = rungs.last()?.threads.min(cores);
    let parallel = cpu.scale(1.0 / threads.max(1.0))?;
    let predictive = if threads > 1.2 && ratio * threads > 1.3 {
        Predictive::mix(&[(0.8, &serial), (0.2, &parallel)])?
    } else {
        serial
    };
    Some(Extrapolated {
        predictive: spread(&predictive, WALL)?,
        explain: Vec::new(),
    })
}

/// How wall time strays from what CPU time alone would give (waiting for disks, threads that run
/// side by side for a part of the time): standard deviation of the logarithm.
const WALL: f64 = 0.06;

/// The distribution with a log-normal error on top.
fn spread(predictive: &Predictive, sigma: f64) -> Option<Predictive> {
    const STEPS: [f64; 5] = [-1.4, -0.6, 0.0, 0.6, 1.4];
    let scaled: Option<Vec<Predictive>> = STEPS
        .iter()
        .map(|z| predictive.scale((z * sigma).exp()))
        .collect();
    let scaled = scaled?;
    let parts: Vec<(f64, &Predictive)> = scaled.iter().map(|p| (0.2, p)).collect();
    Predictive::mix(&parts)
}

/// Wall time for each second of CPU time: between the two largest rungs, so that start-up is left
/// out, as far as the difference is long enough to tell.
fn wall_to_cpu(rungs: &[Rung]) -> Option<f64> {
    /// So much CPU time between two rungs counts as much as the whole of the larger one.
    const TELLING: f64 = 0.15;
    let largest = rungs.last()?;
    let whole = largest.wall / largest.cpu.max(1e-3);
    let Some(below) = rungs.len().checked_sub(2).map(|i| &rungs[i]) else {
        return Some(whole);
    };
    let (cpu, wall) = (largest.cpu - below.cpu, largest.wall - below.wall);
    if cpu <= 0.0 || wall <= 0.0 {
        return Some(whole);
    }
    let trust = cpu / (cpu + TELLING);
    Some(trust * wall / cpu + (1.0 - trust) * whole)
}
