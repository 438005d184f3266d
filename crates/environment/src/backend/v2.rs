//! Control groups of version 2 (`Documentation/admin-guide/cgroup-v2.rst`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use foreshadow_quantity::Bytes;

use super::v2_usage::Reader;
use super::{Backend, quota, unified};
use crate::disks::{self, Device};
use crate::group::Group;
use crate::placement::V2Place;
use crate::{
    EnvironmentError, Feature, Limits, MemoryEvents, Pressure, Unsupported, Usage, Weight,
    delegation, file,
};

/// An environment on version 2.
#[derive(Debug)]
pub(crate) struct V2 {
    reader: Reader,
    group: Group,
    /// The controllers it really has.
    controllers: BTreeSet<&'static str>,
    disks: Vec<Device>,
}

impl V2 {
    pub(crate) fn create(place: &V2Place, name: &str) -> Result<Self, EnvironmentError> {
        delegation::prepare(place);
        let group = Group::create(&place.parent, name)?;
        let controllers = delegation::listed(&group.file("cgroup.controllers"));
        Ok(V2 {
            reader: Reader::open(&group, controllers.contains("memory"))?,
            group,
            controllers,
            disks: disks::mounted(),
        })
    }

    fn has(&self, controller: &str) -> bool {
        self.controllers.contains(controller)
    }

    fn apply_cpu(&self, old: &Limits, new: &Limits) -> Result<(), EnvironmentError> {
        if !self.has("cpu") {
            return Ok(());
        }
        if old.cores != new.cores && self.group.has("cpu.max") {
            let value = match new.cores {
                Some(cores) => {
                    let (quota, period) = quota::quota(cores)?;
                    format!("{quota} {period}")
                }
                None => "max 100000".into(),
            };
            self.group.write("cpu.max", &value)?;
        }
        if old.idle != new.idle && self.group.has("cpu.idle") {
            let value = if new.idle { "1" } else { "0" };
            self.group.write("cpu.idle", value)?;
        }
        // An idle group takes no weight, and gets the default one when it is idle no more.
        let idle = new.idle && self.group.has("cpu.idle");
        if !idle && (old.cpu_weight != new.cpu_weight || old.idle != new.idle) {
            let weight = match (new.idle, new.cpu_weight) {
                // The least share is the nearest to idle that older kernels have.
                (true, _) => 1,
                (false, weight) => weight.unwrap_or(Weight::DEFAULT).get(),
            };
            self.group.write("cpu.weight", &weight.to_string())?;
        }
        Ok(())
    }

    fn apply_memory(&self, old: &Limits, new: &Limits) -> Result<(), EnvironmentError> {
        let unchanged = (old.memory_high, old.memory_max) == (new.memory_high, new.memory_max);
        if !self.has("memory") || unchanged {
            return Ok(());
        }
        // A group held to a limit may not evade it to swap: the limit is one on what is used and not
        // on where it lies. Absent where the kernel has no swap.
        if old.memory_max.is_some() != new.memory_max.is_some() && self.group.has(SWAP) {
            let value = if new.memory_max.is_some() { "0" } else { "max" };
            self.group.write(SWAP, value)?;
        }
        if let Some(max) = new.memory_max
            && old.memory_max.is_none_or(|old| max < old)
        {
            self.make_room(max, old.memory_high)?;
        }
        self.group.write(MAX, &amount(new.memory_max))?;
        self.group.write(HIGH, &amount(new.memory_high))
    }

    /// Reclaims down to `max`, because writing a maximum below use kills. Where that does not do, the
    /// limits are as before and the error says so.
    fn make_room(&self, max: Bytes, high: Option<Bytes>) -> Result<(), EnvironmentError> {
        let used = || file::read_number(&self.group.file("memory.current")).map(Bytes::new);
        if used()? <= max {
            return Ok(());
        }
        // The write of a lower `memory.high` reclaims at once, and kills nobody.
        self.group.write(HIGH, &amount(Some(max)))?;
        let left = used()?;
        if left <= max {
            return Ok(());
        }
        self.group.write(HIGH, &amount(high))?;
        Err(EnvironmentError::BelowUse {
            wanted: max,
            used: left,
        })
    }

    fn apply_disk(&self, old: &Limits, new: &Limits) -> Result<(), EnvironmentError> {
        let unchanged = (old.disk_read, old.disk_write) == (new.disk_read, new.disk_write);
        if !self.has("io") || unchanged {
            return Ok(());
        }
        let rate = |rate: Option<foreshadow_quantity::Rate>| match rate {
            Some(rate) => rate.bytes().get().max(1).to_string(),
            None => "max".into(),
        };
        let (read, write) = (rate(new.disk_read), rate(new.disk_write));
        for disk in &self.disks {
            let value = format!("{disk} rbps={read} wbps={write}");
            super::unless_gone(self.group.write("io.max", &value))?;
        }
        Ok(())
    }
}

const MAX: &str = "memory.max";
const HIGH: &str = "memory.high";
const SWAP: &str = "memory.swap.max";

fn amount(limit: Option<Bytes>) -> String {
    limit.map_or_else(|| "max".into(), |bytes| bytes.get().to_string())
}

