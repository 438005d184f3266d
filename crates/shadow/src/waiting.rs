use std::time::Duration;

use foreshadow_diagnostics::Recording;
use foreshadow_environment::{Environment, Host};

/// Tells how long a shadow waited for a processor because others used it.
///
/// A shadow is of the idle class: on a busy machine most of its wall time may be waiting, which
/// says nothing of the command. The kernel counts the time in which some process of an environment
/// could run and did not (pressure stall information, "some"). Where the shadow has no more threads
/// than there are processors, others caused it; where it has more, a part of the waiting is its
/// own, and no more is counted than the processor time that others used, shared by all processors.
#[derive(Debug)]
pub(crate) struct Waiting {
    waited: Option<Duration>,
    busy: Option<Duration>,
}

impl Waiting {
    /// Starts to count.
    pub fn start(host: &Host, shadow: &Environment) -> Waiting {
        Waiting {
            waited: waited(shadow),
            busy: host.busy(),
        }
    }

    /// To be called often. The kernel's mean over the processors comes out too low where a process
    /// moved from one to another since it was last asked.
    pub fn look(&self, shadow: &Environment) {
        let _ = waited(shadow);
    }

    /// The waiting since the start; nothing where the kernel doesn't tell.
    pub fn by_others(&self, host: &Host, shadow: &Environment, recording: &Recording) -> Duration {
        let since = |before: Option<Duration>, now: Option<Duration>| {
            now.zip(before)
                .map_or(Duration::ZERO, |(now, before)| now.saturating_sub(before))
        };
        let own = Own {
            waited: since(self.waited, waited(shadow)),
            cpu: recording.cpu,
            wall: recording.wall,
            threads: recording
                .curve
                .samples()
                .iter()
                .map(|s| s.threads)
                .max()
                .unwrap_or(0),
        };
        by_others(&own, since(self.busy, host.busy()), host.cpus().as_f64())
    }
}

/// What a shadow did.
struct Own {
    waited: Duration,
    cpu: Duration,
    wall: Duration,
    threads: u32,
}

fn by_others(own: &Own, busy: Duration, cpus: f64) -> Duration {
    let waited = own.waited.min(own.wall);
    if f64::from(own.threads) <= cpus {
        return waited;
    }
    let others = busy.saturating_sub(own.cpu);
    waited.min(others.div_f64(cpus.max(1.0)))
}

fn waited(shadow: &Environment) -> Option<Duration> {
    shadow.pressure().ok().flatten().map(|p| p.cpu)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(waited: u64, cpu: u64, wall: u64, threads: u32) -> Own {
        let ms = Duration::from_millis;
        Own {
            waited: ms(waited),
            cpu: ms(cpu),
            wall: ms(wall),
            threads,
        }
    }

    #[test]
    fn one_thread_waits_for_others_only() {
        let busy = Duration::from_millis(2000);
        let waited = by_others(&own(600, 400, 1000, 1), busy, 2.0);
        assert_eq!(waited, Duration::from_millis(600));
    }

    #[test]
    fn many_threads_wait_for_each_other_too() {
        // Alone on two processors: all of the waiting is its own.
        let alone = Duration::from_millis(2000);
        assert_eq!(
            by_others(&own(1000, 2000, 1000, 8), alone, 2.0),
            Duration::ZERO
        );
        // Others had half of the machine: it would have taken half as long.
        assert_eq!(
            by_others(&own(1000, 1000, 1000, 8), alone, 2.0),
            Duration::from_millis(500)
        );
    }
}
