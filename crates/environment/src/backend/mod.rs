//! The three mechanisms behind an environment.

mod hybrid;
mod hybrid_usage;
mod kernel_memory;
mod none;
mod pressure_files;
mod quota;
pub(crate) mod unified;
mod v2;
mod v2_usage;

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::process_table;
use crate::{EnvironmentError, Limits, MemoryEvents, Pressure, Unsupported, Usage};

pub(crate) use hybrid::Hybrid;
pub(crate) use none::Processes;
pub(crate) use v2::V2;

/// Why [`Limits::network`] is never set by control groups.
pub(crate) const NETWORK_REASON: &str = "a rate can only be set on an interface that the \
    environment has to itself; a primary uses the machine's own network (an isolated shadow has one)";

/// What an [`crate::Environment`] asks of its mechanism. Dropping it removes what it made.
pub(crate) trait Backend: Debug + Send + Sync {
    /// Changes limits from `old` (what holds now) to `new`. Limits it cannot set are passed over:
    /// [`Backend::unsupported`] tells them.
    fn apply(&self, old: &Limits, new: &Limits) -> Result<(), EnvironmentError>;

    /// Which of these limits, and which features, it cannot offer.
    fn unsupported(&self, limits: &Limits) -> Vec<Unsupported>;

    /// The files by which a process joins, in order.
    fn join(&self) -> Vec<PathBuf>;

    /// The v2 group into which `clone3` can put a child from the start.
    fn clone_target(&self) -> Option<&Path>;

    /// A process was started in it.
    fn started(&self, _pid: u32) {}

    /// What a new process takes by itself: the idle class, and a `nice` value.
    fn priority(&self, _limits: &Limits) -> (bool, Option<i32>) {
        (false, None)
    }

    /// The value of the variable by which processes are known, where that is how they are known.
    fn variable(&self) -> Option<&str> {
        None
    }

    fn usage(&self) -> Result<Usage, EnvironmentError>;
    /// Reads again what changes fast.
    fn refresh(&self, usage: &mut Usage) -> Result<(), EnvironmentError>;
    fn pressure(&self) -> Result<Option<Pressure>, EnvironmentError>;
    fn pids(&self) -> Result<Vec<u32>, EnvironmentError>;
    fn freeze(&self) -> Result<(), EnvironmentError>;
    fn thaw(&self) -> Result<(), EnvironmentError>;
    /// Kills all processes inside, frozen ones too. May return before they are gone.
    fn kill(&self) -> Result<(), EnvironmentError>;
    /// Waits until no process is inside; false where some are left after `patience`.
    fn wait_empty(&self, patience: Duration) -> Result<bool, EnvironmentError>;
    fn memory_events(&self) -> Result<Option<MemoryEvents>, EnvironmentError>;
    fn set_oom_pause(&self, pause: bool) -> Result<bool, EnvironmentError>;
    fn under_oom(&self) -> Result<bool, EnvironmentError>;
}

/// Adds up the memory of processes where no group counts it. What several of them share counts for
/// each.
fn add_resident(usage: &mut Usage, pids: &[u32]) {
    for resident in pids.iter().filter_map(|pid| process_table::resident(*pid)) {
        usage.anon = usage.anon + resident.anon;
        usage.shmem = usage.shmem + resident.shmem;
        usage.kernel = usage.kernel + resident.page_tables;
    }
}

/// A disk taken out since it was looked for needs no limit.
fn unless_gone(written: Result<(), EnvironmentError>) -> Result<(), EnvironmentError> {
    match written {
        Err(EnvironmentError::Write { source, .. })
            if source.raw_os_error() == Some(libc::ENODEV) =>
        {
            Ok(())
        }
        other => other,
    }
}
