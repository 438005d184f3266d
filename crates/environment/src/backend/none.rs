//! No control groups: process tables, priorities and signals (proc(5), sched(7)).

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::{Backend, add_resident};
use crate::descent::Descent;
use crate::process_table::State;
use crate::{
    EnvironmentError, Feature, Limits, MemoryEvents, Pressure, Unsupported, Usage, Weight,
    priority, signal,
};

/// How long processes are asked to stop.
const FREEZE_PATIENCE: Duration = Duration::from_secs(5);

/// How often the process table is looked at again while waiting.
const PAUSE: Duration = Duration::from_millis(2);

/// An environment of processes known by descent and by a variable that they inherit.
#[derive(Debug)]
pub(crate) struct Processes {
    name: String,
    reason: String,
    descent: Mutex<Descent>,
}

impl Processes {
    pub(crate) fn create(name: &str, reason: &str) -> Self {
        Processes {
            name: name.to_owned(),
            reason: reason.to_owned(),
            descent: Mutex::new(Descent::new(name)),
        }
    }

    /// What is known, after a look at the process table.
    fn look(&self) -> MutexGuard<'_, Descent> {
        let mut descent = self.descent.lock().unwrap_or_else(|e| e.into_inner());
        descent.look();
        descent
    }

    /// Sends a signal to all, those born meanwhile too, until `done` holds for the whole table.
    fn signal_until(
        &self,
        number: i32,
        patience: Duration,
        done: impl Fn(State) -> bool,
    ) -> Result<bool, EnvironmentError> {
        let start = Instant::now();
        loop {
            let waiting: Vec<u32> = self
                .look()
                .alive()
                .filter(|(_, state)| !done(*state))
                .map(|(pid, _)| pid)
                .collect();
            if waiting.is_empty() {
                return Ok(true);
            }
            if start.elapsed() >= patience {
                return Ok(false);
            }
            for pid in waiting {
                if let Some(handle) = signal::open(pid) {
                    signal::send(&handle, number)
                        .map_err(EnvironmentError::system("pidfd_send_signal"))?;
                }
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// Only root, or who has RLIMIT_NICE, may take a lowered priority back.
fn refused(error: std::io::Error, old: &Limits) -> EnvironmentError {
    if error.kind() != std::io::ErrorKind::PermissionDenied {
        return EnvironmentError::system("changing the priority")(error);
    }
    let (feature, value) = if old.idle {
        (Feature::Idle, "off")
    } else {
        (Feature::CpuWeight, "more than before")
    };
    EnvironmentError::InvalidLimit {
        feature,
        value: value.into(),
        reason: "without control groups only root may raise the priority of a running process",
    }
}

/// The `nice` value with the effect of a weight: each step is a factor of 1.25 (sched(7)).
fn nice(weight: Weight) -> i32 {
    let steps = -(f64::from(weight.get()) / 100.0).ln() / 1.25_f64.ln();
    #[expect(clippy::cast_possible_truncation, reason = "between -20 and 19")]
    let nice = steps.round().clamp(-20.0, 19.0) as i32;
    nice
}

impl Backend for Processes {
    fn apply(&self, old: &Limits, new: &Limits) -> Result<(), EnvironmentError> {
        if (old.idle, old.cpu_weight) == (new.idle, new.cpu_weight) {
            return Ok(());
        }
        let (idle, nice) = self.priority(new);
        let pids: Vec<u32> = self.look().alive().map(|(pid, _)| pid).collect();
        for pid in pids {
            priority::set(pid, idle, nice.unwrap_or(0)).map_err(|error| refused(error, old))?;
        }
        Ok(())
    }

    fn unsupported(&self, limits: &Limits) -> Vec<Unsupported> {
        let mut missing = Vec::new();
        let asked = [
            (Feature::Cores, limits.cores.is_some()),
            (Feature::MemoryHigh, limits.memory_high.is_some()),
            (Feature::MemoryMax, limits.memory_max.is_some()),
            (Feature::DiskRead, limits.disk_read.is_some()),
            (Feature::DiskWrite, limits.disk_write.is_some()),
            (Feature::Pids, limits.pids.is_some()),
            (Feature::Pressure, true),
            (Feature::MemoryEvents, true),
            (Feature::OomPause, true),
        ];
        for (feature, _) in asked.into_iter().filter(|(_, asked)| *asked) {
            let reason = format!("needs control groups: {}", self.reason);
            missing.push(Unsupported::new(feature, reason));
        }
        if limits.network.is_some() {
            missing.push(Unsupported::new(Feature::Network, super::NETWORK_REASON));
        }
        if limits.cpu_weight.is_some_and(|w| w > Weight::DEFAULT) && !priority::may_raise() {
            missing.push(Unsupported::new(
                Feature::CpuWeight,
                "only root may take more than the usual share of the processors",
            ));
        }
        for (feature, reason) in [
            (
                Feature::MemoryUsage,
                "added up over processes: memory that some of them share counts for each",
            ),
            (
                Feature::Freeze,
                "by SIGSTOP, which a parent or a terminal notices",
            ),
            (
                Feature::Kill,
                "a process that lost its parent and emptied its variables is not found",
            ),
        ] {
            missing.push(Unsupported::new(feature, reason));
        }
        missing
    }

    fn join(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    fn clone_target(&self) -> Option<&Path> {
        None
    }

    fn started(&self, pid: u32) {
        let mut descent = self.descent.lock().unwrap_or_else(|e| e.into_inner());
        descent.add_root(pid);
    }

    fn priority(&self, limits: &Limits) -> (bool, Option<i32>) {
        let nice = limits.cpu_weight.map(nice);
        let nice = nice.filter(|nice| *nice >= 0 || priority::may_raise());
        (limits.idle, nice)
    }

    fn variable(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn usage(&self) -> Result<Usage, EnvironmentError> {
        let descent = self.look();
        let counted = descent.counted();
        let mut usage = Usage {
            cpu: counted.cpu,
            faults: Some(counted.faults),
            major_faults: Some(counted.major_faults),
            disk_read: Some(counted.io.disk_read),
            disk_written: Some(counted.io.disk_written),
            pids: Some(descent.threads()),
            ..Usage::default()
        };
        let pids: Vec<u32> = descent.alive().map(|(pid, _)| pid).collect();
        drop(descent);
        add_resident(&mut usage, &pids);
        Ok(usage)
    }

    fn refresh(&self, usage: &mut Usage) -> Result<(), EnvironmentError> {
        *usage = self.usage()?;
        Ok(())
    }

    fn pressure(&self) -> Result<Option<Pressure>, EnvironmentError> {
        Ok(None)
    }

    fn pids(&self) -> Result<Vec<u32>, EnvironmentError> {
        Ok(self.look().alive().map(|(pid, _)| pid).collect())
    }

    fn freeze(&self) -> Result<(), EnvironmentError> {
        let stopped = |state| state == State::Stopped;
        if self.signal_until(libc::SIGSTOP, FREEZE_PATIENCE, stopped)? {
            Ok(())
        } else {
            Err(EnvironmentError::NotFrozen {
                name: self.name.clone(),
                seconds: FREEZE_PATIENCE.as_secs(),
            })
        }
    }

    fn thaw(&self) -> Result<(), EnvironmentError> {
        let going = |state| state != State::Stopped;
        self.signal_until(libc::SIGCONT, FREEZE_PATIENCE, going)?;
        Ok(())
    }

    fn kill(&self) -> Result<(), EnvironmentError> {
        self.signal_until(libc::SIGKILL, Duration::from_secs(1), |_| false)?;
        Ok(())
    }

    fn wait_empty(&self, patience: Duration) -> Result<bool, EnvironmentError> {
        let start = Instant::now();
        loop {
            if self.look().alive().next().is_none() {
                return Ok(true);
            }
            let left = patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(false);
            }
            std::thread::sleep(left.min(PAUSE));
        }
    }

    fn memory_events(&self) -> Result<Option<MemoryEvents>, EnvironmentError> {
        Ok(None)
    }

    fn set_oom_pause(&self, _pause: bool) -> Result<bool, EnvironmentError> {
        Ok(false)
    }

    fn under_oom(&self) -> Result<bool, EnvironmentError> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_as_nice_values() {
        assert_eq!(nice(Weight::DEFAULT), 0);
        assert_eq!(nice(Weight::new(1).unwrap()), 19);
        assert_eq!(nice(Weight::MAX), -20);
        assert_eq!(nice(Weight::new(80).unwrap()), 1);
    }
}
