//! Lists a directory, within bounds.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Something in a directory tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Relative to the directory.
    pub path: PathBuf,
    pub kind: EntryKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Directory,
    File {
        bytes: u64,
    },
    Link,
    /// A pipe, a socket, a device.
    Other,
}

/// What was found in a tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    /// In the order of their paths, directories before what is in them.
    pub entries: Vec<Entry>,
    pub files: u64,
    pub bytes: u64,
    /// Directories that couldn't be listed.
    pub refused: u64,
}

/// Bounds of one walk.
const MAX_ENTRIES: usize = 200_000;
const MAX_TIME: Duration = Duration::from_secs(1);

/// Walks the tree at `root`, without following links or leaving its file system. `Ok(Err(n))`
/// where there are more than `n` entries, as many as can be looked at.
pub(crate) fn walk(root: &Path) -> io::Result<Result<Tree, u64>> {
    let start = Instant::now();
    let device = std::fs::metadata(root)?.dev();
    let mut tree = Tree::default();
    let mut pending = vec![PathBuf::new()];
    let mut first = true;
    while let Some(directory) = pending.pop() {
        let listing = match std::fs::read_dir(root.join(&directory)) {
            Ok(listing) => listing,
            Err(e) if first => return Err(e),
            Err(_) => {
                tree.refused += 1;
                continue;
            }
        };
        first = false;
        for entry in listing {
            // Gone or unreadable meanwhile: not part of what can be sampled.
            let Ok(entry) = entry else { continue };
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let path = directory.join(entry.file_name());
            let file_type = metadata.file_type();
            let kind = if file_type.is_dir() {
                if metadata.dev() == device {
                    pending.push(path.clone());
                }
                EntryKind::Directory
            } else if file_type.is_file() {
                tree.files += 1;
                tree.bytes = tree.bytes.saturating_add(metadata.len());
                EntryKind::File {
                    bytes: metadata.len(),
                }
            } else if file_type.is_symlink() {
                EntryKind::Link
            } else {
                EntryKind::Other
            };
            tree.entries.push(Entry { path, kind });
            let seen = tree.entries.len();
            if seen >= MAX_ENTRIES || (seen.is_multiple_of(1024) && start.elapsed() > MAX_TIME) {
                return Ok(Err(seen as u64));
            }
        }
    }
    tree.entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Ok(tree))
}
