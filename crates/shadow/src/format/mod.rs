//! What is in a file: the compression around it and the kind of its records, told by the first
//! bytes of its content before its name.

mod container;
mod csv;
mod delimited;
mod detect;
mod json;
mod names;
mod npy;
mod records;
mod rows;
mod tar;
mod xml;

use std::fmt;

pub use container::Container;
pub(crate) use container::{Reader, bgzf_block_size, read_full};
pub use detect::detect;
pub(crate) use detect::{HEAD, detect_file};
pub(crate) use records::Next;
pub use rows::RowLayout;
pub use xml::XmlLayout;

/// How a file is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// The compression around the content.
    pub container: Container,
    /// The content.
    pub content: Content,
    /// What doesn't fit together about the file, if anything.
    pub doubt: Option<Doubt>,
}

/// The kind of a file's content, and so of its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing.
    Empty,
    /// Text in lines that end with this byte.
    Lines {
        /// Usually `\n`; NUL for lists meant for `xargs -0`, `\r` for very old texts.
        terminator: u8,
    },
    /// Rows of fields: CSV, TSV and kin.
    Delimited {
        /// What stands between fields.
        delimiter: u8,
        /// Fields of each row, where all rows of the head have the same number.
        columns: Option<usize>,
        /// Whether the first row names the columns. It is kept in every sample either way.
        header: bool,
        /// Whether quotes protect delimiters and newlines.
        quoted: bool,
    },
    /// One JSON value a line.
    JsonLines,
    /// One JSON array of records, by itself or as the main part of an object.
    JsonArray {
        /// Where its bracket is.
        open: usize,
        /// How many objects are around it.
        depth: usize,
        /// What each element's line begins with, where each has lines of its own.
        indent: Option<Vec<u8>>,
    },
    /// Named sequences, each record from `>` to the next.
    Fasta,
    /// Reads in records of four lines.
    Fastq,
    /// Alignments as text, behind `@` lines.
    Sam,
    /// Variants as text, behind `#` lines.
    Vcf,
    /// Alignments in binary records.
    Bam,
    /// Rows of one size behind a header that counts them: a NumPy array, a WAVE sound, a PNM
    /// picture.
    Rows(RowLayout),
    /// An XML document whose root element has many children, each on lines of its own.
    Xml(XmlLayout),
    /// A tar archive.
    Tar,
    /// Recognised, and known to have no parts that a sample could be made of.
    Opaque(&'static str),
    /// Text whose lines depend on one another: a program, a configuration, mark-up.
    Source,
    /// Bytes of no known structure.
    Binary,
}

/// Something about a file that doesn't fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The name ends like one kind of file, the content is another.
    NameDisagrees {
        /// The suffix that promised something else.
        suffix: &'static str,
    },
    /// The compressed data can't be decoded.
    Corrupt(String),
    /// The compressed data ends too early.
    Truncated,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doubt::NameDisagrees { suffix } => {
                write!(f, "the name ends in .{suffix}, but the content doesn't")
            }
            Doubt::Corrupt(why) => write!(f, "the compressed data is damaged: {why}"),
            Doubt::Truncated => f.write_str("the compressed data ends too early"),
        }
    }
}

impl Content {
    /// A short name, as file suffixes are: `csv`, `fastq`, `lines`.
    pub fn name(&self) -> &'static str {
        match self {
            Content::Empty => "empty",
            Content::Lines { .. } => "lines",
            Content::Delimited {
                delimiter: b'\t', ..
            } => "tsv",
            Content::Delimited { .. } => "csv",
            Content::JsonLines => "jsonl",
            Content::JsonArray { .. } => "json",
            Content::Fasta => "fasta",
            Content::Fastq => "fastq",
            Content::Sam => "sam",
            Content::Vcf => "vcf",
            Content::Bam => "bam",
            Content::Rows(layout) => layout.name(),
            Content::Xml(_) => "xml",
            Content::Tar => "tar",
            Content::Opaque(what) => what,
            Content::Source => "source text",
            Content::Binary => "binary",
        }
    }
}

impl Format {
    /// Whether a smaller file of the same format can be made from it.
    pub fn can_be_sampled(&self) -> bool {
        self.why_not_sampled().is_none()
    }

    /// Why no smaller file of the same format can be made from it; `None` where it can.
    pub fn why_not_sampled(&self) -> Option<String> {
        if let Some(Doubt::Corrupt(why)) = &self.doubt {
            return Some(format!("the compressed data is damaged: {why}"));
        }
        if !self.container.is_decoded() {
            return Some(format!("{} is not decoded", self.container.suffix()));
        }
        match &self.content {
            Content::Empty => Some("it is empty".into()),
            Content::Opaque(what) => Some(format!("{what}: it has no parts to take")),
            Content::Source => Some("its lines depend on one another".into()),
            Content::Binary => Some("binary data of no known structure".into()),
            Content::Rows(_) if self.container != Container::Plain => {
                Some("a compressed array, sound or picture".into())
            }
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    /// The content's name and the container's suffix: `csv`, `fastq.gz`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.content.name())?;
        if self.container != Container::Plain {
            write!(f, ".{}", self.container.suffix())?;
        }
        Ok(())
    }
}
