//! Samples of files made of records: a prefix, or records from places all over the body.

use std::io::Write;
use std::sync::Arc;

use foreshadow_quantity::Bytes;

use crate::format::{Container, Content, Reader};

use super::copy::{CopyError, End, Output, Pick, Quota, copy};
use super::random::Random;
use super::sink::Sink;
use super::source::{MAX_HEADER, Source};
use super::window::Window;
use super::{Note, SampleError, SampleReport, Strategy};

/// Blocks of a sample, at most, and the bytes that make a further one worth while.
const BLOCKS: u64 = 8;
pub(crate) const MIN_BLOCK: u64 = 4 << 10;
/// What is read around each random position, and the share of its records that is kept.
const VISIT: u64 = 64 << 10;
const KEEP: f64 = 0.25;

impl Source {
    pub(crate) fn part(
        &mut self,
        fraction: f64,
        records: Option<u64>,
        asked: Strategy,
        random: &mut Random,
        out: &mut dyn Write,
    ) -> Result<SampleReport, SampleError> {
        let quota = Quota {
            bytes: if records.is_some() {
                u64::MAX
            } else {
                Bytes::new(self.body.bytes).scale(fraction).get().max(1)
            },
            records: records.unwrap_or(u64::MAX),
        };
        let mut notes = Vec::new();
        let mut strategy = asked;
        if let Some(why) = self
            .only_contiguous(&quota)
            .filter(|_| asked != Strategy::Contiguous)
        {
            notes.push(Note::Contiguous(why));
            strategy = Strategy::Contiguous;
        }
        let sink = Sink::new(self.format.container, self.window_log, out);
        let mut output = Output::new(sink, &self.format.content);
        if strategy != Strategy::Contiguous {
            output.raw(&self.header).map_err(|e| self.write_error(e))?;
            let found = match strategy {
                Strategy::Random => self.visits(&quota, random, &mut output, &mut notes)?,
                _ => self.blocks(&quota, random, &mut output, &mut notes)?,
            };
            if !found {
                notes.push(Note::Contiguous(
                    "no record was found in the middle of the file",
                ));
                strategy = Strategy::Contiguous;
                self.prefix(&quota, true, &mut output, &mut notes)?;
            }
        } else {
            self.prefix(&quota, false, &mut output, &mut notes)?;
        }
        let (taken, records) = (output.taken, output.records);
        let bytes = output.finish().map_err(|e| self.write_error(e))?;
        let counted = self.format.content != Content::Binary;
        #[expect(clippy::cast_precision_loss, reason = "a ratio")]
        let fraction = (taken as f64 / self.body.bytes as f64).min(1.0);
        #[expect(clippy::cast_precision_loss, reason = "a mean")]
        if counted && records > 0 && !notes.contains(&Note::RecordCut) {
            self.better_record = Some(taken as f64 / records as f64);
        }
        Ok(SampleReport {
            fraction,
            exact: self.body.exact,
            bytes: Bytes::new(bytes),
            content: Bytes::new(self.header.len() as u64 + taken),
            records: counted.then_some(records),
            strategy,
            notes,
        })
    }

