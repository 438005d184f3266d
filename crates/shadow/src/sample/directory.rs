//! Samples of directories: some of the files, or parts of each where they are few and large.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::BufWriter;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use foreshadow_quantity::Bytes;

use crate::input::{AnyBytes, EntryKind, Tree};

use super::random::Random;
use super::source::Source;
use super::{Note, SampleError, SampleReport, Strategy};

/// Hidden files stay whole, as long as they are no more than this together.
const HIDDEN: u64 = 16 << 20;
/// A file that is more than a quarter of the sample to be is shortened rather than chosen, unless
/// it is smaller than this.
const SHORTENED: u64 = 64 << 10;

/// Kinds of files that are so few, compared with the most frequent kind, stay whole ...
const ODD_SHARE: f64 = 0.05;
/// ... or so few, among more than a handful ...
const ODD_COUNT: usize = 2;
const HANDFUL: usize = 8;
/// ... where they are no larger than this.
const ODD_SIZE: u64 = 64 << 10;

/// One sample of one directory.
pub(crate) struct Job<'a> {
    pub root: &'a Path,
    pub tree: &'a Tree,
    pub fraction: f64,
    pub strategy: Strategy,
    pub any_bytes: AnyBytes,
    pub keep: &'a [OsString],
}

#[derive(Default)]
struct Done {
    files: u64,
    /// Bytes in the sample, and how much of the data they stand for.
    bytes: u64,
    data: f64,
    exact: bool,
}

