//! What a command reads: found in its words, on its standard input, and among the files that a
//! run of it really opened.

mod discover;
mod look;
mod opened;
mod programs;
mod shapes;
mod walk;
mod words;

use std::fmt;
use std::path::PathBuf;

use foreshadow_quantity::Bytes;

use crate::format::Format;

pub use discover::{Request, StandardInput, discover};
pub use opened::{Exclusion, Merged, merge_opened};
pub use programs::{AnyBytes, takes_any_bytes};
pub(crate) use walk::{EntryKind, Tree, walk};

/// A file or directory that a command names or reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Its absolute path, as the command names it.
    pub path: PathBuf,
    /// Its path with all symbolic links followed: what must be replaced for the command to read
    /// something else. The same as `path` where it can't be told.
    pub real: PathBuf,
    /// The size of the file, or of all files of the directory together, by their metadata.
    pub bytes: Bytes,
    /// What it is.
    pub kind: Kind,
    /// Where it was found.
    pub origin: Origin,
    /// What the command seems to do with it.
    pub role: Role,
}

/// What an input is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File(Format),
    /// A directory with this many regular files in it, at all depths.
    Directory {
        /// The number of regular files.
        files: u64,
    },
    /// Nothing that a sample could be made of.
    Unreadable(Unreadable),
}

/// Why an input can't be read, or not twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// There is no such file.
    Missing,
    /// The symbolic link leads nowhere.
    DanglingLink,
    /// The system refused, with this message.
    Refused(String),
    /// A pipe: what is read from it is gone, and can't be replayed.
    Pipe,
    /// A socket: what is read from it is gone, and can't be replayed.
    Socket,
    /// A terminal: somebody types.
    Terminal,
    /// A device.
    Device,
    /// A directory with more entries than can be looked at in the time there is.
    TooManyEntries {
        /// How many were seen.
        seen: u64,
    },
    /// A directory of the system (`/`, `/usr`, `/proc` and their like).
    SystemDirectory,
}

/// Where an input was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An argument of its own, by its number in the command (0 is the program).
    Argument(usize),
    /// The value of an option, in the argument of this number.
    Option(usize),
    /// A word of the shell script in the argument of this number.
    Script(usize),
    /// Standard input.
    Stdin,
    /// Opened in a run that was watched.
    Opened,
}

/// What the command seems to do with an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads it as data.
    Data,
    /// Runs it.
    Script,
    /// Writes it: never sampled.
    Output,
    /// Reads it, but more of it wouldn't mean more work: never sampled.
    Reference(Reference),
}

/// Why a file is a reference rather than data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// An index of another file, or a file beside it that must fit it.
    Index,
    /// A configuration, a list of patterns or a model named by an option.
    Configuration,
    /// A part of the system.
    System,
}

impl Input {
    /// Whether smaller versions of it can be made: data in a known format, or a directory.
    pub fn can_be_sampled(&self) -> bool {
        self.role == Role::Data
            && match &self.kind {
                Kind::File(format) => format.can_be_sampled(),
                Kind::Directory { files } => *files > 0,
                Kind::Unreadable(_) => false,
            }
    }

    /// The name of its format: `csv`, `fastq.gz`, `directory`, or why there is none.
    pub fn format_name(&self) -> String {
        match &self.kind {
            Kind::File(format) => format.to_string(),
            Kind::Directory { .. } => "directory".into(),
            Kind::Unreadable(why) => why.to_string(),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Missing => f.write_str("there is no such file"),
            Unreadable::DanglingLink => f.write_str("the link leads nowhere"),
            Unreadable::Refused(why) => write!(f, "cannot be read: {why}"),
            Unreadable::Pipe => {
                f.write_str("a pipe can't be replayed; name a file instead, or redirect one")
            }
            Unreadable::Socket => f.write_str("a socket can't be replayed"),
            Unreadable::Terminal => f.write_str("a terminal can't be replayed"),
            Unreadable::Device => f.write_str("a device"),
            Unreadable::TooManyEntries { seen } => {
                write!(f, "a directory with more than {seen} entries")
            }
            Unreadable::SystemDirectory => f.write_str("a directory of the system"),
        }
    }
}
