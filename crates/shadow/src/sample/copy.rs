//! Passes whole records from a window to a sample until enough are taken.

use std::io::{self, Write};

use crate::format::{Content, Next};

use super::random::Random;
use super::sink::Sink;
use super::window::Window;

/// How much a sample shall hold when a call of [`copy`] ends, what it held before included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quota {
    pub bytes: u64,
    pub records: u64,
}

/// Which records are taken.
pub(crate) enum Pick<'a> {
    All,
    /// Each with probability `keep`, looking at no more than `scan` bytes.
    Some {
        random: &'a mut Random,
        keep: f64,
        scan: u64,
    },
}

/// Why copying ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The quota is reached.
    Quota,
    /// The content is at its end.
    Content,
    /// A record is longer than this many bytes, far more than was wanted.
    TooLong(u64),
    /// The last record was cut, to reach the quota.
    Cut,
    /// No record where one should be.
    Broken(&'static str),
}

/// Which side failed.
#[derive(Debug)]
pub(crate) enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

/// A sample being written.
pub(crate) struct Output<'a> {
    sink: Sink<'a>,
    separator: Vec<u8>,
    tail: Vec<u8>,
    /// Bytes of records taken.
    pub taken: u64,
    /// Records taken.
    pub records: u64,
}

impl<'a> Output<'a> {
    pub(crate) fn new(sink: Sink<'a>, content: &Content) -> Self {
        let (separator, tail) = content.joints();
        Output {
            sink,
            separator,
            tail,
            taken: 0,
            records: 0,
        }
    }

    /// Writes bytes that are no record.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sink.write_all(bytes)
    }

    fn run(&mut self, bytes: &[u8], records: u64) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.records > 0 && !self.separator.is_empty() {
            self.sink.write_all(&self.separator)?;
        }
        self.sink.write_all(bytes)?;
        self.taken += bytes.len() as u64;
        self.records += records;
        Ok(())
    }

    pub(crate) fn finish(mut self) -> io::Result<u64> {
        self.sink.write_all(&self.tail)?;
        self.sink.finish()
    }
}

/// A record is looked at up to this length, or eight times what is wanted, before it is given up.
const PATIENCE: u64 = 1 << 20;
const MAX_RECORD: u64 = 256 << 20;
/// A shorter record isn't cut, however small the sample is to be.
const MIN_CUT: usize = 64 << 10;

/// Copies records from the window's start, where one begins.
pub(crate) fn copy(
    window: &mut Window,
    content: &Content,
    quota: &Quota,
    pick: &mut Pick<'_>,
    output: &mut Output<'_>,
) -> Result<End, CopyError> {
    // Neighbouring records are written together, unless something must stand between them.
    let joined = output.separator.is_empty();
    let mut at = 0;
    let mut run = 0..0;
    let mut run_records = 0;
    let mut scanned = 0_u64;
    let end = loop {
        let pending = (run.end - run.start) as u64;
        let taken = output.taken + pending;
        let records = output.records + run_records;
        if records >= quota.records {
            break End::Quota;
        }
        let left = quota.bytes.saturating_sub(taken);
        match content.next(window.bytes(), at, window.eof()) {
            Next::Record { start, end } => {
                if window.damage.is_some() && end == window.bytes().len() {
                    break End::Content;
                }
                let length = (end - start) as u64;
                // To the nearest record, but never to nothing.
                let long = length >= MIN_CUT as u64;
                // A long sequence gives just what is wanted of it.
                if long
                    && *content == Content::Fasta
                    && length > left.saturating_add(left / 8)
                    && let Some(cut) = cut(content, window, start, left, quota, records)
                {
                    flush(window, output, &mut run, &mut run_records)?;
                    output
                        .run(&window.bytes()[start..cut], 1)
                        .map_err(CopyError::Write)?;
                    break End::Cut;
                }
                if length.div_ceil(2) > left && records > 0 {
                    if long && let Some(cut) = cut(content, window, start, left, quota, records) {
                        flush(window, output, &mut run, &mut run_records)?;
                        output
                            .run(&window.bytes()[start..cut], 1)
                            .map_err(CopyError::Write)?;
                        break End::Cut;
                    }
                    break End::Quota;
                }
                if long
                    && length > left.saturating_mul(2)
                    && let Some(cut) = cut(content, window, start, left, quota, records)
                {
                    output
                        .run(&window.bytes()[start..cut], 1)
                        .map_err(CopyError::Write)?;
                    break End::Cut;
                }
                scanned += (end - at) as u64;
                at = end;
                let take = match pick {
                    Pick::All => true,
                    Pick::Some { random, keep, scan } => {
                        if scanned > *scan {
                            break End::Quota;
                        }
                        random.unit() < *keep
                    }
                };
                if take {
                    if !joined || start != run.end {
                        flush(window, output, &mut run, &mut run_records)?;
                        run = start..start;
                    }
                    run.end = end;
                    run_records += 1;
                }
            }
            Next::More => {
                flush(window, output, &mut run, &mut run_records)?;
                window.consume(at);
                at = 0;
                let have = window.bytes().len() as u64;
                // Enough to know that it doesn't fit, and to cut it.
                if have > left.saturating_mul(2).saturating_add(4096)
                    && let Some(cut) = cut(content, window, 0, left, quota, output.records)
                {
                    output
                        .run(&window.bytes()[..cut], 1)
                        .map_err(CopyError::Write)?;
                    break End::Cut;
                }
                let limit = quota.bytes.saturating_mul(8).clamp(PATIENCE, MAX_RECORD);
                if have > limit {
                    break End::TooLong(have);
                }
                if !window.more().map_err(CopyError::Read)? && window.bytes().is_empty() {
                    break End::Content;
                }
            }
            Next::Done => break End::Content,
            Next::Broken(_) if window.damage.is_some() => break End::Content,
            Next::Broken(why) => break End::Broken(why),
        }
    };
    flush(window, output, &mut run, &mut run_records)?;
    window.consume(at);
    Ok(end)
}

fn flush(
    window: &Window,
    output: &mut Output<'_>,
    run: &mut std::ops::Range<usize>,
    records: &mut u64,
) -> Result<(), CopyError> {
    output
        .run(&window.bytes()[run.clone()], *records)
        .map_err(CopyError::Write)?;
    *run = 0..0;
    *records = 0;
    Ok(())
}

/// Where the record at `start` is to be cut, if without it too little were taken and its kind
/// allows it. Only sequences may be cut behind whole records; other texts only where not even one
/// record fits.
fn cut(
    content: &Content,
    window: &Window,
    start: usize,
    left: u64,
    quota: &Quota,
    records: u64,
) -> Option<usize> {
    let rest = &window.bytes()[start..];
    let short = rest.len() < MIN_CUT;
    if short || quota.records != u64::MAX || left < quota.bytes / 8 || left == 0 {
        return None;
    }
    if records > 0 && *content != Content::Fasta {
        return None;
    }
    let want = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
    content.cut(&rest[..want]).map(|n| start + n)
}
