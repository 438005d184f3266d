//! Where a command runs: limits, isolation, clean-up (cgroup v2, v1, none; namespaces, overlay).
//!
//! The only crate with system calls of its own.

mod backend;
mod child;
mod delegation;
mod descent;
mod descriptors;
mod disks;
mod environment;
mod error;
mod events;
mod file;
mod findings;
mod group;
mod host;
pub mod isolation;
mod layout;
mod limits;
mod name;
mod page_cache;
mod placement;
mod pressure;
mod priority;
mod probe;
mod process;
mod process_table;
mod program;
mod read_probe;
mod signal;
mod signals;
mod spawn;
mod sweep;
mod usage;
mod wait;

pub use descriptors::raise_descriptor_limit;
pub use environment::{Environment, Role};
pub use error::{EnvironmentError, Feature, SpawnError, Unsupported};
pub use events::{MemoryChange, MemoryEvents};
pub use findings::{Finding, Status};
pub use host::Host;
pub use limits::{Limits, Weight};
pub use page_cache::cached;
pub use placement::BackendKind;
pub use pressure::{HostPressure, Stall};
pub use process::Process;
pub use program::{Exit, Program, Stream, Totals};
pub use read_probe::ReadProbe;
pub use signals::{Arrived, Signals};
pub use sweep::{SweepReport, sweep};
pub use usage::{Pressure, Usage};
pub use wait::wait_readable;
