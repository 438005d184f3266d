//! How many files may be open: counters are kept open, a dozen for each environment, and the usual limit
//! is 1024.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What this process was started with, once that was changed.
static BEFORE: OnceLock<Rlimit> = OnceLock::new();

/// Counters kept open.
static KEPT: AtomicU64 = AtomicU64::new(0);

/// Lets this process have as many files open as the administrator allows (the hard limit), which many
/// environments at once need. Programs started by [`crate::Environment::spawn`] get the limit that this
/// process had before.
pub fn raise_descriptor_limit() {
    let before = *BEFORE.get_or_init(|| getrlimit(Resource::Nofile));
    let raised = Rlimit {
        current: before.maximum,
        maximum: before.maximum,
    };
    // Where even this is refused, counters are opened anew each time they are read.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// The limit that a started program is to have, where it is not the one of this process.
pub(crate) fn limit_of_children() -> Option<libc::rlimit> {
    let before = BEFORE.get()?;
    let raw = |value: Option<u64>| value.unwrap_or(libc::RLIM_INFINITY);
    Some(libc::rlimit {
        rlim_cur: raw(before.current),
        rlim_max: raw(before.maximum),
    })
}

/// The right to keep one more file open; it is given back on drop.
#[derive(Debug)]
pub(crate) struct Keep(());

impl Keep {
    /// None where half of all allowed files are kept open already: the rest is for other uses.
    pub(crate) fn one() -> Option<Self> {
        let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / 2;
        let keep = Keep(());
        let kept = KEPT.fetch_add(1, Ordering::Relaxed);
        // Dropped, and so given back, where it is too many.
        (kept < most).then_some(keep)
    }
}

impl Drop for Keep {
    fn drop(&mut self) {
        KEPT.fetch_sub(1, Ordering::Relaxed);
    }
}
