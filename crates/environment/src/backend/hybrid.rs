//! Control groups of version 1 (`Documentation/admin-guide/cgroup-v1/`), with a group of the v2 tree
//! beside them for pressure, freezing and killing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foreshadow_quantity::{Bytes, Rate};

use super::hybrid_usage::Reader;
use super::{Backend, kernel_memory, quota, unified};
use crate::group::{self, Group};
use crate::placement::HybridPlace;
use crate::{
    EnvironmentError, Feature, Limits, MemoryEvents, Pressure, Unsupported, Usage, Weight, disks,
    file, signal,
};

/// How long the v1 freezer is waited for.
const FREEZE_PATIENCE: Duration = Duration::from_secs(10);

/// The groups of one environment, by controller; co-mounted controllers share one.
#[derive(Debug, Default)]
pub(super) struct Groups {
    pub(super) unified: Option<Arc<Group>>,
    pub(super) cpu: Option<Arc<Group>>,
    pub(super) cpuacct: Option<Arc<Group>>,
    pub(super) memory: Option<Arc<Group>>,
    pub(super) blkio: Option<Arc<Group>>,
    pub(super) pids: Option<Arc<Group>>,
    /// Only where the v2 tree cannot freeze.
    pub(super) freezer: Option<Arc<Group>>,
}

impl Groups {
    fn create(place: &HybridPlace, name: &str) -> Result<Self, EnvironmentError> {
        let mut made: Vec<Arc<Group>> = Vec::new();
        let mut make = |parent: Option<&PathBuf>| -> Result<_, EnvironmentError> {
            let Some(parent) = parent else {
                return Ok(None);
            };
            let path = parent.join(name);
            if let Some(group) = made.iter().find(|group| group.path() == path) {
                return Ok(Some(Arc::clone(group)));
            }
            let group = Arc::new(Group::create(parent, name)?);
            made.push(Arc::clone(&group));
            Ok(Some(group))
        };
        let unified = make(place.unified.as_ref())?;
        let freezes = unified.as_ref().is_some_and(|g| g.has("cgroup.freeze"));
        let freezer = place.freezer.as_ref().filter(|_| !freezes);
        Ok(Groups {
            cpu: make(place.cpu.as_ref())?,
            cpuacct: make(place.cpuacct.as_ref())?,
            memory: make(place.memory.as_ref())?,
            blkio: make(place.blkio.as_ref())?,
            pids: make(place.pids.as_ref())?,
            freezer: make(freezer)?,
            unified,
        })
    }

    /// Each once; the v2 one first, so that a process is never in a v1 group without being where
    /// `cgroup.kill` reaches it.
    fn all(&self) -> Vec<&Group> {
        let mut all: Vec<&Group> = Vec::new();
        for group in [
            &self.unified,
            &self.cpu,
            &self.cpuacct,
            &self.memory,
            &self.blkio,
            &self.pids,
            &self.freezer,
        ]
        .into_iter()
        .flatten()
        {
            if !all.iter().any(|known| known.path() == group.path()) {
                all.push(group);
            }
        }
        all
    }
}

/// An environment on version 1.
#[derive(Debug)]
pub(crate) struct Hybrid {
    groups: Groups,
    reader: Reader,
    disks: Vec<disks::Device>,
}

impl Hybrid {
    pub(crate) fn create(place: &HybridPlace, name: &str) -> Result<Self, EnvironmentError> {
        let groups = Groups::create(place, name)?;
        let disks = disks::mounted();
        let hybrid = Hybrid {
            reader: Reader::open(&groups)?,
            groups,
            disks,
        };
        // Newer kernels count traffic only once a rule was written, be it "no limit" (0). Where the
        // kernel refuses for some device, its traffic is not counted, and nothing else is lost.
        if let Some(blkio) = &hybrid.groups.blkio {
            for disk in &hybrid.disks {
                let _ = blkio.write(READ_BPS, &format!("{disk} 0"));
            }
        }
        Ok(hybrid)
    }

