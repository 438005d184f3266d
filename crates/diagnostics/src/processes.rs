//! What `/proc` tells of the processes of an environment: progress through inputs, bytes through
//! read and write calls, threads, file-backed pages.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use foreshadow_quantity::Bytes;

/// How far processes have come through each of the watched files.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    furthest: HashMap<PathBuf, u64>,
}

/// Sums over the processes seen in one scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    pub read_chars: Bytes,
    pub write_chars: Bytes,
    pub threads: u32,
    /// File-backed resident pages of the process that has most of them.
    pub largest_file_rss: Bytes,
}

impl Progress {
    /// Watches these files, by the paths that the processes see.
    pub fn new(inputs: impl IntoIterator<Item = PathBuf>) -> Self {
        Progress {
            furthest: inputs.into_iter().map(|path| (path, 0)).collect(),
        }
    }

    /// The sum over the files of the furthest position seen.
    pub fn total(&self) -> Bytes {
        self.furthest.values().map(|&pos| Bytes::new(pos)).sum()
    }

    /// Watches further files (those that became known while the command ran).
    pub fn watch(&mut self, path: PathBuf) {
        self.furthest.entry(path).or_insert(0);
    }

    /// Looks at one process. A process that ended meanwhile adds nothing.
    pub fn look(&mut self, proc: &Path, pid: u32) {
        if self.furthest.is_empty() {
            return;
        }
        let Ok(fds) = fs::read_dir(proc.join(format!("{pid}/fd"))) else {
            return;
        };
        for fd in fds.flatten() {
            let Ok(target) = fs::read_link(fd.path()) else {
                continue;
            };
            if let Some(furthest) = self.furthest.get_mut(&target)
                && let Some(pos) = position(proc, pid, &fd.file_name())
            {
                *furthest = (*furthest).max(pos);
            }
        }
    }
}

fn position(proc: &Path, pid: u32, fd: &std::ffi::OsStr) -> Option<u64> {
    let text = fs::read_to_string(proc.join(format!("{pid}/fdinfo")).join(fd)).ok()?;
    text.lines()
        .find_map(|l| l.strip_prefix("pos:"))?
        .trim()
        .parse()
        .ok()
}

impl Scan {
    /// Adds what one process tells. A process that ended meanwhile adds nothing.
    pub fn add(&mut self, proc: &Path, pid: u32) {
        if let Ok(io) = fs::read_to_string(proc.join(format!("{pid}/io"))) {
            self.read_chars = self.read_chars + field(&io, "rchar:");
            self.write_chars = self.write_chars + field(&io, "wchar:");
        }
        if let Ok(status) = fs::read_to_string(proc.join(format!("{pid}/status"))) {
            let threads = status
                .lines()
                .find_map(|l| l.strip_prefix("Threads:"))
                .and_then(|n| n.trim().parse::<u32>().ok());
            self.threads = self.threads.saturating_add(threads.unwrap_or(0));
            let file = Bytes::kib(field(&status, "RssFile:").get());
            self.largest_file_rss = self.largest_file_rss.max(file);
        }
    }
}

fn field(text: &str, name: &str) -> Bytes {
    text.lines()
        .find_map(|l| l.strip_prefix(name))
        .and_then(|n| n.split_whitespace().next())
        .and_then(|n| n.parse().ok())
        .map_or(Bytes::ZERO, Bytes::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn follows_a_reader_through_a_file_and_remembers_it() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&[b'x'; 100_000]).unwrap();
        let path = file.path().canonicalize().unwrap();
        let mut progress = Progress::new([path.clone()]);
        let mut reader = fs::File::open(&path).unwrap();
        reader.read_exact(&mut [0; 60_000]).unwrap();
        progress.look(Path::new("/proc"), std::process::id());
        // The writer of the temporary file stands at its end, the reader in the middle.
        assert_eq!(progress.total(), Bytes::new(100_000));
        drop(file);
        progress.look(Path::new("/proc"), std::process::id());
        assert_eq!(progress.total(), Bytes::new(100_000));
    }

    #[test]
    fn counts_this_process_and_no_ended_one() {
        let mut scan = Scan::default();
        scan.add(Path::new("/proc"), std::process::id());
        assert!(scan.threads >= 1);
        assert!(scan.largest_file_rss > Bytes::ZERO);
        let before = scan;
        scan.add(Path::new("/proc"), u32::MAX);
        assert_eq!(scan, before);
    }
}
