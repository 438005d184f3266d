//! The ladder: which fraction of the task to run next, given what the rungs so far cost. Pure.
//!
//! A rung tells more the larger it is, and costs as much more. The first rung is tiny and finds
//! the start-up cost and the rate; the second, some times larger, shows growth; the last spends
//! what is left of the budget in one piece, since a larger rung is worth more for extrapolation
//! than several small ones. Rungs are planned by cost, not by fraction alone.

use std::time::Duration;

/// What the shadows of one prediction may use together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Share of the task's own predicted CPU time, 0.05 for 5 %.
    pub cpu_share: f64,
    /// CPU time that may be used whatever the share comes to: below it, timings are noise.
    pub cpu_floor: Duration,
    /// Wall time from the first shadow's start to the last one's end.
    pub wall: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Budget {
            cpu_share: 0.05,
            cpu_floor: Duration::from_millis(250),
            wall: Duration::from_secs(9),
        }
    }
}

/// What one rung cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RungCost {
    /// The fraction of the task that was run, above 0 and at most 1.
    pub fraction: f64,
    /// CPU time, in seconds.
    pub cpu: f64,
    /// The part of it used before any input was read, in seconds; `None` where reading could not
    /// be followed.
    pub startup: Option<f64>,
    /// Wall time, set-up of the sample included, in seconds.
    pub wall: f64,
    /// Whether it ran to its end.
    pub complete: bool,
}

/// The task as far as the ladder cares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// The size of the whole: bytes of content, or a varied number.
    pub size: f64,
    /// The smallest size worth a rung: below it there is only start-up.
    pub least: f64,
}

/// No more rungs than this, whatever is left.
const MOST_RUNGS: usize = 5;
/// The first rung is this part of the whole, unless that is less than is worth a rung.
const FIRST: f64 = 1.0 / 512.0;
/// A further rung is at least so many times larger than the largest so far, to tell something.
const LEAST_STEP: f64 = 1.5;
/// Growth from one rung to the next before the cost per size is trusted.
const CAREFUL_STEP: f64 = 4.0;
/// The second rung is this much smaller than what the budget seems to buy: the estimate from a tiny
/// first rung is rough.
const BEFORE_LAST: f64 = 5.0;
/// Growth from one rung to the next at the most.
const MOST_STEP: f64 = 16.0;
/// Start-up of this share of the budget uses it up in a few rungs.
const STARTUP_HEAVY: f64 = 0.25;
/// Three times the start-up must be less than this share of the whole, or the shadows would cost
/// nearly as much as the task.
const STARTUP_MOST: f64 = 0.35;
/// The share of the budget that is planned for: the next rung's cost is only an estimate.
const PLANNED: f64 = 0.92;

/// The fraction to run next, or `None` where more would tell too little for what it costs.
pub fn next_fraction(budget: &Budget, scale: Scale, rungs: &[RungCost]) -> Option<f64> {
    if rungs.len() >= MOST_RUNGS || scale.size.is_nan() || scale.size <= 0.0 {
        return None;
    }
    let least = (scale.least / scale.size).min(1.0);
    let wall_used: f64 = rungs.iter().map(|r| r.wall).sum();
    let wall_left = budget.wall.as_secs_f64() - wall_used;
    if wall_left <= 0.05 {
        return None;
    }
    let Some(largest) = rungs
        .iter()
        .filter(|r| r.complete)
        .max_by(|a, b| a.fraction.total_cmp(&b.fraction))
    else {
        return first_fraction(least, rungs);
    };
    if largest.fraction >= 1.0 {
        return None;
    }
    // A rung that was cut short shows that growth is steeper than it seemed: one between the two
    // tells how steep.
    let mut cut = rungs.iter().filter(|r| !r.complete);
    if let (Some(cut), None) = (cut.next(), cut.next())
        && rungs.last().is_some_and(|r| !r.complete)
        && cut.fraction > largest.fraction * LEAST_STEP
    {
        return Some((largest.fraction * cut.fraction).sqrt());
    }
    let line = Growth::through(rungs, largest);
    let whole = line.at(1.0);
    let cpu_used: f64 = rungs.iter().map(|r| r.cpu).sum();
    let allowed = (budget.cpu_share * whole).max(budget.cpu_floor.as_secs_f64());
    let complete = rungs.iter().filter(|r| r.complete).count();
    // Start-up is paid for each rung anew. Where it uses up the budget by itself, one larger rung
    // is worth more than to have spent all that on nothing.
    let worth_it = 3.0 * line.startup < STARTUP_MOST * whole;
    let for_startup = if line.startup > STARTUP_HEAVY * allowed && complete < 3 && worth_it {
        line.startup + 0.8 * budget.cpu_share * whole
    } else {
        0.0
    };
    let left = ((allowed - cpu_used) * PLANNED).max(for_startup);

    // What the CPU budget buys, start-up included, and what the wall time does.
    let by_cpu = line.reaching(left);
    let wall_rate = largest.wall / line.at(largest.fraction).max(1e-3);
    let by_wall = line.reaching(wall_left * PLANNED / wall_rate.max(0.1));
    // Two rungs are the least from which growth can be told: the second is run even where
    // start-up alone is beyond the share.
    let floor = if complete < 2 {
        largest.fraction * CAREFUL_STEP
    } else {
        0.0
    };
    // Steps are careful where growth isn't known yet and the first rung was no trifle.
    let trifle = largest.cpu - line.startup < TELLING;
    let step = if complete < 2 && !trifle {
        CAREFUL_STEP
    } else {
        MOST_STEP
    };
    // The second rung is a fraction of the last one that the budget is likely to buy: near enough
    // to it to show how the cost grows there.
    let by_cpu = if complete < 2 {
        (by_cpu / BEFORE_LAST).max(largest.fraction * LEAST_STEP)
    } else {
        by_cpu
    };
    let next = by_cpu
        .max(floor)
        .min(by_wall)
        .min(largest.fraction * step)
        .min(1.0);
    // A first rung that costs much already, and not by its start-up: growth is told by a smaller one.
    if complete == 1 && rungs.len() < 3 && (largest.cpu - line.startup) > 0.4 * allowed.max(left) {
        let smaller = largest.fraction / CAREFUL_STEP;
        return (smaller * 2.0 >= least).then_some(smaller);
    }
    // Nearly the whole might as well be the whole.
    let next = if next > 0.7 && line.at(1.0) <= left.max(0.0) {
        1.0
    } else {
        next
    };
    (next >= largest.fraction * LEAST_STEP).then_some(next)
}

