//! How much memory of the kernel a v1 group really needs.
//!
//! Version 1 counts all of it in one figure, names and inodes of files looked at included. The kernel
//! drops those when memory is short, so that a program that walks over many files seems to need much
//! more than it does. Version 2 tells them apart. Here, where the figure is larger than the processes
//! account for, what they account for is taken instead.

use foreshadow_quantity::Bytes;

use crate::Usage;
use crate::process_table;

/// Pages of page tables are 8 bytes for each page of 4 KiB, one in 512; twice that is unsuspicious.
const PAGE_TABLE_SHARE: u64 = 256;

/// Figures up to this are taken as they are: no use in looking closer.
const SMALL: Bytes = Bytes::mib(4);

/// For each process: descriptors, mappings, pipes, small objects (120 to 200 KiB were measured for a
/// shell and its like).
const PROCESS: Bytes = Bytes::kib(256);

/// For each thread: a stack of 16 KiB and its structures.
const THREAD: Bytes = Bytes::kib(32);

/// Whether the figure is larger than page tables and a few processes explain.
pub(super) fn is_doubtful(usage: &Usage) -> bool {
    let mapped = usage.anon + usage.shmem + usage.page_cache.unwrap_or(Bytes::ZERO);
    usage.kernel > SMALL + Bytes::new(mapped.get() / PAGE_TABLE_SHARE)
}

/// What these processes account for.
pub(super) fn needed(pids: &[u32]) -> Bytes {
    let needs = pids.iter().filter_map(|pid| {
        let resident = process_table::resident(*pid)?;
        let threads = Bytes::new(THREAD.get().saturating_mul(resident.threads));
        Some(resident.page_tables + PROCESS + threads)
    });
    SMALL + needs.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_tables_are_believed_and_slabs_are_not() {
        let usage = |kernel| Usage {
            anon: Bytes::gib(8),
            kernel,
            ..Usage::default()
        };
        assert!(!is_doubtful(&usage(Bytes::mib(18))));
        assert!(is_doubtful(&usage(Bytes::mib(100))));
        let me = needed(&[std::process::id()]);
        assert!(me > SMALL && me < Bytes::mib(64), "{me}");
    }
}