    /// Why only a prefix can be taken, if so.
    fn only_contiguous(&self, quota: &Quota) -> Option<&'static str> {
        if quota.records != u64::MAX {
            Some("the inputs' records belong together")
        } else if !self.format.container.is_seekable() {
            Some("compressed data can only be read from its start")
        } else if !self.format.content.has_sync() {
            Some("records of this format can't be found from the middle of a file")
        } else if self.format.container == Container::Bgzf
            && self.stamp.length.saturating_sub(self.body_position) < 256 << 10
        {
            Some("the file has few blocks")
        } else {
            None
        }
    }

    /// Content bytes for each byte of the file.
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    fn scale(&self) -> f64 {
        match self.format.container {
            Container::Plain => 1.0,
            _ => {
                self.body.bytes as f64
                    / self.stamp.length.saturating_sub(self.body_position).max(1) as f64
            }
        }
    }

    fn prefix(
        &self,
        quota: &Quota,
        header_written: bool,
        output: &mut Output<'_>,
        notes: &mut Vec<Note>,
    ) -> Result<(), SampleError> {
        let content = &self.format.content;
        let mut window = Window::new(self.reader_at(0)?);
        let header = window
            .header(content, MAX_HEADER)
            .map_err(|e| self.read_error(e))?
            .unwrap_or_default();
        if !header_written {
            output.raw(&header).map_err(|e| self.write_error(e))?;
        }
        let end = copy(&mut window, content, quota, &mut Pick::All, output)
            .map_err(|e| self.copy_error(e))?;
        self.conclude(end, &window, quota, output, notes)
    }

    /// Turns the end of copying into notes, or an error where nothing was taken.
    fn conclude(
        &self,
        end: End,
        window: &Window,
        quota: &Quota,
        output: &Output<'_>,
        notes: &mut Vec<Note>,
    ) -> Result<(), SampleError> {
        let empty = output.taken == 0;
        match end {
            End::TooLong(at_least) if empty => {
                return Err(SampleError::RecordTooLong {
                    path: self.path.clone(),
                    at_least: Bytes::new(at_least),
                    target: Bytes::new(quota.bytes),
                });
            }
            End::Broken(why) if empty => {
                return Err(SampleError::Damaged {
                    path: self.path.clone(),
                    reason: why.into(),
                });
            }
            End::Broken(why) => notes.push(Note::Damaged(why.into())),
            End::Cut => notes.push(Note::RecordCut),
            End::TooLong(_) | End::Quota | End::Content => {}
        }
        if let Some(damage) = &window.damage {
            if empty {
                return Err(SampleError::Damaged {
                    path: self.path.clone(),
                    reason: damage.to_string(),
                });
            }
            notes.push(Note::Damaged(damage.to_string()));
        }
        Ok(())
    }

    fn reader_at(&self, position: u64) -> Result<Reader, SampleError> {
        Reader::open(
            Arc::clone(&self.file),
            self.format.container,
            position,
            self.stamp.length,
        )
        .map_err(|e| self.read_error(e))
    }

    fn copy_error(&self, error: CopyError) -> SampleError {
        match error {
            CopyError::Read(e) => self.read_error(e),
            CopyError::Write(e) => self.write_error(e),
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of records, clamped"
    )]
    fn blocks(
        &self,
        quota: &Quota,
        random: &mut Random,
        output: &mut Output<'_>,
        notes: &mut Vec<Note>,
    ) -> Result<bool, SampleError> {
        let by_records = self
            .record
            .map_or(1, |r| (quota.bytes as f64 / (4.0 * r)) as u64);
        let blocks = (quota.bytes / MIN_BLOCK).min(by_records).clamp(1, BLOCKS);
        self.spread(blocks, quota, 1.0, random, output, notes)
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of places, clamped"
    )]
    fn visits(
        &self,
        quota: &Quota,
        random: &mut Random,
        output: &mut Output<'_>,
        notes: &mut Vec<Note>,
    ) -> Result<bool, SampleError> {
        let fraction = quota.bytes as f64 / self.body.bytes as f64;
        // Of a large part, more must be kept of what is read.
        let keep = KEEP.max(fraction * 1.25).min(1.0);
        let scanned = quota.bytes as f64 / keep;
        let by_records = self.record.map_or(1.0, |r| scanned / (8.0 * r));
        let visits = (scanned / VISIT as f64)
            .max(16.0)
            .min(by_records)
            .clamp(1.0, 1e6) as u64;
        self.spread(visits, quota, keep, random, output, notes)
    }

    /// Takes records from `count` places, one at a random position in each of as many equal
    /// stretches of the body, keeping this share of them; false where nothing could be taken.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positions within the file: a double is exact enough to choose one"
    )]
    fn spread(
        &self,
        count: u64,
        quota: &Quota,
        keep: f64,
        random: &mut Random,
        output: &mut Output<'_>,
        notes: &mut Vec<Note>,
    ) -> Result<bool, SampleError> {
        let content = &self.format.content;
        let begin = self.body_position;
        let stretch = self.stamp.length.saturating_sub(begin) as f64 / count as f64;
        let each = quota.bytes as f64 / count as f64;
        let span = each / keep / self.scale() + self.record.unwrap_or(0.0) / self.scale();
        let step = ((each / keep) as u64 + 4096).clamp(16 << 10, 1 << 20);
        let sync_limit = usize::try_from((4.0 * each) as u64)
            .unwrap_or(usize::MAX)
            .clamp(1 << 20, 64 << 20);
        let step = usize::try_from(step).unwrap_or(usize::MAX);
        let mut window = Window::with_step(self.reader_at(begin)?, step);
        let mut seen_to = begin;
        for i in 0..count {
            let offset = random.unit() * (stretch - span).max(0.0);
            let start = (begin + (stretch * i as f64 + offset) as u64).max(seen_to);
            if start >= self.stamp.length {
                break;
            }
            // One byte earlier: what is before a record tells its start. At the body's own start
            // there is nothing to look for.
            let plain = self.format.container == Container::Plain;
            let known = plain && start == begin;
            let position = start - u64::from(plain && !known);
            window.move_to(self.reader_at(position)?);
            if !known {
                let found = window
                    .sync(content, sync_limit)
                    .map_err(|e| self.read_error(e))?;
                if !found {
                    if output.records == 0 {
                        return Ok(false);
                    }
                    continue;
                }
            }
            let so_far = Quota {
                bytes: (each * (i + 1) as f64).round() as u64,
                records: quota.records,
            };
            let mut pick = if keep < 1.0 {
                Pick::Some {
                    random,
                    keep,
                    // Bad luck must not lead through the whole file.
                    scan: (4.0 * each / keep) as u64 + 4096,
                }
            } else {
                Pick::All
            };
            let end = copy(&mut window, content, &so_far, &mut pick, output)
                .map_err(|e| self.copy_error(e))?;
            if !matches!(end, End::TooLong(_)) || output.taken > 0 {
                self.conclude(end, &window, &so_far, output, notes)?;
            }
            seen_to = if plain {
                position + window.consumed()
            } else {
                window.file_position()
            };
        }
        Ok(output.taken > 0)
    }
}
