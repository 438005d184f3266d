use std::fs::File;
use std::path::PathBuf;

use foreshadow_environment::cached;
use foreshadow_quantity::Bytes;

/// How much of the files is in the page cache, as far as that can be told. Directories are not
/// looked into.
pub(crate) fn sum_cached(paths: &[PathBuf]) -> Bytes {
    paths
        .iter()
        .filter_map(|path| {
            let file = File::open(path).ok()?;
            let length = file.metadata().ok().filter(|m| m.is_file())?.len();
            // The last page counts whole.
            Some(cached(&file).ok()?.min(Bytes::new(length)))
        })
        .sum()
}
