//! Where a command runs: limits, isolation, clean-up (cgroup v2, v1, none; namespaces, overlay).
//!
//! The only crate with system calls of its own.

mod limits;
mod program;
mod signals;
mod usage;

pub use limits::{Limits, Weight};
pub use program::{Exit, Program, Stream, Totals};
pub use signals::{Arrived, Signals};
pub use usage::{Pressure, Usage};
