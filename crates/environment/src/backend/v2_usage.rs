//! Usage from the counters of version 2.

use std::sync::Mutex;
use std::time::Duration;

use foreshadow_quantity::Bytes;

use super::pressure_files::PressureFiles;
use crate::file::{self, Counter};
use crate::group::Group;
use crate::{EnvironmentError, Pressure, Usage};

/// The counters, kept open.
#[derive(Debug)]
pub(super) struct Reader {
    memory_stat: Option<Counter>,
    memory_peak: Option<Counter>,
    memory_events: Option<Counter>,
    cpu: Option<Counter>,
    io: Option<Counter>,
    pids: Option<Counter>,
    pressure: Option<PressureFiles>,
    buffer: Mutex<Vec<u8>>,
}

impl Reader {
    pub(super) fn open(group: &Group, memory: bool) -> Result<Self, EnvironmentError> {
        let with_memory = |name| {
            if memory {
                group.counter(name)
            } else {
                Ok(None)
            }
        };
        Ok(Reader {
            memory_stat: with_memory("memory.stat")?,
            memory_peak: with_memory("memory.peak")?,
            memory_events: with_memory("memory.events")?,
            // There even without the cpu controller.
            cpu: group.counter("cpu.stat")?,
            io: group.counter("io.stat")?,
            pids: group.counter("pids.current")?,
            pressure: PressureFiles::open(group)?,
            buffer: Mutex::new(vec![0; 8192]),
        })
    }

    pub(super) fn has_pressure(&self) -> bool {
        self.pressure.is_some()
    }

    pub(super) fn usage(&self) -> Result<Usage, EnvironmentError> {
        let mut usage = Usage::default();
        let mut buffer = self.buffer.lock().unwrap_or_else(|e| e.into_inner());
        let buffer = &mut *buffer;
        self.read_memory(&mut usage, buffer)?;
        self.read_cpu(&mut usage, buffer)?;
        if let Some(counter) = &self.memory_peak {
            usage.peak_total = Some(Bytes::new(counter.number(buffer)?));
        }
        if let Some(counter) = &self.memory_events {
            usage.oom_kills = file::keyed(counter.read(buffer)?)
                .find(|(key, _)| *key == b"oom_kill")
                .map(|(_, value)| value);
        }
        if let Some(counter) = &self.io {
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

    fn read_memory(&self, usage: &mut Usage, buffer: &mut Vec<u8>) -> Result<(), EnvironmentError> {
        let Some(counter) = &self.memory_stat else {
            return Ok(());
        };
        let stat = MemoryStat::parse(counter.read(buffer)?);
        usage.anon = stat.anon;
        usage.shmem = stat.shmem;
        usage.kernel = stat.unreclaimable_kernel();
        usage.page_cache = Some(stat.file.saturating_sub(stat.shmem));
        usage.faults = Some(stat.faults);
        usage.major_faults = Some(stat.major_faults);
        usage.refaults = Some(stat.refaults);
        usage.working_set = Some(stat.total().saturating_sub(stat.inactive_file));
        Ok(())
    }

    fn read_cpu(&self, usage: &mut Usage, buffer: &mut Vec<u8>) -> Result<(), EnvironmentError> {
        let Some(counter) = &self.cpu else {
            return Ok(());
        };
        for (key, value) in file::keyed(counter.read(buffer)?) {
            match key {
                b"usage_usec" => usage.cpu = Duration::from_micros(value),
                b"throttled_usec" => usage.throttled = Some(Duration::from_micros(value)),
                _ => {}
            }
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
}

/// What matters of `memory.stat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct MemoryStat {
    anon: Bytes,
    file: Bytes,
    shmem: Bytes,
    inactive_file: Bytes,
    /// All kernel memory; Linux 5.18 and later.
    kernel: Option<Bytes>,
    slab_reclaimable: Bytes,
    /// The parts of it that cannot be reclaimed.
    parts: Bytes,
    faults: u64,
    major_faults: u64,
    refaults: u64,
}

impl MemoryStat {
    fn parse(content: &[u8]) -> Self {
        let mut stat = MemoryStat::default();
        for (key, value) in file::keyed(content) {
            let bytes = Bytes::new(value);
            match key {
                b"anon" => stat.anon = bytes,
                b"file" => stat.file = bytes,
                b"shmem" => stat.shmem = bytes,
                b"inactive_file" => stat.inactive_file = bytes,
                b"kernel" => stat.kernel = Some(bytes),
                b"slab_reclaimable" => stat.slab_reclaimable = bytes,
                b"kernel_stack"
                | b"pagetables"
                | b"sec_pagetables"
                | b"percpu"
                | b"slab_unreclaimable" => stat.parts = stat.parts + bytes,
                b"pgfault" => stat.faults = value,
                b"pgmajfault" => stat.major_faults = value,
                // Told apart by kind since Linux 5.9.
                b"workingset_refault" | b"workingset_refault_anon" | b"workingset_refault_file" => {
                    stat.refaults += value
                }
                _ => {}
            }
        }
        stat
    }

    /// All that is charged: the sum of its parts.
    fn total(&self) -> Bytes {
        let kernel = self.kernel.unwrap_or(self.parts + self.slab_reclaimable);
        self.anon + self.file + kernel
    }

    fn unreclaimable_kernel(&self) -> Bytes {
        match self.kernel {
            Some(kernel) => kernel.saturating_sub(self.slab_reclaimable),
            None => self.parts,
        }
    }
}

/// Bytes read and written on all devices, from lines `254:0 rbytes=1 wbytes=2 rios=...`.
fn traffic(content: &[u8]) -> (Bytes, Bytes) {
    let mut read = Bytes::ZERO;
    let mut written = Bytes::ZERO;
    for field in content.split(|b| b" \n".contains(b)) {
        let value = |key: &[u8]| file::number(field.strip_prefix(key)?).map(Bytes::new);
        if let Some(value) = value(b"rbytes=") {
            read = read + value;
        } else if let Some(value) = value(b"wbytes=") {
            written = written + value;
        }
    }
    (read, written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reclaimable_slabs_are_not_needed() {
        let stat = MemoryStat::parse(
            b"anon 1000\nfile 500\nkernel 300\nkernel_stack 16\npagetables 8\nshmem 100\n\
              inactive_file 40\nslab_reclaimable 200\nslab_unreclaimable 20\npgfault 7\n\
              pgmajfault 2\nworkingset_refault_anon 1\nworkingset_refault_file 3\n",
        );
        assert_eq!(stat.unreclaimable_kernel().get(), 100);
        assert_eq!((stat.refaults, stat.faults), (4, 7));
        let older = MemoryStat::parse(b"kernel_stack 16\npagetables 8\nslab_unreclaimable 20\n");
        assert_eq!(older.unreclaimable_kernel().get(), 44);
    }

    #[test]
    fn traffic_is_added_over_devices() {
        let (read, written) = traffic(
            b"8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n254:0 rbytes=1 wbytes=2\n",
        );
        assert_eq!((read.get(), written.get()), (11, 22));
    }
}
