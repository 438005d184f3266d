//! Samples of one file.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foreshadow_quantity::Bytes;

use crate::format::{Container, Content, Format, HEAD, Next, NpyLayout, Reader, detect_file};

use super::copy::{End, Output, Pick, Quota, copy};
use super::measure::{ContentSize, content_size, zstd_frame};
use super::random::Random;
use super::sink::Sink;
use super::window::Window;
use super::{Note, SampleError, SampleReport, Strategy};

/// No header is longer than this; BAM and VCF headers of many thousand references are.
const MAX_HEADER: usize = 64 << 20;
/// Blocks of a sample, at most, and the bytes that make a further one worth while.
const BLOCKS: u64 = 8;
const MIN_BLOCK: u64 = 4 << 10;
/// What is read around each random position, and the share of its records that is kept.
const VISIT: u64 = 64 << 10;
const KEEP: f64 = 0.25;

/// A file whose format is known, with all that is worth keeping between samples.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    file: Arc<File>,
    stamp: Stamp,
    pub(crate) format: Format,
    header: Vec<u8>,
    /// Content after the header.
    pub(crate) body: ContentSize,
    /// Where, in the file, seeking for the body's records may begin.
    body_position: u64,
    /// Mean bytes of a record, from the head at first, then from the samples taken.
    record: Option<f64>,
    window_log: Option<u32>,
}

