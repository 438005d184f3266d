//! Pressure of one group of the v2 tree.

use crate::file::{self, Counter};
use crate::group::Group;
use crate::pressure::some;
use crate::{EnvironmentError, Pressure};

/// The three files, kept open.
#[derive(Debug)]
pub(super) struct PressureFiles {
    cpu: Counter,
    memory: Counter,
    io: Counter,
}

impl PressureFiles {
    /// None where the kernel does not count pressure.
    pub(super) fn open(group: &Group) -> Result<Option<Self>, EnvironmentError> {
        let cpu = group.counter("cpu.pressure")?;
        let memory = group.counter("memory.pressure")?;
        let io = group.counter("io.pressure")?;
        let (Some(cpu), Some(memory), Some(io)) = (cpu, memory, io) else {
            return Ok(None);
        };
        // With `psi=0` the files may be there, but reading them gives EOPNOTSUPP.
        Ok(cpu
            .read(&mut Vec::new())
            .is_ok()
            .then_some(PressureFiles { cpu, memory, io }))
    }

    pub(super) fn read(&self, buffer: &mut Vec<u8>) -> Result<Pressure, EnvironmentError> {
        let mut total = |counter: &Counter| {
            let content = counter.read(buffer)?;
            some(content)
                .map(|stall| stall.total)
                .ok_or_else(|| file::parse_error(counter.path(), "a line \"some\"", content))
        };
        Ok(Pressure {
            cpu: total(&self.cpu)?,
            memory: total(&self.memory)?,
            io: total(&self.io)?,
        })
    }
}
