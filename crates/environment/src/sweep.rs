//! Clearing away what a killed owner left behind.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::backend::unified;
use crate::group::{self, kill_each};
use crate::layout::Layout;
use crate::name::Name;
use crate::placement::{BackendKind, Placement, writable};
use crate::{EnvironmentError, Host, descent, file, process_table, signal};

/// How long the processes and groups of one dead owner's environment may take to go.
const PATIENCE: Duration = Duration::from_secs(2);

/// What [`sweep`] found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepReport {
    /// Environments of dead owners that are gone now.
    pub removed: Vec<String>,
    /// Processes that were killed in them.
    pub killed: usize,
    /// Environments of dead owners that could not be cleared away, each with the reason.
    pub left: Vec<(String, String)>,
}

/// Kills and removes what is left of environments whose owner has ended without cleaning up, as after
/// `kill -9`. Environments of living owners are never touched, nor those made in other pid namespaces
/// (containers), whose owners cannot be judged from here.
///
/// Any number of processes may sweep at once.
///
/// # Errors
/// None today: what cannot be removed is told in [`SweepReport::left`].
pub fn sweep(host: &Host) -> Result<SweepReport, EnvironmentError> {
    let mut report = SweepReport::default();
    let here = process_table::pid_namespace();
    for (name, paths) in orphans(host, here) {
        report.killed += kill_all(&paths);
        match remove_all(&paths) {
            Ok(()) => report.removed.push(name),
            Err(error) => report.left.push((name, error.to_string())),
        }
    }
    if host.backend() == BackendKind::None {
        sweep_processes(here, &mut report);
    }
    Ok(report)
}

/// Groups of dead owners by environment, in all hierarchies.
fn orphans(host: &Host, here: u64) -> BTreeMap<String, Vec<PathBuf>> {
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for parent in places(host.placement(), host.layout()) {
        for path in group::children(&parent) {
            let Some(text) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            if Name::parse(text).is_some_and(|name| name.owner.is_dead(here)) {
                found.entry(text.to_owned()).or_default().push(path);
            }
        }
    }
    found
}

/// Where groups of ours may be. A user's may also be below other scopes of theirs, from which earlier
/// runs were started: two levels below the topmost group that they may write to.
fn places(placement: &Placement, layout: &Layout) -> Vec<PathBuf> {
    let mut places = placement.parents();
    if let (Placement::V2(place), Some(unified)) = (placement, &layout.unified) {
        let top = unified
            .own
            .ancestors()
            .take_while(|folder| folder.starts_with(&unified.mount) && writable(folder))
            .filter(|folder| *folder != unified.mount)
            .last();
        for folder in top.into_iter().flat_map(|top| {
            let below = group::children(top);
            let further: Vec<PathBuf> = below.iter().flat_map(|g| group::children(g)).collect();
            [vec![top.to_owned()], below, further].concat()
        }) {
            if folder != place.parent {
                places.push(folder);
            }
        }
    }
    places
}

/// Kills what is in the groups of one environment; how many there were.
fn kill_all(paths: &[PathBuf]) -> usize {
    let mut pids = Vec::new();
    for path in paths {
        // A group that vanishes meanwhile was swept by somebody else.
        let _ = group::collect_pids(path, &mut pids);
    }
    pids.sort_unstable();
    pids.dedup();
    if pids.is_empty() {
        return 0;
    }
    for path in paths
        .iter()
        .filter(|path| path.join("cgroup.kill").exists())
    {
        let _ = file::write(&path.join("cgroup.kill"), "1");
    }
    // Where that is missing, and for one that was killed between joining the groups. A process in the
    // v1 freezer dies only once it goes on.
    for path in paths {
        if kill_each(path, Duration::ZERO) {
            continue;
        }
        thaw(paths);
        kill_each(path, PATIENCE);
    }
    pids.len()
}

fn thaw(paths: &[PathBuf]) {
    for path in paths {
        for (name, value) in [("freezer.state", "THAWED"), ("cgroup.freeze", "0")] {
            let control = path.join(name);
            if control.exists() {
                let _ = file::write(&control, value);
            }
        }
    }
}

fn remove_all(paths: &[PathBuf]) -> Result<(), EnvironmentError> {
    let start = Instant::now();
    let mut result = Ok(());
    for path in paths {
        if path.join("cgroup.events").exists() {
            // Told at once when the last process is gone, where polling would be late.
            let _ = unified::wait_empty_at(path, PATIENCE.saturating_sub(start.elapsed()));
        }
        result = group::remove(path, PATIENCE.saturating_sub(start.elapsed())).and(result);
    }
    result
}

/// Without control groups: processes that name the environment of a dead owner.
fn sweep_processes(here: u64, report: &mut SweepReport) {
    let orphaned = |pid| {
        let text = descent::named_by(pid)?;
        let name = Name::parse(&text)?;
        (name.owner.is_dead(here) && pid != std::process::id()).then_some(text)
    };
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for pid in process_table::all() {
        let (Some(_), Some(handle)) = (orphaned(pid), signal::open(pid)) else {
            continue;
        };
        // Asked again with the handle held: the number may have gone to another process.
        if let Some(name) = orphaned(pid)
            && signal::send(&handle, libc::SIGKILL).is_ok()
        {
            *found.entry(name).or_default() += 1;
        }
    }
    for (name, killed) in found {
        report.killed += killed;
        report.removed.push(name);
    }
}
