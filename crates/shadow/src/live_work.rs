use std::time::{Duration, Instant};

use foreshadow_environment::{Environment, Host, Pressure};
use foreshadow_quantity::Bytes;

/// Tells whether live work suffers while a shadow runs.
///
/// Processor time needs no watching: a shadow is of the idle class and takes only what nobody
/// wants. Memory and disks do: the machine's pressure stall totals, less the shadow's own, and
/// the memory still available.
#[derive(Debug)]
pub(crate) struct LiveWork<'a> {
    host: &'a Host,
    shadow: &'a Environment,
    looked: Instant,
    before: Option<(Pressure, Pressure)>,
    suffers: bool,
    least_available: Bytes,
}

/// Pressure is judged over spans of at least this length; shorter ones are noise.
const SPAN: Duration = Duration::from_millis(250);
/// Share of a span that live work may lose to memory stalls.
const MEMORY: f64 = 0.05;
/// Share of a span that live work may lose to disk stalls: higher, since a sole reader of a disk
/// waits for it most of the time without being hurt by anyone.
const DISK: f64 = 0.60;
/// Share of the machine's memory that stays available to live work.
const RESERVE: f64 = 0.04;

impl<'a> LiveWork<'a> {
    pub fn new(host: &'a Host, shadow: &'a Environment) -> Self {
        LiveWork {
            host,
            shadow,
            looked: Instant::now(),
            before: totals(host, shadow),
            suffers: false,
            least_available: host.memory_total().scale(RESERVE),
        }
    }

    /// Whether live work suffers now; a new judgement at most every 250 ms.
    pub fn suffers(&mut self) -> bool {
        let span = self.looked.elapsed();
        if span < SPAN {
            return self.suffers;
        }
        self.looked = Instant::now();
        let now = totals(self.host, self.shadow);
        let stalled = match (self.before, now) {
            (Some(before), Some(now)) => {
                let others = |of: fn(&Pressure) -> Duration| {
                    let machine = of(&now.0).saturating_sub(of(&before.0));
                    let own = of(&now.1).saturating_sub(of(&before.1));
                    machine.saturating_sub(own).as_secs_f64() / span.as_secs_f64()
                };
                others(|p| p.memory) > MEMORY || others(|p| p.io) > DISK
            }
            _ => false,
        };
        self.before = now;
        let scarce = self
            .host
            .memory_available()
            .is_ok_and(|available| available < self.least_available);
        self.suffers = stalled || scarce;
        self.suffers
    }
}

/// The machine's and the shadow's totals.
fn totals(host: &Host, shadow: &Environment) -> Option<(Pressure, Pressure)> {
    let machine = host.pressure()?;
    let machine = Pressure {
        cpu: machine.cpu.total,
        memory: machine.memory.total,
        io: machine.io.total,
    };
    let own = shadow.pressure().ok().flatten().unwrap_or_default();
    Some((machine, own))
}
