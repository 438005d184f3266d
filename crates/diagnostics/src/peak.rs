use foreshadow_quantity::Bytes;

/// The kernel charges pages in batches for each processor: its total can be this much above what is
/// in use.
const SLACK: Bytes = Bytes::mib(1);

/// What is known about the highest memory of a run, from sources that each see a part.
///
/// Sampling misses short spikes; the kernel's own peak misses none but counts page cache as well;
/// `ru_maxrss` misses none either, but is that of one process, with its file-backed pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeakEvidence {
    /// The highest memory (without page cache) that a sample saw.
    pub sampled: Bytes,
    /// The most page cache that can have been held: the most that a sample saw, and the largest
    /// step between two samples on top of it.
    pub page_cache: Bytes,
    /// The kernel's exact peak of memory and page cache together (`memory.peak`,
    /// `memory.max_usage_in_bytes`), where there is one.
    pub total: Option<Bytes>,
    /// The largest resident set of one process, less its file-backed pages as sampled. Only used
    /// without a [`PeakEvidence::total`]: the file-backed pages of short-lived processes are
    /// unknown, so that it can be too high.
    pub largest_process: Bytes,
}

impl PeakEvidence {
    /// The peak without page cache: the highest value that some source proves.
    pub fn peak(&self) -> Bytes {
        match self.total {
            Some(total) => self
                .sampled
                .max(total.saturating_sub(self.page_cache + SLACK)),
            None => self.sampled.max(self.largest_process),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: fn(u64) -> Bytes = Bytes::mib;

    #[test]
    fn a_spike_between_samples_shows_in_the_exact_total() {
        let evidence = PeakEvidence {
            sampled: MIB(100),
            page_cache: MIB(5),
            total: Some(MIB(700)),
            largest_process: MIB(90),
        };
        assert_eq!(evidence.peak(), MIB(694));
    }

    #[test]
    fn page_cache_is_not_need() {
        let evidence = PeakEvidence {
            sampled: MIB(100),
            page_cache: MIB(900),
            total: Some(MIB(1000)),
            largest_process: MIB(98),
        };
        assert_eq!(evidence.peak(), MIB(100));
    }

    #[test]
    fn the_largest_process_counts_where_there_is_no_total() {
        let evidence = PeakEvidence {
            sampled: MIB(10),
            page_cache: Bytes::ZERO,
            total: None,
            largest_process: MIB(300),
        };
        assert_eq!(evidence.peak(), MIB(300));
    }
}
