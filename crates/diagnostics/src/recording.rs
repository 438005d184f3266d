use std::time::Duration;

use foreshadow_environment::{Exit, Pressure, Totals, Usage};
use foreshadow_quantity::Bytes;
use serde::{Deserialize, Serialize};

use crate::Curve;

/// The diagnostics of one execution in one environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// How it ended; `None` where it was cut short from outside.
    pub exit: Option<Exit>,
    /// Time from start to end.
    pub wall: Duration,
    /// CPU time of all its processes.
    pub cpu: Duration,
    /// The highest anonymous + shared + unreclaimable kernel memory.
    pub peak_memory: Bytes,
    /// The most page cache charged to it; `None` where it can't be told from other memory.
    pub page_cache_peak: Option<Bytes>,
    /// The kernel's counts at the end; `None` where it was cut short.
    pub totals: Option<Totals>,
    /// The environment's last counters.
    pub usage: Usage,
    /// Time lost to waiting, where the kernel tells.
    pub pressure: Option<Pressure>,
    /// Bytes over the network interfaces of its own namespace; `None` where it shares the host's.
    pub network: Option<Bytes>,
    /// CPU and memory against time and progress.
    pub curve: Curve,
}

impl Recording {
    /// Bytes read from storage: the exact count of the ended processes, else the environment's.
    pub fn disk_read(&self) -> Option<Bytes> {
        self.totals
            .and_then(|t| t.disk_read)
            .or(self.usage.disk_read)
    }

    /// Bytes written: the exact count of the ended processes, else the environment's.
    pub fn disk_written(&self) -> Option<Bytes> {
        self.totals
            .and_then(|t| t.disk_written)
            .or(self.usage.disk_written)
    }

    /// Page faults that waited for a disk.
    pub fn major_faults(&self) -> Option<u64> {
        self.totals
            .map(|t| t.major_faults)
            .or(self.usage.major_faults)
    }

    /// The number of cores kept busy at the mean: CPU time over wall time; 0 for no time at all.
    pub fn parallelism(&self) -> f64 {
        let wall = self.wall.as_secs_f64();
        if wall > 0.0 {
            self.cpu.as_secs_f64() / wall
        } else {
            0.0
        }
    }
}