/// The first rung, or a smaller one after it where it didn't come to an end.
fn first_fraction(least: f64, rungs: &[RungCost]) -> Option<f64> {
    let Some(smallest) = rungs.iter().map(|r| r.fraction).reduce(f64::min) else {
        return Some(FIRST.max(least));
    };
    let next = smallest / 8.0;
    (rungs.len() < 3 && next * 16.0 >= least).then_some(next)
}

/// CPU time as start-up plus a power of the fraction: good enough to plan with.
struct Growth {
    startup: f64,
    rate: f64,
    exponent: f64,
}

/// CPU times below this are too short to tell growth from.
const TELLING: f64 = 0.02;
/// Steeper growth than this isn't planned for: noise would look like it.
const STEEPEST: f64 = 3.0;

impl Growth {
    fn through(rungs: &[RungCost], largest: &RungCost) -> Growth {
        let below = rungs
            .iter()
            .filter(|r| r.complete && r.fraction < largest.fraction)
            .max_by(|a, b| a.fraction.total_cmp(&b.fraction));
        if let (None, Some(growth)) = (largest.startup, Growth::through_three(rungs)) {
            return growth;
        }
        let startup = match (below, largest.startup) {
            (_, Some(startup)) => startup.clamp(0.0, largest.cpu),
            (Some(below), None) => {
                let rate = (largest.cpu - below.cpu) / (largest.fraction - below.fraction);
                (largest.cpu - rate.max(0.0) * largest.fraction).clamp(0.0, largest.cpu)
            }
            // Unknown: half, so that neither a pure start-up nor a pure rate is far off.
            (None, None) => largest.cpu / 2.0,
        };
        let work = largest.cpu - startup;
        let exponent = match below {
            Some(below) if work > TELLING && below.cpu > startup => {
                let growth = work / (below.cpu - startup).max(0.1 * TELLING);
                growth.ln() / (largest.fraction / below.fraction).ln()
            }
            _ => 1.0,
        };
        let exponent = exponent.clamp(1.0, STEEPEST);
        // A rate of nothing would plan rungs without end.
        let work = work.max(1e-3 * largest.fraction);
        Growth {
            startup,
            rate: work / largest.fraction.powf(exponent),
            exponent,
        }
    }

    /// Through the three largest rungs, which tell start-up and exponent both; `None` where there
    /// are fewer, or their differences are too short to tell.
    fn through_three(rungs: &[RungCost]) -> Option<Growth> {
        let mut complete: Vec<&RungCost> = rungs.iter().filter(|r| r.complete).collect();
        complete.sort_by(|a, b| b.fraction.total_cmp(&a.fraction));
        let [c, b, a] = complete.get(..3)?.try_into().ok()?;
        let (late, early) = (c.cpu - b.cpu, (b.cpu - a.cpu).max(0.1 * TELLING));
        if late < TELLING {
            return None;
        }
        let power = |r: &RungCost, exponent: f64| r.fraction.powf(exponent);
        // The ratio of the differences rises with the exponent: halve the range that holds it.
        let (mut low, mut high) = (1.0, STEEPEST);
        for _ in 0..40 {
            let e = f64::midpoint(low, high);
            let ratio = (power(c, e) - power(b, e)) / (power(b, e) - power(a, e));
            if ratio < late / early {
                low = e;
            } else {
                high = e;
            }
        }
        let rate = late / (power(c, low) - power(b, low));
        Some(Growth {
            startup: (c.cpu - rate * power(c, low)).clamp(0.0, c.cpu),
            rate,
            exponent: low,
        })
    }

