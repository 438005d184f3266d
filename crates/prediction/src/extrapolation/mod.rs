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
