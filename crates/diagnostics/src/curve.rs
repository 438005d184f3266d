use std::time::Duration;

use foreshadow_quantity::Bytes;
use serde::{Deserialize, Serialize};

/// One look at a running command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Time since the start.
    pub at: Duration,
    /// CPU time used so far.
    pub cpu: Duration,
    /// Anonymous, shared and unreclaimable kernel memory now.
    pub memory: Bytes,
    /// Page cache now.
    pub page_cache: Bytes,
    /// How far the command has come through its inputs: the sum over them of the furthest
    /// position seen in any of its descriptors.
    pub progress: Bytes,
    /// Bytes asked for by read calls so far, by the processes alive now.
    pub read_chars: Bytes,
    /// Bytes handed to write calls so far, by the processes alive now.
    pub write_chars: Bytes,
    /// Threads now.
    pub threads: u32,
}

/// Samples of one run in order of time, thinned so that a run of any length stays small.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    samples: Vec<Sample>,
}

/// Beyond this many samples each second one is dropped.
const MOST: usize = 4096;

impl Curve {
    /// Adds a sample; time must not go backwards (a sample that does is dropped).
    pub fn push(&mut self, sample: Sample) {
        if self.samples.last().is_some_and(|last| sample.at < last.at) {
            return;
        }
        self.samples.push(sample);
        if self.samples.len() > MOST {
            self.halve();
        }
    }

    /// The samples, in order of time.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The sample with the most memory.
    pub fn fullest(&self) -> Option<&Sample> {
        self.samples.iter().max_by_key(|s| s.memory)
    }

    /// Keeps of each pair the one with more memory, so that no peak is lost.
    fn halve(&mut self) {
        let last = self.samples.last().copied();
        self.samples = self
            .samples
            .chunks(2)
            .filter_map(|pair| pair.iter().max_by_key(|s| s.memory).copied())
            .collect();
        if let Some(last) = last
            && self.samples.last() != Some(&last)
        {
            self.samples.push(last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(ms: u64, memory: u64) -> Sample {
        Sample {
            at: Duration::from_millis(ms),
            memory: Bytes::new(memory),
            ..Sample::default()
        }
    }

    #[test]
    fn thinning_keeps_the_peak_and_the_end() {
        let mut curve = Curve::default();
        for ms in 0..100_000 {
            curve.push(sample(ms, if ms == 4321 { 1 << 40 } else { ms }));
        }
        assert!(curve.samples().len() <= MOST);
        assert_eq!(curve.fullest(), Some(&sample(4321, 1 << 40)));
        assert_eq!(curve.samples().last(), Some(&sample(99_999, 99_999)));
        assert!(curve.samples().is_sorted_by_key(|s| s.at));
    }

    #[test]
    fn time_never_goes_backwards() {
        let mut curve = Curve::default();
        curve.push(sample(10, 1));
        curve.push(sample(9, 2));
        assert_eq!(curve.samples(), [sample(10, 1)]);
    }
}