    fn at(&self, fraction: f64) -> f64 {
        self.startup + self.rate * fraction.powf(self.exponent)
    }

    /// The fraction that costs so much; 0 where start-up alone costs more.
    fn reaching(&self, cost: f64) -> f64 {
        let work = ((cost - self.startup) / self.rate).max(0.0);
        work.powf(1.0 / self.exponent)
    }
}

/// What a rung of this fraction is expected to cost, in CPU seconds; `None` before any rung has
/// come to its end.
pub fn expected_cpu(rungs: &[RungCost], fraction: f64) -> Option<f64> {
    let largest = rungs
        .iter()
        .filter(|r| r.complete)
        .max_by(|a, b| a.fraction.total_cmp(&b.fraction))?;
    Some(Growth::through(rungs, largest).at(fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Climbs the ladder of a task whose cost is known.
    fn climb(size: f64, cpu: impl Fn(f64) -> f64, startup: f64) -> Vec<RungCost> {
        let budget = Budget::default();
        let scale = Scale {
            size,
            least: 65_536.0,
        };
        let mut rungs = Vec::new();
        while let Some(fraction) = next_fraction(&budget, scale, &rungs) {
            rungs.push(RungCost {
                fraction,
                cpu: cpu(fraction),
                startup: Some(startup),
                wall: cpu(fraction) + 0.03,
                complete: true,
            });
        }
        rungs
    }

    fn spent(rungs: &[RungCost]) -> f64 {
        rungs.iter().map(|r| r.cpu).sum()
    }

    #[test]
    fn a_linear_task_spends_its_budget_on_a_large_last_rung() {
        let rungs = climb(400e6, |f| 0.002 + 20.0 * f, 0.002);
        assert!(rungs.len() >= 3, "{rungs:?}");
        assert!(spent(&rungs) <= 0.055 * 20.0, "{rungs:?}");
        assert!(rungs.last().unwrap().fraction >= 0.03, "{rungs:?}");
    }

    #[test]
    fn start_up_beyond_the_budget_still_gets_rungs_that_tell() {
        let rungs = climb(100e6, |f| 0.9 + 8.0 * f, 0.9);
        assert!((2..=3).contains(&rungs.len()), "{rungs:?}");
        assert!(rungs.last().unwrap().fraction > 0.03, "{rungs:?}");
    }

    #[test]
    fn quadratic_work_is_approached_with_care() {
        let rungs = climb(50e6, |f| 0.01 + 3000.0 * f * f, 0.01);
        assert!(rungs.len() >= 2, "{rungs:?}");
        assert!(spent(&rungs) <= 0.1 * 3000.0, "{rungs:?}");
    }

    #[test]
    fn quadratic_work_with_an_unknown_start_up_is_recognised() {
        let budget = Budget::default();
        let scale = Scale {
            size: 12_000.0,
            least: 1.0,
        };
        let cost = |f: f64| 0.012 + 8.0 * f * f;
        let mut rungs: Vec<RungCost> = Vec::new();
        while let Some(fraction) = next_fraction(&budget, scale, &rungs) {
            // As the generator does: stopped far beyond what was expected.
            let most = expected_cpu(&rungs, fraction).map_or(2.0, |e| (2.5 * e).max(0.5));
            rungs.push(RungCost {
                fraction,
                cpu: cost(fraction).min(most),
                startup: None,
                wall: cost(fraction).min(most) + 0.03,
                complete: cost(fraction) <= most,
            });
        }
        let largest = rungs.iter().filter(|r| r.complete).map(|r| r.cpu);
        assert!(largest.fold(0.0, f64::max) > 0.05, "{rungs:?}");
        assert!(spent(&rungs) < 0.15 * 8.0, "{rungs:?}");
    }

    #[test]
    fn what_costs_next_to_nothing_is_run_whole() {
        let rungs = climb(1e6, |f| 0.001 + 0.05 * f, 0.001);
        assert!(
            (rungs.last().unwrap().fraction - 1.0).abs() < 1e-9,
            "{rungs:?}"
        );
    }

    #[test]
    fn a_first_rung_that_does_not_end_is_made_smaller() {
        let cut = RungCost {
            fraction: FIRST,
            cpu: 1.0,
            startup: Some(0.0),
            wall: 1.0,
            complete: false,
        };
        let scale = Scale {
            size: 1e9,
            least: 65_536.0,
        };
        let next = next_fraction(&Budget::default(), scale, &[cut]).unwrap();
        assert!(next < FIRST);
    }

    proptest::proptest! {
        #[test]
        fn every_ladder_ends_within_its_walls(
            size in 1.0_f64..1e13,
            startup in 0.0_f64..3.0,
            rate in 0.0_f64..1e4,
            power in 0.0_f64..2.5,
        ) {
            let rungs = climb(size, |f| startup + rate * f.powf(power), startup);
            proptest::prop_assert!(rungs.len() <= MOST_RUNGS);
            for r in &rungs {
                proptest::prop_assert!(r.fraction > 0.0 && r.fraction <= 1.0);
            }
        }
    }
}
