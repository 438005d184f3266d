//! What the whole of a task will need, from runs on small parts of it.
//!
//! # Problem
//! A ladder of two to five runs at fractions of up to a few per cent, each with its curve of CPU
//! and memory against the progress through its input, is to tell the CPU time and the peak memory
//! at twenty to several hundred times the size, with an interval that holds.
//!
//! # Approach
//! Growth laws ([`growth`]) are fitted to the rungs and weighted by how well they explain them, by
//! how common such growth is among programs, and by an Occam factor, so that growth is believed
//! only where it stands out from the noise. Where reading is followed, the curve of memory inside
//! the largest run shows growth that slows down before a further rung could. How CPU time grows is
//! told apart by how memory does: work record by record costs the same for each, what is gathered
//! costs more the more there is. What small runs cannot know is a width by the factor of the
//! extrapolation ([`calibration`]), with heavy tails.

mod calibration;
mod cores;
mod cpu;
mod growth;
mod memory;
mod mixture;

use serde::{Deserialize, Serialize};

use crate::Predictive;

pub use cores::busiest_cores;
pub use cpu::{cpu, wall};
pub use memory::{amount, memory};

/// One run on a part of the task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rung {
    /// Size of the part: bytes of content, or a varied number. Above 0.
    pub size: f64,
    /// CPU time, in seconds.
    pub cpu: f64,
    /// Wall time, in seconds.
    pub wall: f64,
    /// Peak memory, in bytes.
    pub memory: f64,
    /// The most threads seen at once; 0 where they weren't counted.
    #[serde(default)]
    pub threads: f64,
    /// Whether its input is a number of separate files: memory then often is that of the largest
    /// one so far, whatever their number.
    #[serde(default)]
    pub parts: bool,
    /// Whether it ran to its own end; else it is the beginning of a larger run.
    pub complete: bool,
    /// What was seen inside the run, in order of time.
    pub curve: Vec<Point>,
}

/// One look inside a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Seconds since the start.
    pub at: f64,
    /// CPU seconds so far.
    pub cpu: f64,
    /// Memory now, in bytes.
    pub memory: f64,
    /// The part of its input that was read so far, from 0 to 1.
    pub progress: f64,
}

/// A distribution with the reasons for it, in words for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Extrapolated {
    /// What the whole may need.
    pub predictive: Predictive,
    /// Why.
    pub explain: Vec<String>,
}

/// The beginning of a run, cut at a quarter, half and all of what it had read: as if each were a
/// rung of its own. What comes after the end of the input is not seen this way. Empty where the
/// reading wasn't followed.
pub fn beginnings(run: &Rung) -> Vec<Rung> {
    let mut out = Vec::new();
    for part in [0.25, 0.5, 1.0] {
        let Some(end) = run.curve.iter().position(|p| p.progress >= part) else {
            continue;
        };
        let seen = &run.curve[..=end];
        let at = seen[end];
        out.push(Rung {
            size: run.size * at.progress,
            cpu: at.cpu,
            wall: at.at,
            memory: seen.iter().map(|p| p.memory).fold(0.0, f64::max),
            complete: true,
            curve: Vec::new(),
            ..run.clone()
        });
    }
    out
}

/// Whether a ladder tells anything of the whole: a rung that did all of it, or two that show how it
/// grows. One smaller run alone says nothing of growth.
fn tells(rungs: &[Rung], whole: f64) -> bool {
    rungs.len() >= 2 || rungs.iter().any(|r| r.size >= 0.999 * whole)
}

/// The rungs that can be used, in order of size, those of one size taken together: of repeated
/// runs the one with the least CPU time (the others were disturbed) and the most memory.
fn usable(rungs: &[Rung]) -> Vec<Rung> {
    let mut sorted: Vec<Rung> = rungs
        .iter()
        .filter(|r| {
            r.size > 0.0
                && [r.size, r.cpu, r.wall, r.memory]
                    .iter()
                    .all(|v| v.is_finite())
        })
        .cloned()
        .collect();
    sorted.sort_by(|a, b| a.size.total_cmp(&b.size));
    let mut out: Vec<Rung> = Vec::with_capacity(sorted.len());
    for rung in sorted {
        match out.last_mut() {
            Some(last) if rung.size < last.size * 1.02 => {
                let memory = last.memory.max(rung.memory);
                if rung.cpu < last.cpu {
                    *last = rung;
                }
                last.memory = memory;
            }
            _ => out.push(rung),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rung(size: f64) -> Rung {
        Rung {
            size,
            cpu: 0.1 + 20.0 * size,
            wall: 0.1 + 20.0 * size,
            memory: 5e6 + 1e9 * size,
            complete: true,
            ..Rung::default()
        }
    }

    #[test]
    fn a_linear_program_is_extrapolated() {
        let rungs = [0.002, 0.008, 0.03].map(rung);
        let memory = memory(&rungs, 1.0).unwrap().predictive.quantile(0.5);
        assert!((memory / 1.005e9 - 1.0).abs() < 0.05, "{memory}");
        let cpu = cpu(&rungs, 1.0).unwrap().predictive;
        assert!(cpu.quantile(0.1) < 20.1 && 20.1 < cpu.quantile(0.9));
        let wall = wall(&rungs, 1.0, 4.0).unwrap().predictive;
        assert!(wall.quantile(0.1) < 20.1 && 20.1 < wall.quantile(0.9));
    }

    #[test]
    fn one_small_rung_says_nothing_of_growth_and_a_whole_one_everything() {
        assert_eq!(memory(&[rung(0.01)], 1.0), None);
        assert_eq!(cpu(&[rung(0.01)], 1.0), None);
        let whole = cpu(&[rung(1.0)], 1.0).unwrap().predictive.quantile(0.5);
        assert!((whole / 20.1 - 1.0).abs() < 0.05, "{whole}");
    }

    #[test]
    fn a_beginning_is_several_rungs() {
        let curve = (0..=100).map(f64::from);
        let run = Rung {
            size: 0.04,
            complete: false,
            curve: curve
                .map(|i| Point {
                    at: 0.01 * i,
                    cpu: 0.01 * i,
                    memory: 1e6 * i,
                    progress: 0.01 * i,
                })
                .collect(),
            ..Rung::default()
        };
        let rungs = beginnings(&run);
        let sizes: Vec<f64> = rungs.iter().map(|r| r.size).collect();
        assert_eq!(sizes, [0.01, 0.02, 0.04]);
        let memory = memory(&rungs, 1.0).unwrap().predictive.quantile(0.5);
        assert!((memory / 2.5e9 - 1.0).abs() < 0.05, "{memory}");
        assert!(beginnings(&rung(0.01)).is_empty());
    }

    proptest::proptest! {
        #[test]
        fn whatever_was_measured_the_quantiles_are_ordered(
            runs in proptest::collection::vec(
                (1e-6_f64..1.0, 0.0_f64..1e4, 0.0_f64..1e4, 0.0_f64..1e12), 0..6),
        ) {
            let rungs: Vec<Rung> = runs
                .iter()
                .map(|&(size, cpu, wall, memory)| Rung {
                    size,
                    cpu,
                    wall,
                    memory,
                    complete: true,
                    ..Rung::default()
                })
                .collect();
            let all = [memory(&rungs, 1.0), cpu(&rungs, 1.0), wall(&rungs, 1.0, 2.0)];
            for found in all.into_iter().flatten() {
                proptest::prop_assert!(found.predictive.quantiles().values().is_sorted());
            }
        }
    }
}
