//! Samplers and recordings of what a run used.
//!
//! A [`Recorder`] reads an environment's counters and `/proc` while a command runs and hands over
//! a [`Recording`]: totals, peaks, and a curve of CPU and memory against time and against the
//! progress through the inputs. Whoever runs the command owns the loop and the waiting; the
//! recorder says when it wants to look next.

mod curve;
mod peak;
mod processes;
mod recorder;
mod recording;

pub use curve::{Curve, Sample};
pub use peak::PeakEvidence;
pub use recorder::{Pace, Recorder, RecorderOptions};
pub use recording::Recording;
