//! The machine, as far as environments depend on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use foreshadow_quantity::{Bytes, Cores};

use crate::layout::Layout;
use crate::placement::{BackendKind, Placement};
use crate::{EnvironmentError, Finding, HostPressure, file, findings};

/// What this machine offers, found out once; copies share it.
#[derive(Clone, Debug)]
pub struct Host {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    layout: Layout,
    placement: Placement,
}

impl Host {
    /// Looks at the machine. Changes nothing, and never fails: where it cannot look, there is nothing
    /// to use, and [`Host::findings`] says why.
    pub fn detect() -> Host {
        let layout = Layout::read().unwrap_or_default();
        let placement = Placement::find(&layout);
        Host {
            inner: Arc::new(Inner { layout, placement }),
        }
    }

    /// A machine on which no control groups may be used, as an unprivileged user of many machines
    /// finds it: what is left are process tables, priorities and signals.
    pub fn without_control_groups() -> Host {
        Host {
            inner: Arc::new(Inner {
                layout: Layout::default(),
                placement: Placement::None("control groups are not to be used".into()),
            }),
        }
    }

    /// The mechanism that environments rest on here.
    pub fn backend(&self) -> BackendKind {
        self.inner.placement.kind()
    }

    pub(crate) fn placement(&self) -> &Placement {
        &self.inner.placement
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.inner.layout
    }

    /// The processors this process may run on.
    pub fn cpus(&self) -> Cores {
        let n = std::thread::available_parallelism().map_or(1, |n| n.get());
        Cores::whole(n as u64)
    }

    /// All memory that environments may share: the machine's, or less where a control group above
    /// ours limits it. 0 where the machine does not tell.
    pub fn memory_total(&self) -> Bytes {
        let total = meminfo("MemTotal:").unwrap_or(Bytes::ZERO);
        self.limits_above()
            .map(|(limit, _)| limit)
            .fold(total, Bytes::min)
    }

    /// Memory that could be used without swapping, page cache that can be dropped included.
    ///
    /// # Errors
    /// Where `/proc/meminfo` does not tell.
    pub fn memory_available(&self) -> Result<Bytes, EnvironmentError> {
        let path = Path::new("/proc/meminfo");
        let available = meminfo("MemAvailable:").ok_or_else(|| {
            file::parse_error(
                path,
                "MemAvailable",
                &std::fs::read(path).unwrap_or_default(),
            )
        })?;
        Ok(self
            .limits_above()
            .map(|(limit, used)| limit.saturating_sub(used))
            .fold(available, Bytes::min))
    }

    /// How much the machine as a whole is waiting; None where the kernel does not count it.
    pub fn pressure(&self) -> Option<HostPressure> {
        HostPressure::read(Path::new("/proc/pressure"))
    }

    /// Processor time used by anybody since the machine started, all processors together, in steps
    /// of a clock tick; `None` where the kernel doesn't tell (`proc_stat(5)`: all but the idle
    /// fields).
    pub fn busy(&self) -> Option<Duration> {
        busy(&std::fs::read_to_string("/proc/stat").ok()?)
    }

    /// How many processes the kernel has killed for want of memory since the machine started;
    /// `None` where it doesn't count them.
    pub fn oom_kills(&self) -> Option<u64> {
        let counters = std::fs::read_to_string("/proc/vmstat").ok()?;
        counters
            .lines()
            .find_map(|line| line.strip_prefix("oom_kill "))?
            .trim()
            .parse()
            .ok()
    }

    /// What this machine offers and lacks, and the commands that mend it.
    pub fn findings(&self) -> Vec<Finding> {
        findings::all(self)
    }

    /// The memory limits of the groups above those we make, each with what is in use below it and
    /// cannot be dropped.
    fn limits_above(&self) -> impl Iterator<Item = (Bytes, Bytes)> {
        let (parent, limit, used, inactive) = match &self.inner.placement {
            Placement::V2(place) => (
                Some(place.parent.clone()),
                "memory.max",
                "memory.current",
                &b"inactive_file"[..],
            ),
            Placement::Hybrid(place) => (
                place.memory.clone(),
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                &b"total_inactive_file"[..],
            ),
            Placement::None(_) => (None, "", "", &b""[..]),
        };
        let groups: Vec<PathBuf> = parent
            .iter()
            .flat_map(|p| p.ancestors())
            .take_while(|folder| folder.join("cgroup.procs").exists())
            .map(Path::to_owned)
            .collect();
        groups.into_iter().filter_map(move |folder| {
            let limit = file::read_number(&folder.join(limit)).ok()?;
            let used = file::read_number(&folder.join(used)).ok()?;
            let stat = std::fs::read(folder.join("memory.stat")).unwrap_or_default();
            let cache = file::keyed(&stat).find(|(key, _)| *key == inactive);
            let used = used.saturating_sub(cache.map_or(0, |(_, n)| n));
            Some((Bytes::new(limit), Bytes::new(used)))
        })
    }
}

/// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal, and two
/// that are parts of the first ones. Other guests' share of the processors (steal) is busy too.
fn busy(stat: &str) -> Option<Duration> {
    let fields: Vec<u64> = stat
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_whitespace()
        .map_while(|field| field.parse().ok())
        .collect();
    let ticks: u64 = [0, 1, 2, 5, 6, 7]
        .iter()
        .filter_map(|&n| fields.get(n))
        .sum();
    let rate = rustix::param::clock_ticks_per_second().max(1);
    Some(Duration::from_millis(ticks.saturating_mul(1000) / rate))
}

/// A line of `/proc/meminfo`.
fn meminfo(key: &str) -> Option<Bytes> {
    let content = std::fs::read("/proc/meminfo").ok()?;
    content
        .split(|b| *b == b'\n')
        .find_map(|line| line.strip_prefix(key.as_bytes()))
        .and_then(file::number)
        .map(Bytes::kib)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_of_all_is_read() {
        let rate = rustix::param::clock_ticks_per_second();
        let stat = format!("cpu  {rate} 0 {rate} 77 77 0 0 {rate} 5 5\ncpu0 1 1\n");
        assert_eq!(busy(&stat), Some(Duration::from_secs(3)));
        assert_eq!(busy("intr 5"), None);
        assert!(Host::detect().busy().is_some_and(|b| b > Duration::ZERO));
    }

    #[test]
    fn this_machine_has_processors_and_memory() {
        for host in [Host::detect(), Host::without_control_groups()] {
            assert!(host.cpus() >= Cores::whole(1));
            assert!(host.memory_total() > Bytes::mib(16));
            assert!(host.memory_available().unwrap() <= host.memory_total());
        }
        let host = Host::without_control_groups();
        assert_eq!(host.backend(), BackendKind::None);
    }
}
