//! Smaller files of the same format: valid, made of the original's own records, and cheap.
//!
//! A sample of a fraction `f` costs about `f` times what reading the file costs: plain files and
//! BGZF are read only where records are taken from; other compressed files only from the start on.
//! Every sample keeps the file's header, holds whole records only (unless a [`Note`] says
//! otherwise), in their order, and is the same each time for the same seed.

mod copy;
mod directory;
mod measure;
mod part;
mod plan;
mod random;
mod rows;
mod samples;
mod sink;
mod source;
mod window;

use std::io;
use std::path::PathBuf;

use foreshadow_quantity::Bytes;

pub use measure::ContentSize;
pub use plan::{Plan, Treatment};
pub use samples::Samples;

/// Which records make a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// The first ones.
    Contiguous,
    /// A few stretches of neighbours, spread over the file: for work that depends on locality.
    Blocks,
    /// Single records from many places: for work that depends on how many different ones there
    /// are.
    Random,
}

/// What a sample turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleReport {
    /// Content taken, of the uncompressed content after the header.
    pub fraction: f64,
    /// Whether the content's whole size is known exactly, and so the fraction.
    pub exact: bool,
    /// Bytes written.
    pub bytes: Bytes,
    /// Uncompressed bytes in the sample, header included.
    pub content: Bytes,
    /// Records taken, where the content has records and they were counted.
    pub records: Option<u64>,
    /// The strategy that was really followed.
    pub strategy: Strategy,
    /// What else must be known about the sample.
    pub notes: Vec<Note>,
}

/// Something about a sample that its numbers don't show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Another strategy was asked for, but only a prefix could be taken, for this reason.
    Contiguous(&'static str),
    /// The last record was cut, since it is longer than the whole sample.
    RecordCut,
    /// The file changed since it was first looked at.
    SourceChanged {
        /// Its size then.
        was: Bytes,
        /// Its size now.
        now: Bytes,
    },
    /// The file is damaged at some place; the sample was taken from what is before it.
    Damaged(String),
    /// The hidden files of a directory are large, and were left out.
    HiddenLeftOut,
}

/// Why there is no sample.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// The input can't be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The input.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The sample can't be written: where the disk of the shadow is full, for one.
    #[error("cannot write the sample of {}: {source}", path.display())]
    Write {
        /// The input.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The input has no parts that a smaller one could be made of.
    #[error("{} cannot be sampled: {reason}", path.display())]
    Unsupported {
        /// The input.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The first record is far longer than the sample that was asked for.
    #[error(
        "{} cannot be sampled: its first record has at least {at_least}, a sample of {target} was \
         wanted",
        path.display()
    )]
    RecordTooLong {
        /// The input.
        path: PathBuf,
        /// The record's length, as far as it was read.
        at_least: Bytes,
        /// The length of the sample.
        target: Bytes,
    },
    /// The input isn't what its first bytes promised.
    #[error("{} cannot be sampled: {reason}", path.display())]
    Damaged {
        /// The input.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A fraction that is none.
    #[error("a sample's fraction must be above 0 and at most 1, not {0}")]
    Fraction(f64),
    /// There is no such input.
    #[error("no input number {index}: there are {count}")]
    NoSuchInput {
        /// The number asked for, from 0.
        index: usize,
        /// How many there are.
        count: usize,
    },
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Note::Contiguous(why) => write!(f, "only its beginning was taken: {why}"),
            Note::RecordCut => f.write_str("its last record was cut"),
            Note::SourceChanged { was, now } if was == now => {
                f.write_str("it was changed meanwhile")
            }
            Note::SourceChanged { was, now } => {
                write!(f, "it was changed meanwhile, from {was} to {now}")
            }
            Note::HiddenLeftOut => f.write_str("its hidden files are large and were left out"),
            Note::Damaged(why) => write!(f, "it is damaged behind what was taken: {why}"),
        }
    }
}
