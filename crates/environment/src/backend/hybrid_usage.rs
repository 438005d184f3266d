//! Usage from the counters of version 1.

use std::sync::Mutex;
use std::time::Duration;

use foreshadow_quantity::Bytes;

use super::hybrid::Groups;
use super::pressure_files::PressureFiles;
use crate::file::{self, Counter};
use crate::group::Group;
use crate::{EnvironmentError, Pressure, Usage};

/// The counters, kept open.
///
/// What they leave out: `memory.kmem.usage_in_bytes` does not tell reclaimable memory of the kernel from
/// other (see `kernel_memory`). Pages written back by the kernel later count for no group, so that
/// [`Usage::disk_written`] is a lower bound.
#[derive(Debug)]
pub(super) struct Reader {
    memory_stat: Option<Counter>,
    memory_peak: Option<Counter>,
    kernel_memory: Option<Counter>,
    oom_control: Option<Counter>,
    cpu: Option<Cpu>,
    cpu_stat: Option<Counter>,
    disk: Option<Counter>,
    pids: Option<Counter>,
    pressure: Option<PressureFiles>,
    buffer: Mutex<Vec<u8>>,
}

/// Where CPU time is counted.
#[derive(Debug)]
enum Cpu {
    /// In nanoseconds, alone in its file.
    Acct(Counter),
    /// The line `usage_usec` of the v2 group.
    Unified(Counter),
}

impl Reader {
    pub(super) fn open(groups: &Groups) -> Result<Self, EnvironmentError> {
        let memory = groups.memory.as_deref();
        let acct = open(groups.cpuacct.as_deref(), "cpuacct.usage")?.map(Cpu::Acct);
        let unified = groups.unified.as_deref();
        let blkio = groups.blkio.as_deref();
        Ok(Reader {
            memory_stat: open(memory, "memory.stat")?,
            memory_peak: open(memory, "memory.max_usage_in_bytes")?,
            kernel_memory: open(memory, "memory.kmem.usage_in_bytes")?,
            oom_control: open(memory, "memory.oom_control")?,
            cpu: match acct {
                Some(acct) => Some(acct),
                None => open(unified, "cpu.stat")?.map(Cpu::Unified),
            },
            cpu_stat: open(groups.cpu.as_deref(), "cpu.stat")?,
            disk: match open(blkio, "blkio.throttle.io_service_bytes_recursive")? {
                Some(counter) => Some(counter),
                None => open(blkio, "blkio.throttle.io_service_bytes")?,
            },
            pids: open(groups.pids.as_deref(), "pids.current")?,
            pressure: match unified {
                Some(group) => PressureFiles::open(group)?,
                None => None,
            },
            buffer: Mutex::new(vec![0; 8192]),
        })
    }

    pub(super) fn usage(&self) -> Result<Usage, EnvironmentError> {
        let mut usage = Usage::default();
        let mut buffer = self.buffer.lock().unwrap_or_else(|e| e.into_inner());
        let buffer = &mut *buffer;
        if let Some(counter) = &self.kernel_memory {
            usage.kernel = Bytes::new(counter.number(buffer)?);
        }
        self.read_memory(&mut usage, buffer)?;
        self.read_cpu(&mut usage, buffer)?;
        if let Some(counter) = &self.memory_peak {
            usage.peak_total = Some(Bytes::new(counter.number(buffer)?));
        }
        if let Some(counter) = &self.oom_control {
            usage.oom_kills = value_of(counter, b"oom_kill", buffer)?;
        }
        if let Some(counter) = &self.cpu_stat {
            let nanos = value_of(counter, b"throttled_time", buffer)?;
            usage.throttled = nanos.map(Duration::from_nanos);
        }
        if let Some(counter) = &self.disk {
            let (read, written) = traffic(counter.read(buffer)?);
            usage.disk_read = Some(read);
            usage.disk_written = Some(written);
        }
        if let Some(counter) = &self.pids {
            usage.pids = Some(counter.number(buffer)?);
        }
        Ok(usage)
    }

    /// Reads again what changes fast. Where nothing ran since, no memory was touched either.
    pub(super) fn refresh(&self, usage: &mut Usage) -> Result<(), EnvironmentError> {
        let mut buffer = self.buffer.lock().unwrap_or_else(|e| e.into_inner());
        let before = usage.cpu;
        self.read_cpu(usage, &mut buffer)?;
        if usage.cpu == before && self.cpu.is_some() {
            return Ok(());
        }
        self.read_memory(usage, &mut buffer)
    }

