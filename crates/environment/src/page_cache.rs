use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use foreshadow_quantity::Bytes;

/// How much of a file is in the page cache, so that reading it costs no access to storage
/// (`cachestat(2)`, Linux 6.5).
///
/// # Errors
/// Where the kernel has no such call, or doesn't let this user ask about the file (one that it
/// could not write).
#[expect(unsafe_code)]
pub fn cached(file: &File) -> io::Result<Bytes> {
    #[repr(C)]
    struct Range {
        offset: u64,
        length: u64,
    }
    #[repr(C)]
    #[derive(Default)]
    struct Counts {
        cached: u64,
        dirty: u64,
        writeback: u64,
        evicted: u64,
        recently_evicted: u64,
    }
    /// The same number on all architectures; libc doesn't name it yet for all of them.
    const CACHESTAT: libc::c_long = 451;
    // A length of 0 is up to the end.
    let range = Range {
        offset: 0,
        length: 0,
    };
    let mut counts = Counts::default();
    // SAFETY: both structures are those of the kernel's interface and live through the call; the
    // descriptor is open.
    let result = unsafe {
        libc::syscall(
            CACHESTAT,
            file.as_raw_fd(),
            &raw const range,
            &raw mut counts,
            0,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
    Ok(Bytes::new(counts.cached.saturating_mul(page)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_was_just_written_is_cached() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; 1 << 20]).unwrap();
        match cached(&file) {
            Ok(bytes) => assert!(bytes >= Bytes::mib(1), "{bytes}"),
            Err(e) => eprintln!("SKIPPED what_was_just_written_is_cached: {e}"),
        }
    }
}
