//! Passing v2 controllers on to the groups we make.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::file;
use crate::placement::{V2Place, WANTED};

/// The group that the processes of an occupied parent move to. It stays as long as they run: the
/// parent is ours to divide, and goes with them.
const HOME: &str = "foreshadow-home";

/// Lets the parent pass its controllers on. What cannot be passed on is told later by what the groups
/// below lack, so that nothing here is an error.
pub(crate) fn prepare(place: &V2Place) {
    let control = place.parent.join("cgroup.subtree_control");
    let enabled = listed(&control);
    let lacking: Vec<&str> = place.controllers.difference(&enabled).copied().collect();
    if lacking.is_empty() {
        return;
    }
    if place.must_move && !move_home(&place.parent) {
        return;
    }
    for controller in lacking {
        // One by one, so that one refused does not keep the others.
        let _ = file::write(&control, &format!("+{controller}"));
    }
}

/// The controllers of interest in a file that lists some.
pub(crate) fn listed(path: &Path) -> BTreeSet<&'static str> {
    let content = fs::read_to_string(path).unwrap_or_default();
    let words: BTreeSet<&str> = content.split_whitespace().collect();
    WANTED.into_iter().filter(|c| words.contains(c)).collect()
}

/// Moves all processes of a group to one below it; whether none is left. Limits and accounting of the
/// group itself hold for them as before.
fn move_home(parent: &Path) -> bool {
    let home = parent.join(HOME);
    if fs::create_dir(&home).is_err() && !home.is_dir() {
        return false;
    }
    let target = home.join("cgroup.procs");
    // A process may fork while it is moved, so look again, but not for ever.
    for _ in 0..100 {
        let Ok(content) = fs::read_to_string(parent.join("cgroup.procs")) else {
            return false;
        };
        if content.trim().is_empty() {
            return true;
        }
        for pid in content.lines() {
            // One that ended meanwhile is fine; one that may not be moved is still there next time.
            let _ = file::write(&target, pid);
        }
    }
    false
}
