//! One file that samples are made of: what is known of it, kept between samples.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foreshadow_quantity::Bytes;

use crate::format::{Container, Content, Format, HEAD, Next, Reader, detect_file};
use crate::input::AnyBytes;

use super::measure::{ContentSize, content_size, zstd_frame};
use super::random::Random;
use super::window::Window;
use super::{Note, SampleError, SampleReport, Strategy};

/// No header is longer than this; BAM and VCF headers of many thousand references are.
pub(crate) const MAX_HEADER: usize = 64 << 20;
/// A file whose format is known, with all that is worth keeping between samples.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<File>,
    pub(crate) stamp: Stamp,
    pub(crate) format: Format,
    pub(crate) header: Vec<u8>,
    /// Content after the header.
    pub(crate) body: ContentSize,
    /// Where, in the file, seeking for the body's records may begin.
    pub(crate) body_position: u64,
    /// Mean bytes of a record in the head: by this samples are laid out, so that earlier ones
    /// don't change later ones.
    pub(crate) record: Option<f64>,
    /// Mean bytes of a record, from the samples taken.
    pub(crate) better_record: Option<f64>,
    pub(crate) window_log: Option<u32>,
}

/// By what a change of a file shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) length: u64,
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
    /// Opens a regular file. Where any bytes will do, what has no records of its own, and what is
    /// compressed, is taken as mere bytes.
    pub(crate) fn open(path: &Path, any_bytes: AnyBytes) -> Result<Source, SampleError> {
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
        let sampled = format.can_be_sampled();
        let decoded = format.container.is_decoded() && format.doubt.is_none();
        let as_bytes = match any_bytes {
            _ if format.content == Content::Empty => false,
            AnyBytes::No => false,
            AnyBytes::Content => !sampled && decoded,
            AnyBytes::File => !sampled || format.container != Container::Plain,
        };
        if as_bytes {
            if any_bytes == AnyBytes::File {
                format.container = Container::Plain;
            }
            format.content = Content::Binary;
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
        let header = if let Content::Rows(layout) = &format.content {
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
            better_record: None,
            window_log,
        };
        source.record = source.head_record(&mut window)?;
        Ok(source)
    }

    /// Mean bytes of the records in the first stretch of the body.
    #[expect(clippy::cast_precision_loss, reason = "a few hundred KiB")]
    fn head_record(&self, window: &mut Window) -> io::Result<Option<f64>> {
        match &self.format.content {
            Content::Rows(layout) => return Ok(Some(layout.row as f64)),
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
        self.better_record
            .or(self.record)
            .map(|r| self.body.bytes as f64 / r)
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

    /// The first lines of a text, but those too short to tell anything.
    pub(crate) fn first_lines(&self) -> io::Result<Vec<Vec<u8>>> {
        let text = matches!(
            self.format.content,
            Content::Lines { .. } | Content::Delimited { .. } | Content::JsonLines
        );
        if !text {
            return Ok(Vec::new());
        }
        let mut window = Window::with_step(
            Reader::open(
                Arc::clone(&self.file),
                self.format.container,
                0,
                self.stamp.length,
            )?,
            16 << 10,
        );
        window.header(&self.format.content, MAX_HEADER)?;
        if window.bytes().len() < 4096 {
            window.more()?;
        }
        let lines = window.bytes().split_inclusive(|&b| b == b'\n');
        Ok(lines
            .filter(|l| l.len() >= 8 && l.ends_with(b"\n"))
            .take(64)
            .map(<[u8]>::to_vec)
            .collect())
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

    pub(crate) fn read_error(&self, source: io::Error) -> SampleError {
        SampleError::Read {
            path: self.path.clone(),
            source,
        }
    }

    pub(crate) fn write_error(&self, source: io::Error) -> SampleError {
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
        any_bytes: AnyBytes,
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
        } else if let Content::Rows(layout) = &self.format.content {
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
}
