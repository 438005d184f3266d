//! Files that a run really opened, told apart into data and the rest.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use foreshadow_quantity::Bytes;

use super::look::look;
use super::{Input, Kind, Origin, Role};

/// Files smaller than this are not worth sampling.
const SMALL: Bytes = Bytes::kib(64);
/// So many small files in one directory are an input together.
const MANY: usize = 32;

/// Inputs after a run was watched, and what was left out.
#[derive(Clone, Debug)]
pub struct Merged {
    /// The inputs known before, and the new ones.
    pub inputs: Vec<Input>,
    /// Files that were opened but are no inputs, each with the reason.
    pub excluded: Vec<(PathBuf, Exclusion)>,
}

/// Why an opened file is no input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exclusion {
    /// Made by the kernel: under `/proc`, `/sys` or `/dev`.
    Kernel,
    /// A shared library.
    Library,
    /// Words and sorting orders of a language, or time zones.
    Locale,
    /// A part of the system.
    System,
    /// A part of an interpreter or a program's source.
    Code,
    /// In a cache or a hidden directory.
    HiddenCache,
    /// An index of another file.
    Index,
    /// Too small to matter.
    Small(Bytes),
    /// Gone, or no regular file.
    NotRegular,
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Exclusion::Kernel => "made by the kernel",
            Exclusion::Library => "a shared library",
            Exclusion::Locale => "a locale or time zone",
            Exclusion::System => "a part of the system",
            Exclusion::Code => "program code",
            Exclusion::HiddenCache => "in a cache or hidden directory",
            Exclusion::Index => "an index of another file",
            Exclusion::Small(bytes) => return write!(f, "only {bytes}"),
            Exclusion::NotRegular => "gone, or no regular file",
        })
    }
}

/// Adds the files in `opened` (absolute paths) to `inputs`, where they are data. Files named
/// already, or in a directory that is, are neither added nor left out.
pub fn merge_opened(inputs: Vec<Input>, opened: &[PathBuf]) -> Merged {
    let mut merged = Merged {
        inputs,
        excluded: Vec::new(),
    };
    let mut small: BTreeMap<PathBuf, Vec<(PathBuf, Bytes)>> = BTreeMap::new();
    for path in opened {
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        let known = merged.inputs.iter().any(|i| {
            i.real == real
                || (matches!(i.kind, Kind::Directory { .. }) && real.starts_with(&i.real))
        });
        if known || merged.excluded.iter().any(|(p, _)| p == path) {
            continue;
        }
        if let Some(why) = exclusion(&real) {
            merged.excluded.push((path.clone(), why));
            continue;
        }
        match std::fs::metadata(&real) {
            Ok(metadata) if metadata.is_file() => {
                let bytes = Bytes::new(metadata.len());
                if bytes < SMALL {
                    let parent = path.parent().unwrap_or(Path::new("/")).to_owned();
                    let group = small.entry(parent).or_default();
                    if !group.iter().any(|(p, _)| p == path) {
                        group.push((path.clone(), bytes));
                    }
                } else {
                    merged
                        .inputs
                        .push(look(path.clone(), Origin::Opened, Role::Data));
                }
            }
            _ => merged.excluded.push((path.clone(), Exclusion::NotRegular)),
        }
    }
    for (parent, files) in small {
        let total: Bytes = files.iter().map(|(_, bytes)| *bytes).sum();
        if files.len() >= MANY && total >= SMALL {
            merged.inputs.push(look(parent, Origin::Opened, Role::Data));
        } else {
            let small = files
                .into_iter()
                .map(|(path, bytes)| (path, Exclusion::Small(bytes)));
            merged.excluded.extend(small);
        }
    }
    merged
}

/// Why a file at this path is no data, judged by its path alone.
fn exclusion(path: &Path) -> Option<Exclusion> {
    let under = |roots: &[&str]| roots.iter().any(|root| path.starts_with(root));
    let name = path.file_name().unwrap_or_default().as_bytes();
    let suffix = path.extension().unwrap_or_default().as_bytes();
    if under(&["/proc", "/sys", "/dev"]) {
        return Some(Exclusion::Kernel);
    }
    if suffix == b"so" || memchr::memmem::find(name, b".so.").is_some() {
        return Some(Exclusion::Library);
    }
    if under(&[
        "/usr/share/zoneinfo",
        "/usr/lib/locale",
        "/usr/share/locale",
        "/usr/share/i18n",
    ]) || path == Path::new("/etc/localtime")
    {
        return Some(Exclusion::Locale);
    }
    let part = |wanted: &[&str]| {
        path.iter()
            .any(|c| wanted.iter().any(|w| c.as_bytes() == w.as_bytes()))
    };
    if part(&[
        "site-packages",
        "dist-packages",
        "node_modules",
        "__pycache__",
        "gems",
    ]) || matches!(
        suffix,
        b"pyc"
            | b"pyo"
            | b"py"
            | b"pm"
            | b"pl"
            | b"rb"
            | b"jar"
            | b"class"
            | b"js"
            | b"mjs"
            | b"R"
            | b"rdb"
            | b"rdx"
            | b"lua"
    ) {
        return Some(Exclusion::Code);
    }
    // Data may well lie here, as /usr/share/dict/words does; but then a command names it.
    if under(&[
        "/usr",
        "/lib",
        "/lib32",
        "/lib64",
        "/bin",
        "/sbin",
        "/etc",
        "/opt",
        "/run",
        "/var/cache",
        "/var/lib",
        "/boot",
    ]) {
        return Some(Exclusion::System);
    }
    let hidden = path.parent().is_some_and(|parent| {
        parent
            .iter()
            .any(|c| c.as_bytes().starts_with(b".") || c.as_bytes() == b"cache")
    });
    if hidden {
        return Some(Exclusion::HiddenCache);
    }
    if matches!(
        suffix,
        b"fai"
            | b"bai"
            | b"csi"
            | b"tbi"
            | b"crai"
            | b"gzi"
            | b"idx"
            | b"bwt"
            | b"sa"
            | b"pac"
            | b"amb"
            | b"ann"
            | b"0123"
            | b"mmi"
            | b"bt2"
            | b"ht2"
    ) {
        return Some(Exclusion::Index);
    }
    None
}