    fn apply_cpu(&self, old: &Limits, new: &Limits) -> Result<(), EnvironmentError> {
        let Some(cpu) = &self.groups.cpu else {
            return Ok(());
        };
        if old.cores != new.cores && cpu.has("cpu.cfs_quota_us") {
            match new.cores {
                Some(cores) => {
                    let (quota, period) = quota::quota(cores)?;
                    cpu.write("cpu.cfs_period_us", &period.to_string())?;
                    cpu.write("cpu.cfs_quota_us", &quota.to_string())?;
                }
                None => cpu.write("cpu.cfs_quota_us", "-1")?,
            }
        }
        if old.idle != new.idle && cpu.has("cpu.idle") {
            cpu.write("cpu.idle", if new.idle { "1" } else { "0" })?;
        }
        // An idle group takes no share, and gets the default one when it is idle no more.
        if !new.idle && (old.cpu_weight != new.cpu_weight || old.idle) {
            let weight = new.cpu_weight.unwrap_or(Weight::DEFAULT);
            // 1024 is the default here, as 100 is of weights.
            let shares = (u64::from(weight.get()) * 1024 / 100).max(2);
            cpu.write("cpu.shares", &shares.to_string())?;
        }
        Ok(())
    }

    fn apply_memory(&self, old: Option<Bytes>, new: Option<Bytes>) -> Result<(), EnvironmentError> {
        let Some(memory) = self.groups.memory.as_ref().filter(|_| old != new) else {
            return Ok(());
        };
        // Memory and swap together are held to the same limit, so that the limit is one on what is
        // used and not on where it lies; that limit may never be below the other.
        let with_swap = memory.has(LIMIT_WITH_SWAP);
        let Some(new) = new else {
            if with_swap {
                memory.write(LIMIT_WITH_SWAP, "-1")?;
            }
            return memory.write(LIMIT, "-1");
        };
        let value = new.get().to_string();
        if old.is_some_and(|old| new > old) {
            if with_swap {
                memory.write(LIMIT_WITH_SWAP, &value)?;
            }
            return memory.write(LIMIT, &value);
        }
        memory
            .write(LIMIT, &value)
            .map_err(|error| below_use(memory, new, error))?;
        if with_swap && let Err(error) = memory.write(LIMIT_WITH_SWAP, &value) {
            let before = old.map_or_else(|| "-1".to_owned(), |old| old.get().to_string());
            memory.write(LIMIT, &before)?;
            return Err(below_use(memory, new, error));
        }
        Ok(())
    }

    fn apply_disk(
        &self,
        name: &str,
        old: Option<Rate>,
        new: Option<Rate>,
    ) -> Result<(), EnvironmentError> {
        let Some(blkio) = self.groups.blkio.as_ref().filter(|_| old != new) else {
            return Ok(());
        };
        for disk in &self.disks {
            // 0 means no limit to the kernel: the smallest rate is one byte.
            let rate = new.map_or(0, |rate| rate.bytes().get().max(1));
            let written = blkio.write(name, &format!("{disk} {rate}"));
            super::unless_gone(written)?;
        }
        Ok(())
    }

    /// Kills one by one, for kernels without `cgroup.kill`: stopped first, so that none can fork on.
    fn kill_stopped(&self) -> Result<(), EnvironmentError> {
        let frozen = self.freeze();
        for pid in self.pids()? {
            if let Some(handle) = signal::open(pid) {
                let _ = signal::send(&handle, libc::SIGKILL);
            }
        }
        self.thaw()?;
        if frozen.is_err() {
            for group in self.groups.all() {
                group::kill_each(group.path(), Duration::from_millis(100));
            }
        }
        Ok(())
    }
}

const LIMIT: &str = "memory.limit_in_bytes";
const LIMIT_WITH_SWAP: &str = "memory.memsw.limit_in_bytes";
const READ_BPS: &str = "blkio.throttle.read_bps_device";
const WRITE_BPS: &str = "blkio.throttle.write_bps_device";