impl Job<'_> {
    #[expect(clippy::cast_precision_loss, reason = "shares")]
    pub(crate) fn write(
        &self,
        destination: &Path,
        random: &mut Random,
    ) -> Result<SampleReport, SampleError> {
        self.structure(destination)?;
        let mut done = Done {
            exact: true,
            ..Done::default()
        };
        let mut notes = Vec::new();
        let odd = self.odd();
        let mut data: Vec<(&Path, u64)> = Vec::new();
        let mut hidden: Vec<(&Path, u64)> = Vec::new();
        for entry in &self.tree.entries {
            let EntryKind::File { bytes } = entry.kind else {
                continue;
            };
            let path = entry.path.as_path();
            if self.keep.iter().any(|k| path.file_name() == Some(k)) || odd.contains(path) {
                self.copy(path, destination, &mut done)?;
            } else if is_hidden(path) {
                hidden.push((path, bytes));
            } else {
                data.push((path, bytes));
            }
        }
        if hidden.iter().map(|(_, b)| b).sum::<u64>() <= HIDDEN {
            for (path, _) in hidden {
                self.copy(path, destination, &mut done)?;
            }
        } else {
            notes.push(Note::HiddenLeftOut);
        }
        let total: u64 = data.iter().map(|(_, bytes)| bytes).sum();
        let mut chosen_from = Vec::new();
        for (path, bytes) in data {
            let dominant = bytes as f64 > total as f64 * self.fraction / 4.0;
            if self.fraction < 1.0 && dominant && bytes >= SHORTENED {
                match self.shorten(path, destination, random, &mut done) {
                    Ok(share) => {
                        done.data += share * bytes as f64;
                        continue;
                    }
                    // No format of parts: taken or left as a whole, like the small ones.
                    Err(
                        SampleError::Unsupported { .. }
                        | SampleError::RecordTooLong { .. }
                        | SampleError::Damaged { .. },
                    ) => {}
                    Err(e) => return Err(e),
                }
            }
            chosen_from.push((path, bytes));
        }
        for (path, bytes) in self.choose(chosen_from, done.data <= 0.0, random) {
            self.copy(path, destination, &mut done)?;
            done.data += bytes as f64;
        }
        self.times(destination);
        Ok(SampleReport {
            fraction: if total == 0 {
                1.0
            } else {
                (done.data / total as f64).min(1.0)
            },
            exact: done.exact,
            bytes: Bytes::new(done.bytes),
            content: Bytes::new(done.bytes),
            records: Some(done.files),
            strategy: self.strategy,
            notes,
        })
    }

    /// A fraction of the files, evenly over their sizes: of files in order of size every n-th, from
    /// a random one on. With `at_least_one`, where that comes to nothing, one of middle size: of
    /// no data at all there is nothing to learn.
    #[expect(clippy::cast_precision_loss, reason = "counts of files")]
    fn choose<'f>(
        &self,
        files: Vec<(&'f Path, u64)>,
        at_least_one: bool,
        random: &mut Random,
    ) -> Vec<(&'f Path, u64)> {
        // Neighbours of the same size come in a random order, or names would decide.
        let mut files: Vec<_> = files.into_iter().map(|f| (f, random.next())).collect();
        files.sort_by_key(|((_, bytes), order)| (*bytes, *order));
        let phase = random.unit();
        let middle = files.len() / 2;
        let mut chosen: Vec<_> = files
            .iter()
            .enumerate()
            .filter(|(i, _)| {
                let step = |i: usize| (i as f64).mul_add(self.fraction, phase).floor();
                self.fraction >= 1.0 || step(i + 1) > step(*i)
            })
            .map(|(_, (file, _))| *file)
            .collect();
        let holds_some = |file: &&((&Path, u64), u64)| file.0.1 > 0;
        if at_least_one && !chosen.iter().any(|(_, bytes)| *bytes > 0) {
            let one = files[middle..].iter().find(holds_some);
            chosen.extend(one.map(|(file, _)| *file));
        }
        chosen
    }

    /// Small files of a kind of which there are few among many of another kind: a Makefile among
    /// sources, a table of contents among pages. The work is in the many; without the few it can't
    /// be done.
    #[expect(clippy::cast_precision_loss, reason = "counts of files")]
    fn odd(&self) -> HashSet<&Path> {
        let files = || {
            self.tree
                .entries
                .iter()
                .filter_map(|entry| match entry.kind {
                    EntryKind::File { bytes } if !is_hidden(&entry.path) => {
                        Some((entry.path.as_path(), bytes))
                    }
                    _ => None,
                })
        };
        let mut kinds: HashMap<Option<&OsStr>, usize> = HashMap::new();
        for (path, _) in files() {
            *kinds.entry(path.extension()).or_default() += 1;
        }
        let most = kinds.values().copied().max().unwrap_or(0);
        let few = |path: &Path| {
            let count = kinds[&path.extension()];
            count as f64 <= ODD_SHARE * most as f64 || count <= ODD_COUNT && most >= HANDFUL
        };
        let odd = files().filter(|(path, bytes)| *bytes <= ODD_SIZE && few(path));
        odd.map(|(path, _)| path).collect()
    }

    /// Directories and links.
    fn structure(&self, destination: &Path) -> Result<(), SampleError> {
        fs::create_dir_all(destination).map_err(|e| self.write_error(Path::new(""), e))?;
        let mode = fs::metadata(self.root).map(|m| m.permissions());
        if let Ok(mode) = mode {
            let _ = fs::set_permissions(destination, mode);
        }
        for entry in &self.tree.entries {
            let target = destination.join(&entry.path);
            match entry.kind {
                EntryKind::Directory => {
                    fs::create_dir_all(&target).map_err(|e| self.write_error(&entry.path, e))?;
                    if let Ok(metadata) = fs::metadata(self.root.join(&entry.path)) {
                        let _ = fs::set_permissions(&target, metadata.permissions());
                    }
                }
                EntryKind::Link => {
                    let Ok(to) = fs::read_link(self.root.join(&entry.path)) else {
                        continue;
                    };
                    std::os::unix::fs::symlink(to, &target)
                        .map_err(|e| self.write_error(&entry.path, e))?;
                }
                EntryKind::File { .. } | EntryKind::Other => {}
            }
        }
        Ok(())
    }

    fn copy(&self, path: &Path, destination: &Path, done: &mut Done) -> Result<(), SampleError> {
        let from = self.root.join(path);
        // Gone or forbidden: the command itself couldn't read it either.
        let Ok(mut source) = File::open(&from) else {
            return Ok(());
        };
        let target = destination.join(path);
        let mut out = File::create(&target).map_err(|e| self.write_error(path, e))?;
        let bytes = std::io::copy(&mut source, &mut out).map_err(|e| self.write_error(path, e))?;
        like(&source, &out);
        done.bytes += bytes;
        done.files += 1;
        Ok(())
    }

    fn shorten(
        &self,
        path: &Path,
        destination: &Path,
        random: &mut Random,
        done: &mut Done,
    ) -> Result<f64, SampleError> {
        let from = self.root.join(path);
        let mut source = Source::open(&from, self.any_bytes)?;
        let target = destination.join(path);
        let out = File::create(&target).map_err(|e| self.write_error(path, e))?;
        let mut writer = BufWriter::new(out);
        let result = source.write(
            self.fraction,
            None,
            self.strategy,
            self.any_bytes,
            random,
            &mut writer,
        );
        let out = writer
            .into_inner()
            .map_err(|e| self.write_error(path, e.into_error()))?;
        match result {
            Ok(report) => {
                if let Ok(source) = File::open(&from) {
                    like(&source, &out);
                }
                done.bytes += report.bytes.get();
                done.files += 1;
                done.exact &= report.exact;
                Ok(report.fraction)
            }
            Err(e) => {
                drop(out);
                let _ = fs::remove_file(&target);
                Err(e)
            }
        }
    }

    /// Times of directories, after everything in them is made.
    fn times(&self, destination: &Path) {
        let directories = self
            .tree
            .entries
            .iter()
            .filter(|e| e.kind == EntryKind::Directory)
            .map(|e| e.path.clone());
        for path in directories.chain([PathBuf::new()]) {
            let (Ok(from), Ok(to)) = (
                File::open(self.root.join(&path)),
                File::open(destination.join(&path)),
            ) else {
                continue;
            };
            if let Ok(modified) = from.metadata().and_then(|m| m.modified()) {
                let _ = to.set_modified(modified);
            }
        }
    }

    fn write_error(&self, path: &Path, source: std::io::Error) -> SampleError {
        SampleError::Write {
            path: self.root.join(path),
            source,
        }
    }
}

fn is_hidden(path: &Path) -> bool {
    path.iter().any(|c| c.as_bytes().starts_with(b"."))
}

/// Gives a copy the mode and time of its source, as far as it may: programs may look at them.
fn like(source: &File, copy: &File) {
    if let Ok(metadata) = source.metadata() {
        let _ = copy.set_permissions(metadata.permissions());
        if let Ok(modified) = metadata.modified() {
            let _ = copy.set_modified(modified);
        }
    }
}
