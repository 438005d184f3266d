use super::{Known, Method, Outcome};

/// The first allocation of least expected waste when a failure goes to the largest peak seen:
/// argmin over the peaks `a` seen of `a·T + a_max·T(peak > a)`, with `T` the mean run time and
/// `T(peak > a)` its part in tasks above `a` (equation 1 of Tovar et al., "A Job Sizing Strategy
/// for High-Throughput Scientific Workflows"). After the largest seen comes the whole node.
#[derive(Clone, Debug)]
pub struct Tovar {
    node: f64,
    /// Distinct peaks, increasing, each with the run time of its tasks.
    peaks: Vec<(f64, f64)>,
    chosen: Option<f64>,
    seen: u64,
    chosen_at: u64,
}

/// With more distinct peaks than this, those within 0.1 % of each other are put together.
const EXACT: usize = 4096;

impl Tovar {
    /// For nodes with this much memory.
    pub fn new(node: f64) -> Self {
        Tovar {
            node,
            peaks: Vec::new(),
            chosen: None,
            seen: 0,
            chosen_at: 0,
        }
    }

    fn choose(&self) -> Option<f64> {
        let largest = self.peaks.last()?.0;
        let all: f64 = self.peaks.iter().map(|p| p.1).sum();
        let mut above = 0.0;
        let mut best = (largest * all, largest);
        for (peak, seconds) in self.peaks.iter().rev() {
            let cost = peak * all + largest * above;
            if cost < best.0 {
                best = (cost, *peak);
            }
            above += seconds;
        }
        Some(best.1)
    }

    fn compact(&mut self) {
        let mut kept: Vec<(f64, f64)> = Vec::with_capacity(EXACT);
        for (peak, seconds) in self.peaks.iter().rev() {
            match kept.last_mut() {
                Some(last) if *peak > last.0 * 0.999 => last.1 += seconds,
                _ => kept.push((*peak, *seconds)),
            }
        }
        kept.reverse();
        self.peaks = kept;
    }
}

impl Method for Tovar {
    fn first(&mut self, _task: &Known<'_>) -> Option<f64> {
        // With thousands seen, one more in a thousand moves the optimum by less than that.
        if self.chosen.is_none() || self.seen - self.chosen_at > self.seen / 1000 {
            self.chosen = self.choose();
            self.chosen_at = self.seen;
        }
        self.chosen
    }

    fn retry(&mut self, failed: f64, _attempt: u32) -> f64 {
        let largest = self.peaks.last().map_or(0.0, |p| p.0);
        if failed < largest {
            largest
        } else if failed < self.node {
            self.node
        } else {
            failed * 2.0
        }
    }

    fn observe(&mut self, _task: &Known<'_>, outcome: &Outcome) {
        if !outcome.complete {
            return;
        }
        self.seen += 1;
        let i = self.peaks.partition_point(|p| p.0 < outcome.peak);
        match self.peaks.get_mut(i) {
            Some(p) if p.0 == outcome.peak => p.1 += outcome.seconds,
            _ => self.peaks.insert(i, (outcome.peak, outcome.seconds)),
        }
        if self.peaks.len() > 2 * EXACT {
            self.compact();
        }
    }
}
