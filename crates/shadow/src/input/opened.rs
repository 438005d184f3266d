//! Files that a run really opened, told apart into data and the rest.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use foreshadow_quantity::Bytes;

use super::look::look;
use super::walk::walk;
use super::{Input, Kind, Origin, Role};

/// Files smaller than this are not worth sampling.
const SMALL: Bytes = Bytes::kib(64);
/// So many files in one directory are an input together ...
const MANY: usize = 32;
/// ... or so many, where they are a small part of what it holds.
const FEW: usize = 3;

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
/// already, or in a directory that is, are neither added nor left out. What lies below `cwd` or a
/// path that some argument mentions is looked at more kindly: a hidden directory or a part of the
/// system that a command points to is meant.
pub fn merge_opened(
    inputs: Vec<Input>,
    opened: &[PathBuf],
    argv: &[OsString],
    cwd: &Path,
) -> Merged {
    let mentioned = mentioned(argv, cwd);
    let mut merged = Merged {
        inputs,
        excluded: Vec::new(),
    };
    let mut files: Vec<Seen> = Vec::new();
    for path in opened {
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        let known = merged.inputs.iter().any(|i| {
            i.real == real
                || (i.role == Role::Data
                    && matches!(i.kind, Kind::Directory { .. })
                    && real.starts_with(&i.real))
        });
        let seen = files.iter().any(|f| f.real == real);
        if known || seen || merged.excluded.iter().any(|(p, _)| p == path) {
            continue;
        }
        if let Some(why) = exclusion(&real, &mentioned) {
            merged.excluded.push((path.clone(), why));
            continue;
        }
        match std::fs::metadata(&real) {
            Ok(metadata) if metadata.is_file() => files.push(Seen {
                directory: directory_of(&real, &mentioned),
                path: path.clone(),
                real,
                bytes: Bytes::new(metadata.len()),
            }),
            _ => merged.excluded.push((path.clone(), Exclusion::NotRegular)),
        }
    }
    for directory in directories(&files, cwd) {
        files.retain(|f| !f.real.starts_with(&directory));
        merged
            .inputs
            .push(look(directory, Origin::Opened, Role::Data));
    }
    for file in files {
        if file.bytes < SMALL {
            let why = Exclusion::Small(file.bytes);
            merged.excluded.push((file.path, why));
        } else {
            merged
                .inputs
                .push(look(file.path, Origin::Opened, Role::Data));
        }
    }
    merged
}

/// A file that was opened and may be data.
struct Seen {
    path: PathBuf,
    real: PathBuf,
    bytes: Bytes,
    /// The directory that it is perhaps a part of, as an input.
    directory: PathBuf,
}

/// A file below a directory that the command mentions belongs to that directory, or to the one
/// below it on the way to the file; any other to the one it lies in.
fn directory_of(real: &Path, mentioned: &[PathBuf]) -> PathBuf {
    let parent = real.parent().unwrap_or(Path::new("/"));
    let root = mentioned
        .iter()
        .filter(|m| parent.starts_with(m))
        .max_by_key(|m| m.components().count());
    let Some(root) = root else {
        return parent.to_owned();
    };
    match parent.strip_prefix(root).ok().and_then(|p| p.iter().next()) {
        Some(first) => root.join(first),
        None => root.clone(),
    }
}

/// The directories that are inputs as a whole: many files of theirs were opened, or a few of many
/// while the run was watched for a moment only.
fn directories(files: &[Seen], cwd: &Path) -> Vec<PathBuf> {
    let mut groups: BTreeMap<&Path, (usize, Bytes)> = BTreeMap::new();
    for file in files {
        let group = groups.entry(&file.directory).or_default();
        group.0 += 1;
        group.1 = group.1 + file.bytes;
    }
    groups
        .into_iter()
        .filter(|(directory, (count, bytes))| {
            // The working directory holds all sorts of things.
            let few = if *directory == cwd { MANY } else { FEW };
            *count >= MANY && *bytes >= SMALL || *count >= few && holds_far_more(directory, *count)
        })
        .map(|(directory, _)| directory.to_owned())
        .collect()
}

fn holds_far_more(directory: &Path, opened: usize) -> bool {
    matches!(walk(directory), Ok(Ok(tree)) if tree.files >= 4 * opened as u64
        && Bytes::new(tree.bytes) >= SMALL)
}

/// The directories and files that the words of a command mention, wherever in an argument, and the
/// working directory; links followed.
fn mentioned(argv: &[OsString], cwd: &Path) -> Vec<PathBuf> {
    // Too little of a path says nothing: `/`, `/usr`, `/home`.
    const LEAST_PARTS: usize = 3;
    let ends_word = |b: &u8| b.is_ascii_whitespace() || b"\"'=,:;<>|&(){}$`".contains(b);
    let words = argv
        .iter()
        .skip(1)
        .flat_map(|argument| argument.as_bytes().split(ends_word))
        .filter(|word| word.contains(&b'/'));
    let mut found: Vec<PathBuf> = vec![cwd.to_owned()];
    for word in words {
        // A pattern's fixed part is a directory: `pictures/*.ppm`.
        let fixed = word
            .iter()
            .position(|b| b"*?[".contains(b))
            .and_then(|at| word[..at].iter().rposition(|b| *b == b'/'))
            .map_or(word, |slash| &word[..slash]);
        found.push(cwd.join(OsStr::from_bytes(fixed)));
    }
    found
        .iter()
        .filter_map(|path| path.canonicalize().ok())
        .filter(|path| path.components().count() >= LEAST_PARTS)
        .collect()
}

/// Why a file at this path is no data, judged by its path alone.
fn exclusion(path: &Path, mentioned: &[PathBuf]) -> Option<Exclusion> {
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
    let meant = mentioned.iter().find_map(|m| path.strip_prefix(m).ok());
    // Data may well lie here, as /usr/share/dict/words does; but then a command names it.
    if meant.is_none()
        && under(&[
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
        ])
    {
        return Some(Exclusion::System);
    }
    let hidden = meant.unwrap_or(path).parent().is_some_and(|parent| {
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
