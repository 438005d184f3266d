//! Reading traces: streaming, by header names, never failing for single rows.

mod history;
mod lines;
mod sacct;
mod swf;
mod table;
mod units;

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::str::FromStr;

use flate2::read::MultiGzDecoder;

use crate::trace::Trace;
use lines::Lines;

/// The format of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Nextflow's `trace.txt` (tab-separated) or the same columns as CSV, raw or human units.
    Nextflow,
    /// `sacct --parsable2` (columns separated by `|`).
    Sacct,
    /// Standard Workload Format 2.2 of the Parallel Workloads Archive.
    Swf,
    /// Outcomes of this program (`foreshadow.outcome/1`), as JSON lines or an array.
    Foreshadow,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Nextflow => "nextflow",
            Format::Sacct => "sacct",
            Format::Swf => "swf",
            Format::Foreshadow => "foreshadow",
        })
    }
}

impl FromStr for Format {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s {
            "nextflow" => Ok(Format::Nextflow),
            "sacct" => Ok(Format::Sacct),
            "swf" => Ok(Format::Swf),
            "foreshadow" => Ok(Format::Foreshadow),
            _ => Err(format!(
                "'{s}' is not a trace format: nextflow, sacct, swf or foreshadow"
            )),
        }
    }
}

/// Which columns to take.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// The format; found from the content where None.
    pub format: Option<Format>,
    /// Columns to predict from; those usual for the format where empty.
    pub features: Vec<String>,
    /// Column with the peak memory; the usual one of the format where None.
    pub target: Option<String>,
    /// Where both exist and no target is named: `rss` (as the Sizey paper) rather than `peak_rss`.
    pub prefer_rss: bool,
}

/// Why a trace as a whole can't be used. Single broken rows are no error: they are counted.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// It can't be read at all.
    #[error("can't read the trace: {0}")]
    Read(#[from] std::io::Error),
    /// No line in it.
    #[error("the trace is empty: expected a header and one row per finished task")]
    Empty,
    /// It looks like none of the formats.
    #[error(
        "the trace is in no known format (its first line is '{first}'); name one with --format: nextflow, sacct, swf or foreshadow"
    )]
    UnknownFormat {
        /// The start of the first line.
        first: String,
    },
    /// A column without which nothing can be said is not there.
    #[error("no column for {what}: looked for {wanted}; found {found}")]
    NoColumn {
        /// What it would have told.
        what: &'static str,
        /// Names looked for.
        wanted: String,
        /// Names in the header.
        found: String,
    },
    /// No row could be used.
    #[error("none of the {read} rows can be used: {reasons}")]
    NoRows {
        /// Rows read.
        read: u64,
        /// Reasons with counts.
        reasons: String,
    },
}

/// Reads a trace, compressed with gzip or not.
///
/// # Errors
/// Where nothing at all in it is usable.
pub fn read(input: impl Read, columns: &Columns) -> Result<Trace, TraceError> {
    let mut input = BufReader::with_capacity(1 << 16, input);
    let gz = input.fill_buf()?.starts_with(&[0x1F, 0x8B]);
    let mut trace = if gz {
        let input = BufReader::with_capacity(1 << 16, MultiGzDecoder::new(input));
        read_plain(Lines::new(input), columns)?
    } else {
        read_plain(Lines::new(input), columns)?
    };
    trace.finish();
    if trace.tasks.is_empty() {
        if trace.read == 0 {
            return Err(TraceError::Empty);
        }
        let reasons: Vec<String> = trace
            .skipped
            .iter()
            .map(|(reason, n)| format!("{reason} ({n})"))
            .collect();
        return Err(TraceError::NoRows {
            read: trace.read,
            reasons: reasons.join(", "),
        });
    }
    Ok(trace)
}

fn read_plain<R: BufRead>(mut lines: Lines<R>, columns: &Columns) -> Result<Trace, TraceError> {
    let Some(first) = lines.peek()? else {
        return Err(lines.failure().map_or(TraceError::Empty, TraceError::Read));
    };
    let format = match columns.format.or_else(|| guess(first)) {
        Some(format) => format,
        None => {
            return Err(TraceError::UnknownFormat {
                first: printable(first, 60),
            });
        }
    };
    let mut trace = match format {
        Format::Nextflow => table::read(&mut lines, columns)?,
        Format::Sacct => sacct::read(&mut lines, columns)?,
        Format::Swf => swf::read(&mut lines, columns)?,
        Format::Foreshadow => history::read(&mut lines, columns)?,
    };
    if let Some(error) = lines.failure() {
        trace.warnings.push(format!(
            "the trace ends early ({error}); the {} rows before are used",
            trace.read
        ));
    }
    Ok(trace)
}

fn guess(first: &str) -> Option<Format> {
    let first = first.trim_start_matches('\u{feff}').trim();
    if first.starts_with(';') {
        return Some(Format::Swf);
    }
    if first.starts_with(['{', '[']) {
        return Some(Format::Foreshadow);
    }
    if first.contains(|c: char| c.is_control() && c != '\t') {
        return None;
    }
    if first.contains('|') {
        return Some(Format::Sacct);
    }
    let fields: Vec<&str> = first.split_whitespace().collect();
    if fields.len() >= 11 && fields.iter().all(|f| f.parse::<f64>().is_ok()) {
        return Some(Format::Swf);
    }
    (first.contains('\t') || first.contains(',')).then_some(Format::Nextflow)
}

/// The place of the first of `wanted` that the header has (letter case ignored).
fn find(header: &[String], wanted: &[&str]) -> Option<usize> {
    wanted
        .iter()
        .find_map(|w| header.iter().position(|h| h.eq_ignore_ascii_case(w)))
}

fn need(header: &[String], wanted: &[&str], what: &'static str) -> Result<usize, TraceError> {
    find(header, wanted).ok_or_else(|| TraceError::NoColumn {
        what,
        wanted: wanted.join(", "),
        found: printable(&header.join(", "), 600),
    })
}

/// The start of a text from a file, safe to show in a terminal.
fn printable(s: &str, most: usize) -> String {
    let clean = |c: char| if c.is_control() { '\u{FFFD}' } else { c };
    let mut out: String = s.chars().take(most).map(clean).collect();
    if out.len() < s.len() && s.chars().count() > most {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests;
