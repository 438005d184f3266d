//! Samples of arrays: rows of a fixed size, under a header that counts them.

use std::io::Write;
use std::os::unix::fs::FileExt;

use foreshadow_quantity::Bytes;

use crate::format::RowLayout;

use super::part::MIN_BLOCK;
use super::random::Random;
use super::source::Source;
use super::{SampleError, SampleReport, Strategy};

impl Source {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "row numbers, clamped to those there are"
    )]
    pub(crate) fn rows(
        &self,
        layout: &RowLayout,
        fraction: f64,
        records: Option<u64>,
        strategy: Strategy,
        random: &mut Random,
        out: &mut dyn Write,
    ) -> Result<SampleReport, SampleError> {
        let there = self.stamp.length.saturating_sub(layout.header as u64) / layout.row;
        let rows = layout.rows.min(there);
        let take = records
            .unwrap_or((rows as f64 * fraction).round() as u64)
            .clamp(1, rows.max(1));
        let places = match strategy {
            Strategy::Contiguous => 1,
            Strategy::Blocks => (take * layout.row / MIN_BLOCK).clamp(1, 8),
            Strategy::Random => (take * layout.row / 4096).clamp(1, 4096),
        }
        .min(take);
        let head = layout.header_for(take);
        out.write_all(&head).map_err(|e| self.write_error(e))?;
        let mut buffer = Vec::new();
        for i in 0..places {
            // The i-th of `places` equal shares, of the rows to take and of the rows there are.
            let share = |n: u64, i: u64| {
                u64::try_from(u128::from(n) * u128::from(i) / u128::from(places)).unwrap_or(n)
            };
            let count = share(take, i + 1) - share(take, i);
            let stretch = share(rows, i + 1) - share(rows, i);
            let offset = match strategy {
                Strategy::Contiguous => 0,
                _ => random.below(stretch.saturating_sub(count) + 1),
            };
            let mut at = layout.header as u64 + (share(rows, i) + offset) * layout.row;
            let mut left = count * layout.row;
            while left > 0 {
                buffer.resize(usize::try_from(left.min(1 << 20)).unwrap_or(1 << 20), 0);
                self.file
                    .read_exact_at(&mut buffer, at)
                    .map_err(|e| self.read_error(e))?;
                out.write_all(&buffer).map_err(|e| self.write_error(e))?;
                at += buffer.len() as u64;
                left -= buffer.len() as u64;
            }
        }
        let bytes = Bytes::new(head.len() as u64 + take * layout.row);
        Ok(SampleReport {
            fraction: take as f64 / rows.max(1) as f64,
            exact: true,
            bytes,
            content: bytes,
            records: Some(take),
            strategy,
            notes: Vec::new(),
        })
    }
}