/// EBUSY means that not enough could be reclaimed.
fn below_use(memory: &Group, wanted: Bytes, error: EnvironmentError) -> EnvironmentError {
    match &error {
        EnvironmentError::Write { source, .. } if source.raw_os_error() == Some(libc::EBUSY) => {
            match file::read_number(&memory.file("memory.usage_in_bytes")) {
                Ok(used) => EnvironmentError::BelowUse {
                    wanted,
                    used: Bytes::new(used),
                },
                Err(_) => error,
            }
        }
        _ => error,
    }
}

impl Backend for Hybrid {
    fn apply(&self, old: &Limits, new: &Limits) -> Result<(), EnvironmentError> {
        // Memory first: it is the one that can be refused.
        self.apply_memory(old.memory_max, new.memory_max)?;
        self.apply_cpu(old, new)?;
        self.apply_disk(READ_BPS, old.disk_read, new.disk_read)?;
        self.apply_disk(WRITE_BPS, old.disk_write, new.disk_write)?;
        if let Some(pids) = self.groups.pids.as_ref().filter(|_| old.pids != new.pids) {
            let value = new.pids.map_or_else(|| "max".into(), |n| n.to_string());
            pids.write("pids.max", &value)?;
        }
        Ok(())
    }

    fn unsupported(&self, limits: &Limits) -> Vec<Unsupported> {
        let mut missing = Vec::new();
        let mut lack = |feature, asked: bool, reason: String| {
            if asked {
                missing.push(Unsupported::new(feature, reason));
            }
        };
        let groups = &self.groups;
        let no = |controller: &str| {
            format!("no `{controller}` control group (version 1) that this user may use")
        };
        match &groups.cpu {
            None => {
                lack(Feature::Cores, limits.cores.is_some(), no("cpu"));
                lack(Feature::CpuWeight, limits.cpu_weight.is_some(), no("cpu"));
                lack(Feature::Idle, limits.idle, no("cpu"));
            }
            Some(cpu) => {
                lack(
                    Feature::Cores,
                    limits.cores.is_some() && !cpu.has("cpu.cfs_quota_us"),
                    "this kernel has no processor quotas (CONFIG_CFS_BANDWIDTH)".into(),
                );
                lack(
                    Feature::Idle,
                    limits.idle && !cpu.has("cpu.idle"),
                    "this kernel has no `cpu.idle` (Linux 5.15 or later has)".into(),
                );
            }
        }
        lack(
            Feature::MemoryHigh,
            limits.memory_high.is_some(),
            "version 1 control groups have no limit that slows before it kills".into(),
        );
        if groups.memory.is_none() {
            let asked = limits.memory_max.is_some();
            lack(Feature::MemoryMax, asked, no("memory"));
            lack(Feature::MemoryUsage, true, no("memory"));
            lack(Feature::MemoryEvents, true, no("memory"));
            lack(Feature::OomPause, true, no("memory"));
        }
        let disks = if groups.blkio.is_none() {
            Some(no("blkio"))
        } else if self.disks.is_empty() {
            Some("no disk is behind the mounted file systems".into())
        } else {
            None
        };
        if let Some(reason) = disks {
            let (read, write) = (limits.disk_read.is_some(), limits.disk_write.is_some());
            lack(Feature::DiskRead, read, reason.clone());
            lack(Feature::DiskWrite, write, reason.clone());
            lack(Feature::DiskUsage, true, reason);
        } else {
            lack(
                Feature::DiskWrite,
                limits.disk_write.is_some(),
                "version 1 control groups slow only writes that the program itself flushes \
                 (fsync, O_DIRECT), not those that the kernel writes back later"
                    .into(),
            );
        }
        if groups.pids.is_none() {
            lack(Feature::Pids, limits.pids.is_some(), no("pids"));
        }
        lack(
            Feature::Network,
            limits.network.is_some(),
            super::NETWORK_REASON.into(),
        );
        match &groups.unified {
            None => {
                let reason = "no cgroup2 tree is mounted beside version 1";
                lack(Feature::Pressure, true, reason.into());
                if groups.freezer.is_none() {
                    lack(Feature::Freeze, true, no("freezer"));
                }
            }
            Some(group) => {
                let reason = "the kernel does not count pressure (boot option `psi=1`)";
                lack(Feature::Pressure, !group.has("cpu.pressure"), reason.into());
            }
        }
        missing
    }