impl Backend for V2 {
    fn apply(&self, old: &Limits, new: &Limits) -> Result<(), EnvironmentError> {
        // Memory first: it is the one that can be refused.
        self.apply_memory(old, new)?;
        self.apply_cpu(old, new)?;
        self.apply_disk(old, new)?;
        if old.pids != new.pids && self.has("pids") {
            let value = new.pids.map_or_else(|| "max".into(), |n| n.to_string());
            self.group.write("pids.max", &value)?;
        }
        Ok(())
    }

    fn unsupported(&self, limits: &Limits) -> Vec<Unsupported> {
        let mut missing = Vec::new();
        let mut lack = |feature, asked: bool, reason: &str| {
            if asked {
                missing.push(Unsupported::new(feature, reason));
            }
        };
        let not_passed_on = |controller: &str| {
            format!(
                "the `{controller}` controller is not passed on to {}",
                self.group
                    .path()
                    .parent()
                    .unwrap_or(self.group.path())
                    .display()
            )
        };
        if self.has("cpu") {
            let reason = "this kernel has no processor quotas (CONFIG_CFS_BANDWIDTH)";
            let asked = limits.cores.is_some();
            lack(Feature::Cores, asked && !self.group.has("cpu.max"), reason);
            let reason = "this kernel has no `cpu.idle` (Linux 5.15 or later has): the least weight \
                          stands in";
            let asked = limits.idle;
            lack(Feature::Idle, asked && !self.group.has("cpu.idle"), reason);
        } else {
            let reason = not_passed_on("cpu");
            lack(Feature::Cores, limits.cores.is_some(), &reason);
            lack(Feature::CpuWeight, limits.cpu_weight.is_some(), &reason);
            lack(Feature::Idle, limits.idle, &reason);
        }
        if !self.has("memory") {
            let reason = not_passed_on("memory");
            lack(Feature::MemoryHigh, limits.memory_high.is_some(), &reason);
            lack(Feature::MemoryMax, limits.memory_max.is_some(), &reason);
            lack(Feature::MemoryUsage, true, &reason);
            lack(Feature::MemoryEvents, true, &reason);
        }
        let disks = if !self.has("io") {
            Some(not_passed_on("io"))
        } else if self.disks.is_empty() {
            Some("no disk is behind the mounted file systems".into())
        } else if !self.group.has("io.max") {
            Some("this kernel has no rate limits for disks (CONFIG_BLK_DEV_THROTTLING)".into())
        } else {
            None
        };
        if let Some(reason) = disks {
            lack(Feature::DiskRead, limits.disk_read.is_some(), &reason);
            lack(Feature::DiskWrite, limits.disk_write.is_some(), &reason);
        }
        if !self.has("io") {
            lack(Feature::DiskUsage, true, &not_passed_on("io"));
        }
        if !self.has("pids") {
            lack(Feature::Pids, limits.pids.is_some(), &not_passed_on("pids"));
        }
        let asked = limits.network.is_some();
        lack(Feature::Network, asked, super::NETWORK_REASON);
        lack(
            Feature::OomPause,
            true,
            "version 2 control groups have no pause at the limit; memory high below memory max slows \
             instead",
        );
        let counted = self.reader.has_pressure();
        let reason = "the kernel does not count pressure (boot option `psi=1`)";
        lack(Feature::Pressure, !counted, reason);
        missing
    }

    fn join(&self) -> Vec<PathBuf> {
        vec![self.group.file("cgroup.procs")]
    }

    fn clone_target(&self) -> Option<&Path> {
        Some(self.group.path())
    }

    fn usage(&self) -> Result<Usage, EnvironmentError> {
        let mut usage = self.reader.usage()?;
        if !self.has("memory") {
            super::add_resident(&mut usage, &self.pids()?);
        }
        Ok(usage)
    }

    fn refresh(&self, usage: &mut Usage) -> Result<(), EnvironmentError> {
        if !self.has("memory") {
            *usage = self.usage()?;
            return Ok(());
        }
        self.reader.refresh(usage)
    }

    fn pressure(&self) -> Result<Option<Pressure>, EnvironmentError> {
        self.reader.pressure()
    }

    fn pids(&self) -> Result<Vec<u32>, EnvironmentError> {
        self.group.pids()
    }

    fn freeze(&self) -> Result<(), EnvironmentError> {
        unified::freeze(&self.group)
    }

    fn thaw(&self) -> Result<(), EnvironmentError> {
        unified::thaw(&self.group)
    }

    fn kill(&self) -> Result<(), EnvironmentError> {
        unified::kill(&self.group)
    }

    fn wait_empty(&self, patience: Duration) -> Result<bool, EnvironmentError> {
        unified::wait_empty(&self.group, patience)
    }

    fn memory_events(&self) -> Result<Option<MemoryEvents>, EnvironmentError> {
        MemoryEvents::v2(&self.group)
    }

    fn set_oom_pause(&self, _pause: bool) -> Result<bool, EnvironmentError> {
        Ok(false)
    }

    fn under_oom(&self) -> Result<bool, EnvironmentError> {
        Ok(false)
    }
}
