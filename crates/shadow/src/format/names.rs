//! What a file's name says about its content. Names only decide between readings that the content
//! itself allows, and tell when the two disagree.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// What a name promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// Delimited text with this delimiter where the name fixes it.
    Delimited(Option<u8>),
    JsonLines,
    Json,
    Fasta,
    Fastq,
    Text,
    /// Text whose lines depend on one another: program sources, configurations, mark-up.
    Source,
    /// Numbers in the first lines count the lines after them.
    Counted,
}

/// What a name says about container and content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Name {
    /// A suffix of compressed files, such as `gz`.
    pub compressed: Option<&'static str>,
    /// The suffix of the content, and what it promises.
    pub content: Option<(&'static str, Named)>,
}

const COMPRESSED: [&str; 9] = [
    "gz", "bgz", "bgzf", "zst", "zstd", "xz", "bz2", "tgz", "gzip",
];

const CONTENT: &[(&str, Named)] = &[
    ("csv", Named::Delimited(None)),
    ("tsv", Named::Delimited(Some(b'\t'))),
    ("tab", Named::Delimited(Some(b'\t'))),
    ("psv", Named::Delimited(Some(b'|'))),
    ("jsonl", Named::JsonLines),
    ("ndjson", Named::JsonLines),
    ("jl", Named::JsonLines),
    ("json", Named::Json),
    ("geojson", Named::Json),
    ("fa", Named::Fasta),
    ("fasta", Named::Fasta),
    ("fna", Named::Fasta),
    ("faa", Named::Fasta),
    ("fq", Named::Fastq),
    ("fastq", Named::Fastq),
    ("txt", Named::Text),
    ("log", Named::Text),
    ("mtx", Named::Counted),
    ("ply", Named::Counted),
    ("py", Named::Source),
    ("pl", Named::Source),
    ("rb", Named::Source),
    ("sh", Named::Source),
    ("bash", Named::Source),
    ("r", Named::Source),
    ("js", Named::Source),
    ("mjs", Named::Source),
    ("ts", Named::Source),
    ("lua", Named::Source),
    ("php", Named::Source),
    ("awk", Named::Source),
    ("sed", Named::Source),
    ("c", Named::Source),
    ("h", Named::Source),
    ("cc", Named::Source),
    ("cpp", Named::Source),
    ("cxx", Named::Source),
    ("hpp", Named::Source),
    ("rs", Named::Source),
    ("go", Named::Source),
    ("java", Named::Source),
    ("scala", Named::Source),
    ("hs", Named::Source),
    ("ml", Named::Source),
    ("f90", Named::Source),
    ("sql", Named::Source),
    ("ipynb", Named::Source),
    ("toml", Named::Source),
    ("yaml", Named::Source),
    ("yml", Named::Source),
    ("ini", Named::Source),
    ("cfg", Named::Source),
    ("conf", Named::Source),
    ("xml", Named::Source),
    ("html", Named::Source),
    ("svg", Named::Source),
    ("tex", Named::Source),
    ("css", Named::Source),
];

/// Reads the suffixes of a file name.
pub(crate) fn read(name: &OsStr) -> Name {
    let lower = name.as_bytes().to_ascii_lowercase();
    let mut rest = &lower[..];
    let mut compressed = None;
    for suffix in COMPRESSED {
        if let Some(stem) = strip_suffix(rest, suffix) {
            compressed = Some(suffix);
            rest = stem;
            break;
        }
    }
    let content = CONTENT
        .iter()
        .find(|(suffix, _)| strip_suffix(rest, suffix).is_some())
        .copied();
    Name {
        compressed,
        content,
    }
}

fn strip_suffix<'a>(name: &'a [u8], suffix: &str) -> Option<&'a [u8]> {
    name.strip_suffix(suffix.as_bytes())?.strip_suffix(b".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_in_layers() {
        let name = read(OsStr::from_bytes(b"a\xff.CSV.gz"));
        assert_eq!(name.compressed, Some("gz"));
        assert_eq!(name.content, Some(("csv", Named::Delimited(None))));
        assert_eq!(read(OsStr::new("csv")), Name::default());
    }
}
