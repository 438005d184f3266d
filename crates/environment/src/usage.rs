use std::time::Duration;

use foreshadow_quantity::Bytes;
use serde::{Deserialize, Serialize};

/// What the processes of an environment use now (memory, processes) and have used so far (the
/// counters). `None` where this back end cannot tell: never a 0 in its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time so far.
    pub cpu: Duration,
    /// Time spent waiting because of the CPU quota, so far.
    pub throttled: Option<Duration>,
    /// Anonymous memory.
    pub anon: Bytes,
    /// Shared and tmpfs memory.
    pub shmem: Bytes,
    /// Kernel memory that cannot be reclaimed (page tables, stacks, slabs).
    pub kernel: Bytes,
    /// Page cache, without [`Usage::shmem`].
    pub page_cache: Option<Bytes>,
    /// The highest total (page cache included) that the kernel saw, at any moment.
    pub peak_total: Option<Bytes>,
    /// Memory in use that reclaim would not take first: total less inactive page cache.
    pub working_set: Option<Bytes>,
    /// Page faults that waited for a disk, so far.
    pub major_faults: Option<u64>,
    /// All page faults so far.
    pub faults: Option<u64>,
    /// Pages that were evicted and wanted again, so far.
    pub refaults: Option<u64>,
    /// Bytes read from disks so far.
    pub disk_read: Option<Bytes>,
    /// Bytes written to disks so far.
    pub disk_written: Option<Bytes>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Processes killed here for want of memory, so far.
    pub oom_kills: Option<u64>,
}

impl Usage {
    /// The memory that a run needs: anonymous + shared + unreclaimable kernel memory.
    pub fn memory(&self) -> Bytes {
        self.anon + self.shmem + self.kernel
    }
}

/// Time lost to waiting, since the environment was made (pressure stall information,
/// `Documentation/accounting/psi.rst`, the "some" totals).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pressure {
    /// Some process waited for a processor.
    pub cpu: Duration,
    /// Some process waited for memory.
    pub memory: Duration,
    /// Some process waited for a disk.
    pub io: Duration,
}
