use super::calibration::Prior;
use super::growth::{Law, Observation, Shape, components, posterior};
use super::mixture::mixture;
use super::{Extrapolated, Rung, tells, usable};
use crate::Predictive;

/// How likely each kind of growth of memory is before anything is known of a program.
const GROWTH: [(Shape, f64); 20] = [
    (Shape::Constant, 0.30),
    (Shape::Power(1.0), 0.40),
    (Shape::Power(0.9), 0.03),
    (Shape::Power(0.8), 0.03),
    (Shape::Power(0.7), 0.03),
    (Shape::Power(0.6), 0.03),
    (Shape::Power(0.5), 0.03),
    (Shape::Power(0.35), 0.02),
    (Shape::Logarithm(0.1), 0.02),
    (Shape::Logarithm(0.3), 0.02),
    (Shape::Logarithm(1.0), 0.02),
    (Shape::Logarithm(3.0), 0.02),
    (Shape::Saturating(0.1), 0.01),
    (Shape::Saturating(0.2), 0.01),
    (Shape::Saturating(0.4), 0.01),
    (Shape::Saturating(0.8), 0.01),
    (Shape::Saturating(1.5), 0.01),
    (Shape::Saturating(3.0), 0.01),
    (Shape::Saturating(6.0), 0.01),
    (Shape::Saturating(12.0), 0.01),
];

/// The same for work on many separate files.
const GROWTH_BY_PARTS: [(Shape, f64); 8] = [
    (Shape::Constant, 0.45),
    (Shape::Power(1.0), 0.10),
    (Shape::Power(0.7), 0.03),
    (Shape::Power(0.4), 0.05),
    (Shape::Logarithm(0.03), 0.15),
    (Shape::Logarithm(0.1), 0.10),
    (Shape::Logarithm(1.0), 0.05),
    (Shape::Saturating(0.5), 0.07),
];

const PRIOR: Prior = Prior {
    width: 0.015,
    floor: 0.015,
};

/// Noise of a peak: allocators round up, pages are counted in batches.
fn noise(memory: f64) -> f64 {
    (0.015 * memory).hypot(192.0 * 1024.0)
}

/// Where the peaks alone say this clearly that memory grows in proportion, a curve inside a run
/// does not overrule them: programs that read ahead, or put pieces together, have such curves.
const PLAIN: f64 = 0.6;
/// What small peaks are uncertain by, in bytes.
const STEPS: f64 = 384.0 * 1024.0;
/// Points inside one run are not independent of each other: all of them together count as so many.
const INSIDE: f64 = 4.0;
/// A curve bends down where its second half rises by less than this part of what its first does.
const BEND: f64 = 0.75;
/// Where reading is followed in fewer looks than this, its curve says nothing.
const LEAST_LOOKS: usize = 8;

/// The peak memory of the whole, in bytes; `None` where no rung can be used.
pub fn memory(rungs: &[Rung], whole: f64) -> Option<Extrapolated> {
    let rungs = usable(rungs);
    let largest = rungs.last().filter(|_| tells(&rungs, whole))?;
    let sigma = PRIOR.sigma(whole / largest.size);
    let peaks: Vec<_> = rungs.iter().map(peak).collect();
    let inside = inside(largest)
        .filter(|_| gathers(&rungs) < PLAIN)
        .filter(|_| depends_on_position(&rungs));
    let laws = match &inside {
        // The curve while reading tells the shape; the peak, which may come later, the level.
        Some(inside) => {
            let mut points = inside.points.clone();
            points.extend(rungs[..rungs.len() - 1].iter().map(|r| Observation {
                value: r.memory / inside.above,
                noise: 2.0 * noise(r.memory),
                ..peak(r)
            }));
            posterior(&points, &GROWTH)
        }
        None if largest.parts => posterior(&peaks, &GROWTH_BY_PARTS),
        None => posterior(&peaks, &GROWTH),
    };
    let above = inside.as_ref().map_or(1.0, |i| i.above);
    let components = components(&laws, |law| stepped(above * law.at(whole), sigma));
    Some(Extrapolated {
        predictive: mixture(&components)?,
        explain: vec![words(&laws)],
    })
}

/// Median and width of an amount: the kernel's charges for a run come in steps, whatever its size.
fn stepped(amount: f64, sigma: f64) -> (f64, f64) {
    (amount.max(1.0), sigma.hypot(STEPS / amount.max(STEPS)))
}

fn peak(rung: &Rung) -> Observation {
    Observation {
        size: rung.size,
        value: rung.memory,
        noise: noise(rung.memory),
    }
}