    /// What `memory.stat` tells; needs [`Usage::kernel`] for the working set.
    fn read_memory(&self, usage: &mut Usage, buffer: &mut Vec<u8>) -> Result<(), EnvironmentError> {
        let Some(counter) = &self.memory_stat else {
            return Ok(());
        };
        let mut inactive_file = Bytes::ZERO;
        let mut cache = Bytes::ZERO;
        let mut refaults = None;
        for (key, value) in file::keyed(counter.read(buffer)?) {
            match key {
                b"total_rss" => usage.anon = Bytes::new(value),
                b"total_shmem" => usage.shmem = Bytes::new(value),
                b"total_cache" => cache = Bytes::new(value),
                b"total_inactive_file" => inactive_file = Bytes::new(value),
                b"total_pgfault" => usage.faults = Some(value),
                b"total_pgmajfault" => usage.major_faults = Some(value),
                b"total_workingset_refault_anon" | b"total_workingset_refault_file" => {
                    refaults = Some(refaults.unwrap_or(0) + value);
                }
                _ => {}
            }
        }
        usage.refaults = refaults;
        // Version 1 counts shared memory as cache too.
        usage.page_cache = Some(cache.saturating_sub(usage.shmem));
        // The total is the sum of its parts, which are read already.
        let total = usage.anon + cache + usage.kernel;
        usage.working_set = Some(total.saturating_sub(inactive_file));
        Ok(())
    }

    fn read_cpu(&self, usage: &mut Usage, buffer: &mut Vec<u8>) -> Result<(), EnvironmentError> {
        match &self.cpu {
            Some(Cpu::Acct(counter)) => {
                usage.cpu = Duration::from_nanos(counter.number(buffer)?);
            }
            Some(Cpu::Unified(counter)) => {
                let micros = value_of(counter, b"usage_usec", buffer)?;
                usage.cpu = Duration::from_micros(micros.unwrap_or(0));
            }
            None => {}
        }
        Ok(())
    }

    pub(super) fn pressure(&self) -> Result<Option<Pressure>, EnvironmentError> {
        let mut buffer = self.buffer.lock().unwrap_or_else(|e| e.into_inner());
        self.pressure
            .as_ref()
            .map(|files| files.read(&mut buffer))
            .transpose()
    }

    pub(super) fn under_oom(&self) -> Result<bool, EnvironmentError> {
        let mut buffer = self.buffer.lock().unwrap_or_else(|e| e.into_inner());
        match &self.oom_control {
            Some(counter) => Ok(value_of(counter, b"under_oom", &mut buffer)? == Some(1)),
            None => Ok(false),
        }
    }
}

/// A counter of a group, where there are both.
fn open(group: Option<&Group>, name: &str) -> Result<Option<Counter>, EnvironmentError> {
    group.map_or(Ok(None), |group| group.counter(name))
}

/// The value of a key in a flat keyed file.
fn value_of(
    counter: &Counter,
    key: &[u8],
    buffer: &mut Vec<u8>,
) -> Result<Option<u64>, EnvironmentError> {
    let content = counter.read(buffer)?;
    Ok(file::keyed(content)
        .find(|(k, _)| *k == key)
        .map(|(_, value)| value))
}

/// Bytes read and written on all devices, from lines `254:0 Read 4096`.
fn traffic(content: &[u8]) -> (Bytes, Bytes) {
    let mut read = Bytes::ZERO;
    let mut written = Bytes::ZERO;
    for line in content.split(|b| *b == b'\n') {
        let mut fields = line.split(|b| *b == b' ').skip(1);
        let (Some(operation), Some(value)) = (fields.next(), fields.next()) else {
            continue;
        };
        let value = Bytes::new(file::number(value).unwrap_or(0));
        match operation {
            b"Read" => read = read + value,
            b"Write" => written = written + value,
            _ => {}
        }
    }
    (read, written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_added_over_devices() {
        let (read, written) = traffic(
            b"254:0 Read 4096\n254:0 Write 8192\n254:0 Sync 12288\n254:0 Total 12288\n\
              8:0 Read 1\n8:0 Write 2\nTotal 12291\n",
        );
        assert_eq!((read.get(), written.get()), (4097, 8194));
        assert_eq!(traffic(b"Total 0\n"), (Bytes::ZERO, Bytes::ZERO));
    }
}