    fn join(&self) -> Vec<PathBuf> {
        // A new process has one thread. Of that, the kernel lets a thread put itself into `tasks`
        // without the lock over all processes that `cgroup.procs` takes, which costs some 10 ms.
        let file = |group: &&Group| {
            let v1 = group.has("tasks");
            group.file(if v1 { "tasks" } else { "cgroup.procs" })
        };
        self.groups.all().iter().map(file).collect()
    }

    fn clone_target(&self) -> Option<&Path> {
        self.groups.unified.as_ref().map(|group| group.path())
    }

    fn usage(&self) -> Result<Usage, EnvironmentError> {
        let mut usage = self.reader.usage()?;
        if self.groups.memory.is_none() {
            super::add_resident(&mut usage, &self.pids()?);
        } else if kernel_memory::is_doubtful(&usage) {
            let pids = self.pids()?;
            usage.kernel = usage.kernel.min(kernel_memory::needed(&pids));
        }
        Ok(usage)
    }

    fn refresh(&self, usage: &mut Usage) -> Result<(), EnvironmentError> {
        if self.groups.memory.is_none() {
            *usage = self.usage()?;
            return Ok(());
        }
        self.reader.refresh(usage)
    }

    fn pressure(&self) -> Result<Option<Pressure>, EnvironmentError> {
        self.reader.pressure()
    }

    fn pids(&self) -> Result<Vec<u32>, EnvironmentError> {
        match self.groups.all().first() {
            Some(group) => group.pids(),
            None => Ok(Vec::new()),
        }
    }

    fn freeze(&self) -> Result<(), EnvironmentError> {
        if let Some(freezer) = &self.groups.freezer {
            return freeze_v1(freezer);
        }
        match &self.groups.unified {
            Some(group) => unified::freeze(group),
            None => Ok(()),
        }
    }

    fn thaw(&self) -> Result<(), EnvironmentError> {
        if let Some(freezer) = &self.groups.freezer {
            return freezer.write("freezer.state", "THAWED");
        }
        match &self.groups.unified {
            Some(group) => unified::thaw(group),
            None => Ok(()),
        }
    }

    fn kill(&self) -> Result<(), EnvironmentError> {
        if let Some(group) = &self.groups.unified
            && group.has("cgroup.kill")
        {
            return unified::kill(group);
        }
        self.kill_stopped()
    }

    fn wait_empty(&self, patience: Duration) -> Result<bool, EnvironmentError> {
        if let Some(group) = &self.groups.unified {
            return unified::wait_empty(group, patience);
        }
        let start = Instant::now();
        let mut pause = Duration::from_micros(500);
        while !self.pids()?.is_empty() {
            if start.elapsed() >= patience {
                return Ok(false);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
        Ok(true)
    }

    fn memory_events(&self) -> Result<Option<MemoryEvents>, EnvironmentError> {
        let memory = self.groups.memory.as_ref();
        memory.map(|group| MemoryEvents::v1(group)).transpose()
    }

    fn set_oom_pause(&self, pause: bool) -> Result<bool, EnvironmentError> {
        let Some(memory) = &self.groups.memory else {
            return Ok(false);
        };
        memory.write("memory.oom_control", if pause { "1" } else { "0" })?;
        Ok(true)
    }

    fn under_oom(&self) -> Result<bool, EnvironmentError> {
        self.reader.under_oom()
    }
}

fn freeze_v1(freezer: &Group) -> Result<(), EnvironmentError> {
    let start = Instant::now();
    loop {
        // Written again and again: a process that forks while it is being frozen needs that.
        freezer.write("freezer.state", "FROZEN")?;
        let state = file::read(&freezer.file("freezer.state"))?;
        if state.trim() == "FROZEN" {
            return Ok(());
        }
        if start.elapsed() >= FREEZE_PATIENCE {
            return Err(unified::not_frozen(freezer, FREEZE_PATIENCE));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