/// Whether memory depends on how much has been read so far, not on the size of the whole: a smaller
/// run ends with what a larger one has at the same place. (One that loads a second input first,
/// or takes a buffer by the size of the file, does not.)
fn depends_on_position(rungs: &[Rung]) -> bool {
    const ALIKE: f64 = 0.2;
    let [.., smaller, largest] = rungs else {
        return true;
    };
    let place = smaller.size / largest.size;
    // What is there before anything is read says nothing of what reading adds.
    let before = |rung: &Rung| {
        let first = rung.curve.iter().position(|p| p.progress > 0.0);
        first.map_or(0.0, |i| rung.curve[i.saturating_sub(1)].memory)
    };
    let start = before(largest);
    let at = |progress: f64| {
        let read = largest.curve.iter().take_while(|p| p.progress <= progress);
        (read.map(|p| p.memory).fold(0.0, f64::max) - start).max(0.0)
    };
    let end = smaller.curve.iter().find(|p| p.progress >= 0.97);
    let Some(end) = end.map(|p| p.memory - before(smaller)) else {
        return false;
    };
    // Reading runs ahead of what is done with it: within a block's reach is good enough.
    let (low, high) = (at(0.7 * place), at(1.4 * place + 0.02));
    end >= low * (1.0 - ALIKE) && end <= high * (1.0 + ALIKE) + 262_144.0
}

/// The growth of memory while a run reads its input.
struct Inside {
    points: Vec<Observation>,
    /// The peak over the memory at the end of the input.
    above: f64,
}

/// Looks inside a run; `None` where its reading couldn't be followed.
fn inside(rung: &Rung) -> Option<Inside> {
    const STEPS: usize = 16;
    let curve = &rung.curve;
    let looks = curve
        .windows(2)
        .filter(|w| w[1].progress > w[0].progress)
        .count();
    let end = curve.iter().position(|p| p.progress >= 0.97)?;
    if looks < LEAST_LOOKS || curve[end].memory <= 0.0 {
        return None;
    }
    let mut points = Vec::with_capacity(STEPS);
    let mut reached = 0.0_f64;
    let mut next = 1;
    for point in &curve[..=end] {
        // What was freed again would be wanted again: the highest so far counts.
        reached = reached.max(point.memory);
        #[expect(clippy::cast_precision_loss, reason = "a few steps")]
        while next <= STEPS && point.progress >= (next as f64 / STEPS as f64).min(0.97) {
            // Several steps in one look are one block of reading: only its last one is known.
            let step = (point.progress * STEPS as f64).floor();
            next = next.max(step as usize) + 1;
            points.push(Observation {
                size: rung.size * point.progress,
                value: reached,
                noise: noise(reached),
            });
        }
    }
    if points.len() < LEAST_LOOKS / 2 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "a few points")]
    let widen = (points.len() as f64 / INSIDE).sqrt().max(1.0);
    for point in &mut points {
        point.noise *= widen;
    }
    // Only a curve that bends down tells more than the peaks of the rungs do: where it goes
    // straight on, so do they, and without the delay between reading and using.
    let half = points.len() / 2;
    let (first, middle, end) = (points[0], points[half], points[points.len() - 1]);
    let slope =
        |a: Observation, b: Observation| (b.value - a.value) / (b.size - a.size).max(1e-300);
    if slope(middle, end) > BEND * slope(first, middle) {
        return None;
    }
    Some(Inside {
        points,
        above: (rung.memory / reached).max(1.0),
    })
}

/// How sure it is that memory grows in proportion to the input, from 0 to 1.
pub(super) fn gathers(rungs: &[Rung]) -> f64 {
    let peaks: Vec<_> = rungs.iter().map(peak).collect();
    if peaks.len() < 2 {
        return 0.4;
    }
    let linear = |shape: &Shape| matches!(shape, Shape::Power(e) if *e >= 0.75);
    let laws = posterior(&peaks, &GROWTH);
    laws.iter()
        .filter(|(_, law)| linear(&law.shape))
        .map(|(weight, _)| weight)
        .sum::<f64>()
        .clamp(0.0, 1.0)
}

/// The most likely growth in words.
fn words(laws: &[(f64, Law)]) -> String {
    let share = |of: &dyn Fn(&Shape) -> bool| -> f64 {
        laws.iter()
            .filter(|(_, l)| of(&l.shape))
            .map(|(w, _)| w)
            .sum()
    };
    let constant = share(&|s| *s == Shape::Constant);
    let linear = share(&|s| matches!(s, Shape::Power(e) if *e >= 0.85));
    if constant > 0.5 {
        "memory does not depend on the size of the input, as far as the shadows tell".to_owned()
    } else if linear > 0.5 {
        "memory grows in proportion to the input".to_owned()
    } else {
        "memory grows more slowly than the input".to_owned()
    }
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
    if points.len() < 2 && largest < 0.999 * whole {
        return None;
    }
    let sigma = PRIOR.sigma(whole / largest);
    let laws = posterior(&points, &GROWTH);
    mixture(&components(&laws, |law| stepped(law.at(whole), sigma)))
}
