use foreshadow_quantity::{Bytes, Cores, Rate};
use serde::{Deserialize, Serialize};

/// Limits of an environment; `None` means that the resource is not limited.
///
/// All of them can be changed while processes run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Most processor time, as a number of cores (quota).
    pub cores: Option<Cores>,
    /// Share of processor time under contention; kernel default where `None`.
    pub cpu_weight: Option<Weight>,
    /// Run only when no other environment wants the processor (`cpu.idle`).
    pub idle: bool,
    /// Memory beyond which the kernel slows and reclaims, but does not kill.
    pub memory_high: Option<Bytes>,
    /// Memory that is never exceeded. A group with such a limit gets no swap, so that the limit is one on
    /// what is used and not on where it lies.
    pub memory_max: Option<Bytes>,
    /// Bytes read from disks each second.
    pub disk_read: Option<Rate>,
    /// Bytes written to disks each second.
    pub disk_write: Option<Rate>,
    /// Bytes sent and received over the network each second, each way.
    pub network: Option<Rate>,
    /// Processes and threads.
    pub pids: Option<u32>,
}

/// A relative share of processor time as in cgroup v2 `cpu.weight`: 1 to 10,000, default 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Weight(u16);

impl Weight {
    /// The kernel's default.
    pub const DEFAULT: Weight = Weight(100);
    /// The largest share.
    pub const MAX: Weight = Weight(10_000);

    /// A weight; None outside 1 to 10,000.
    pub const fn new(weight: u16) -> Option<Self> {
        if weight >= 1 && weight <= 10_000 {
            Some(Weight(weight))
        } else {
            None
        }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}