/// By what a change of a file shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    inode: u64,
    device: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Stamp {
            length: metadata.len(),
            inode: metadata.ino(),
            device: metadata.dev(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

impl Source {
    /// Opens a regular file. With `any_bytes`, what has no records of its own, and whatever is
    /// compressed, is taken as mere bytes.
    pub(crate) fn open(path: &Path, any_bytes: bool) -> Result<Source, SampleError> {
        let read = |source| SampleError::Read {
            path: path.to_owned(),
            source,
        };
        let file = Arc::new(File::open(path).map_err(read)?);
        let metadata = file.metadata().map_err(read)?;
        if !metadata.is_file() {
            return Err(SampleError::Unsupported {
                path: path.to_owned(),
                reason: "it is not a regular file".into(),
            });
        }
        let stamp = Stamp::of(&metadata);
        let name = path.file_name().unwrap_or_default();
        let (mut format, _) = detect_file(&file, stamp.length, name).map_err(read)?;
        if any_bytes
            && format.content != Content::Empty
            && (format.container != Container::Plain || !format.can_be_sampled())
        {
            format = Format {
                container: Container::Plain,
                content: Content::Binary,
                doubt: format.doubt.take(),
            };
        } else if let Some(reason) = format.why_not_sampled() {
            return Err(SampleError::Unsupported {
                path: path.to_owned(),
                reason,
            });
        }
        Self::prepare(path, file, stamp, format).map_err(read)
    }

    fn prepare(path: &Path, file: Arc<File>, stamp: Stamp, format: Format) -> io::Result<Source> {
        let length = stamp.length;
        let container = format.container;
        let total = content_size(&file, container, length)?;
        let window_log = match container {
            Container::Zstd => zstd_frame(&file)?.1.map(|log| log.clamp(10, 27)),
            _ => None,
        };
        let mut window = Window::new(Reader::open(Arc::clone(&file), container, 0, length)?);
        let header = if let Content::Npy(layout) = &format.content {
            vec![0; layout.header]
        } else {
            window
                .header(&format.content, MAX_HEADER)?
                .unwrap_or_default()
        };
        let body_position = match container {
            Container::Bgzf => window.file_position(),
            _ => header.len() as u64,
        };
        let mut source = Source {
            path: path.to_owned(),
            file,
            stamp,
            body: ContentSize {
                bytes: total.bytes.saturating_sub(header.len() as u64),
                exact: total.exact,
            },
            format,
            header,
            body_position,
            record: None,
            window_log,
        };
        source.record = source.head_record(&mut window)?;
        Ok(source)
    }

    /// Mean bytes of the records in the first stretch of the body.
    #[expect(clippy::cast_precision_loss, reason = "a few hundred KiB")]
    fn head_record(&self, window: &mut Window) -> io::Result<Option<f64>> {
        match &self.format.content {
            Content::Npy(layout) => return Ok(Some(layout.row as f64)),
            Content::Binary => return Ok(None),
            _ => {}
        }
        while window.bytes().len() < HEAD && window.more()? {}
        let mut at = 0;
        let mut records = 0_u32;
        while let Next::Record { end, .. } =
            self.format.content.next(window.bytes(), at, window.eof())
        {
            at = end;
            records += 1;
        }
        Ok((records > 0).then(|| at as f64 / f64::from(records)))
    }

    /// The estimated number of records, where the content has any.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(crate) fn records(&self) -> Option<f64> {
        self.record.map(|r| self.body.bytes as f64 / r)
    }

    /// The name of the first read of a FASTQ file, without what tells mates apart.
    pub(crate) fn first_read(&self) -> io::Result<Option<Vec<u8>>> {
        if self.format.content != Content::Fastq {
            return Ok(None);
        }
        let reader = Reader::open(
            Arc::clone(&self.file),
            self.format.container,
            0,
            self.stamp.length,
        )?;
        let mut window = Window::with_step(reader, 4096);
        window.more()?;
        let line = window.bytes().split(|&b| b == b'\n').next();
        let name = line
            .unwrap_or_default()
            .split(u8::is_ascii_whitespace)
            .next();
        let name = name.unwrap_or_default();
        let name = name
            .strip_suffix(b"/1")
            .or(name.strip_suffix(b"/2"))
            .unwrap_or(name);
        Ok(Some(name.to_vec()))
    }

    /// Counts the records of a plain file of at most `limit` bytes.
    pub(crate) fn count_records(&self, limit: u64) -> io::Result<Option<u64>> {
        let countable = self.format.container == Container::Plain
            && self.stamp.length <= limit
            && matches!(
                self.format.content,
                Content::Lines { .. }
                    | Content::Delimited { .. }
                    | Content::JsonLines
                    | Content::Fastq
            );
        if !countable {
            return Ok(None);
        }
        let content = &self.format.content;
        let reader = Reader::open(
            Arc::clone(&self.file),
            Container::Plain,
            0,
            self.stamp.length,
        )?;
        let mut window = Window::new(reader);
        window.header(content, MAX_HEADER)?;
        let mut records = 0;
        let mut at = 0;
        loop {
            match content.next(window.bytes(), at, window.eof()) {
                Next::Record { end, .. } => {
                    at = end;
                    records += 1;
                }
                Next::More => {
                    window.consume(at);
                    at = 0;
                    window.more()?;
                }
                Next::Done => return Ok(Some(records)),
                Next::Broken(_) => return Ok(None),
            }
        }
    }

    /// The whole uncompressed content, header included.
    pub(crate) fn content(&self) -> ContentSize {
        ContentSize {
            bytes: self.body.bytes + self.header.len() as u64,
            exact: self.body.exact,
        }
    }

    /// Whether the file is another than when it was opened, or has changed.
    fn change(&self) -> Result<Option<Note>, SampleError> {
        let metadata = std::fs::metadata(&self.path).map_err(|e| self.read_error(e))?;
        let now = Stamp::of(&metadata);
        Ok((now != self.stamp).then_some(Note::SourceChanged {
            was: Bytes::new(self.stamp.length),
            now: Bytes::new(now.length),
        }))
    }

    fn read_error(&self, source: io::Error) -> SampleError {
        SampleError::Read {
            path: self.path.clone(),
            source,
        }
    }

    fn write_error(&self, source: io::Error) -> SampleError {
        SampleError::Write {
            path: self.path.clone(),
            source,
        }
    }

    /// Writes a sample. `records` bounds the number of records instead of the fraction.
    pub(crate) fn write(
        &mut self,
        fraction: f64,
        records: Option<u64>,
        strategy: Strategy,
        any_bytes: bool,
        random: &mut Random,
        out: &mut dyn Write,
    ) -> Result<SampleReport, SampleError> {
        let mut notes = Vec::new();
        if let Some(note) = self.change()? {
            *self = Source::open(&self.path.clone(), any_bytes)?;
            notes.push(note);
        }
        let mut report = if self.body.bytes == 0 || (fraction >= 1.0 && records.is_none()) {
            self.whole(out)?
        } else if let Content::Npy(layout) = &self.format.content {
            let layout = layout.clone();
            self.rows(&layout, fraction, records, strategy, random, out)?
        } else {
            self.part(fraction, records, strategy, random, out)?
        };
        notes.append(&mut report.notes);
        report.notes = notes;
        Ok(report)
    }

    fn whole(&self, out: &mut dyn Write) -> Result<SampleReport, SampleError> {
        let mut buffer = vec![0; 1 << 20];
        let mut at = 0;
        while at < self.stamp.length {
            let want = usize::try_from(self.stamp.length - at)
                .unwrap_or(usize::MAX)
                .min(buffer.len());
            let got = match self.file.read_at(&mut buffer[..want], at) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(self.read_error(e)),
            };
            out.write_all(&buffer[..got])
                .map_err(|e| self.write_error(e))?;
            at += got as u64;
        }
        Ok(SampleReport {
            fraction: 1.0,
            exact: true,
            bytes: Bytes::new(at),
            content: Bytes::new(self.content().bytes),
            records: None,
            strategy: Strategy::Contiguous,
            notes: Vec::new(),
        })
    }

    fn part(
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
            self.record = Some(taken as f64 / records as f64);
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
        let mut window = self.window_at(0, 256 << 10)?;
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

    fn window_at(&self, position: u64, step: u64) -> Result<Window, SampleError> {
        let reader = Reader::open(
            Arc::clone(&self.file),
            self.format.container,
            position,
            self.stamp.length,
        )
        .map_err(|e| self.read_error(e))?;
        let step = usize::try_from(step).unwrap_or(usize::MAX).min(1 << 20);
        Ok(Window::with_step(reader, step))
    }

    fn copy_error(&self, error: super::copy::CopyError) -> SampleError {
        match error {
            super::copy::CopyError::Read(e) => self.read_error(e),
            super::copy::CopyError::Write(e) => self.write_error(e),
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
            let mut window = self.window_at(position, step)?;
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

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "row numbers, clamped to those there are"
    )]
    fn rows(
        &self,
        layout: &NpyLayout,
        fraction: f64,
        records: Option<u64>,
        strategy: Strategy,
        random: &mut Random,
        out: &mut dyn Write,
    ) -> Result<SampleReport, SampleError> {
        let there = (self.stamp.length - layout.header as u64) / layout.row;
        let rows = layout.rows.min(there);
        let take = records
            .unwrap_or((rows as f64 * fraction).round() as u64)
            .clamp(1, rows.max(1));
        let places = match strategy {
            Strategy::Contiguous => 1,
            Strategy::Blocks => (take * layout.row / MIN_BLOCK).clamp(1, BLOCKS),
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
