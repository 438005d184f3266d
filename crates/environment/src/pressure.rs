//! Pressure stall information (`Documentation/accounting/psi.rst`).

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How much of its time the machine, or a part of it, lost to waiting for one resource: the "some"
/// line, meaning that at least one task waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stall {
    /// Share of the last ten seconds, from 0 to 1.
    pub avg10: f64,
    /// Time lost since the machine started.
    pub total: Duration,
}

/// Pressure of the whole machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostPressure {
    /// Waiting for a processor.
    pub cpu: Stall,
    /// Waiting for memory.
    pub memory: Stall,
    /// Waiting for a disk.
    pub io: Stall,
}

impl HostPressure {
    /// From `cpu`, `memory` and `io` in a folder such as `/proc/pressure`; None where the kernel
    /// does not count it.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        let stall = |name: &str| some(&std::fs::read(folder.join(name)).ok()?);
        Some(HostPressure {
            cpu: stall("cpu")?,
            memory: stall("memory")?,
            io: stall("io")?,
        })
    }
}

/// The "some" line.
pub(crate) fn some(content: &[u8]) -> Option<Stall> {
    let content = std::str::from_utf8(content).ok()?;
    let line = content.lines().find(|line| line.starts_with("some "))?;
    let value = |key: &str| {
        line.split(' ')
            .find_map(|field| field.strip_prefix(key)?.strip_prefix('='))
    };
    let percent: f64 = value("avg10")?.parse().ok()?;
    Some(Stall {
        avg10: percent / 100.0,
        total: Duration::from_micros(value("total")?.parse().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_some_line_is_read() {
        let stall = some(
            b"some avg10=2.50 avg60=0.88 avg300=0.47 total=5268750\n\
              full avg10=1.00 avg60=0.00 avg300=0.00 total=7\n",
        )
        .unwrap();
        assert!((stall.avg10 - 0.025).abs() < 1e-12);
        assert_eq!(stall.total, Duration::from_micros(5_268_750));
        assert_eq!(some(b""), None);
        assert_eq!(some(b"some avg10=x total=1"), None);
    }
}
