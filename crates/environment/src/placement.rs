//! Where our groups may be made.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use serde::{Deserialize, Serialize};

use crate::layout::{Hierarchy, Layout};

/// The mechanism that environments rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackendKind {
    /// Control groups, version 2 alone.
    V2,
    /// Control groups of version 1, with a version 2 tree beside them where there is one.
    Hybrid,
    /// No control groups that we may use: process tables, priorities and signals.
    None,
}

/// The v2 controllers in use here.
pub(crate) const WANTED: [&str; 4] = ["cpu", "memory", "io", "pids"];

/// Where groups are made, by back end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    V2(V2Place),
    Hybrid(HybridPlace),
    /// With the reason.
    None(String),
}

/// The v2 group below which ours are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct V2Place {
    pub(crate) parent: PathBuf,
    /// Controllers that groups below will have, as far as can be told without trying.
    pub(crate) controllers: BTreeSet<&'static str>,
    /// Processes are in the parent itself. They must move to a group below before controllers can
    /// be passed on (the rule of no internal processes).
    pub(crate) must_move: bool,
}

/// The folders below which groups are made in each v1 hierarchy, and in the v2 tree beside them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HybridPlace {
    pub(crate) unified: Option<PathBuf>,
    pub(crate) cpu: Option<PathBuf>,
    pub(crate) cpuacct: Option<PathBuf>,
    pub(crate) memory: Option<PathBuf>,
    pub(crate) blkio: Option<PathBuf>,
    pub(crate) pids: Option<PathBuf>,
    pub(crate) freezer: Option<PathBuf>,
}

impl HybridPlace {
    /// All folders, each once.
    pub(crate) fn parents(&self) -> BTreeSet<&Path> {
        [
            &self.unified,
            &self.cpu,
            &self.cpuacct,
            &self.memory,
            &self.blkio,
            &self.pids,
            &self.freezer,
        ]
        .into_iter()
        .flatten()
        .map(PathBuf::as_path)
        .collect()
    }
}

impl Placement {
    /// Looks for folders we may write to. Changes nothing.
    pub(crate) fn find(layout: &Layout) -> Self {
        if layout.v1.is_empty() {
            return match &layout.unified {
                None => Placement::None("no control group hierarchy is mounted".into()),
                Some(unified) => V2Place::find(unified).map_or_else(
                    || {
                        Placement::None(format!(
                            "this user may not make control groups below {}",
                            unified.own.display()
                        ))
                    },
                    Placement::V2,
                ),
            };
        }
        let place = |controller| layout.v1(controller).and_then(writable_parent);
        let hybrid = HybridPlace {
            unified: layout.unified.as_ref().and_then(writable_parent),
            cpu: place("cpu"),
            cpuacct: place("cpuacct"),
            memory: place("memory"),
            blkio: place("blkio"),
            pids: place("pids"),
            freezer: place("freezer"),
        };
        if hybrid.cpu.is_none() && hybrid.memory.is_none() && hybrid.unified.is_none() {
            return Placement::None(
                "control groups are version 1, which only root may use here".into(),
            );
        }
        Placement::Hybrid(hybrid)
    }

    pub(crate) fn kind(&self) -> BackendKind {
        match self {
            Placement::V2(_) => BackendKind::V2,
            Placement::Hybrid(_) => BackendKind::Hybrid,
            Placement::None(_) => BackendKind::None,
        }
    }

    /// The folders in which groups of ours may be.
    pub(crate) fn parents(&self) -> Vec<PathBuf> {
        match self {
            Placement::V2(place) => vec![place.parent.clone()],
            Placement::Hybrid(place) => place.parents().into_iter().map(Path::to_owned).collect(),
            Placement::None(_) => Vec::new(),
        }
    }
}

/// The root of the hierarchy where we may write there (nobody else's limits apply to us there),
/// else our own group.
fn writable_parent(hierarchy: &Hierarchy) -> Option<PathBuf> {
    [&hierarchy.mount, &hierarchy.own]
        .into_iter()
        .find(|folder| writable(folder))
        .cloned()
}

/// Whether this user may make folders in a folder, or write a file.
pub(crate) fn writable(path: &Path) -> bool {
    access(path, Access::WRITE_OK).is_ok()
}

impl V2Place {
    /// The best group below which to make ours: our own group or one above it, as far up as we may
    /// write. To move a process from group A to B one must be allowed to write the `cgroup.procs` of
    /// their common ancestor, which is why only ancestors of our own group come into question.
    fn find(unified: &Hierarchy) -> Option<Self> {
        let ancestors: Vec<&Path> = unified
            .own
            .ancestors()
            .take_while(|folder| folder.starts_with(&unified.mount))
            .take_while(|folder| writable(folder) && writable(&folder.join("cgroup.procs")))
            .collect();
        let places: Vec<V2Place> = ancestors.iter().map(|folder| V2Place::at(folder)).collect();
        // The true root where we may use it; else the most controllers, without moving anybody if
        // possible, and the nearest of equals.
        if let Some(place) = places.last().filter(|place| is_true_root(&place.parent)) {
            return Some(place.clone());
        }
        let mut best: Option<V2Place> = None;
        for place in places {
            let better = best.as_ref().is_none_or(|best| {
                let (new, old) = (place.controllers.len(), best.controllers.len());
                new > old || (new == old && best.must_move && !place.must_move)
            });
            if better {
                best = Some(place);
            }
        }
        best
    }

    fn at(folder: &Path) -> Self {
        let listed = |name: &str| -> BTreeSet<&'static str> {
            let content = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
            let words: BTreeSet<&str> = content.split_whitespace().collect();
            WANTED.into_iter().filter(|c| words.contains(c)).collect()
        };
        let enabled = listed("cgroup.subtree_control");
        let available = listed("cgroup.controllers");
        let occupied = || {
            std::fs::read_to_string(folder.join("cgroup.procs"))
                .is_ok_and(|procs| !procs.trim().is_empty())
        };
        if enabled == available || !writable(&folder.join("cgroup.subtree_control")) {
            return V2Place {
                parent: folder.to_owned(),
                controllers: enabled,
                must_move: false,
            };
        }
        V2Place {
            parent: folder.to_owned(),
            controllers: available,
            must_move: !is_true_root(folder) && occupied(),
        }
    }
}

/// The root of the whole tree is exempt from the rule of no internal processes; the root of a
/// container's namespace is not. Only the true root lacks `cgroup.type`.
pub(crate) fn is_true_root(folder: &Path) -> bool {
    folder.join("cgroup.procs").exists() && !folder.join("cgroup.type").exists()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A folder that looks like a v2 group.
    fn group(path: &Path, controllers: &str, subtree: &str, procs: &str) {
        fs::create_dir_all(path).unwrap();
        fs::write(path.join("cgroup.controllers"), controllers).unwrap();
        fs::write(path.join("cgroup.subtree_control"), subtree).unwrap();
        fs::write(path.join("cgroup.procs"), procs).unwrap();
        fs::write(path.join("cgroup.type"), "domain\n").unwrap();
    }

    fn hierarchy(mount: &Path, own: &Path) -> Hierarchy {
        Hierarchy {
            mount: mount.to_owned(),
            own: own.to_owned(),
        }
    }

    #[test]
    fn beside_our_scope_where_the_slice_is_delegated() {
        let top = tempfile::tempdir().unwrap();
        let slice = top.path().join("app.slice");
        let scope = slice.join("run.scope");
        group(top.path(), "cpu memory pids", "memory pids", "");
        group(&slice, "memory pids", "memory pids", "");
        group(&scope, "memory pids", "", "1\n");
        let place = V2Place::find(&hierarchy(top.path(), &scope)).unwrap();
        // The top has one controller more, and nobody inside.
        assert_eq!(place.parent, top.path());
        assert_eq!(place.controllers, BTreeSet::from(["cpu", "memory", "pids"]));
        assert!(!place.must_move);
    }

    #[test]
    fn below_our_scope_where_only_it_is_delegated() {
        let top = tempfile::tempdir().unwrap();
        let scope = top.path().join("run.scope");
        group(&scope, "cpu memory pids", "", "1\n2\n");
        let place = V2Place::find(&hierarchy(top.path(), &scope)).unwrap();
        assert_eq!(place.parent, scope);
        assert!(place.must_move, "{place:?}");
        assert_eq!(place.controllers.len(), 3);
    }

    #[test]
    fn the_true_root_first() {
        let top = tempfile::tempdir().unwrap();
        let scope = top.path().join("session.scope");
        group(top.path(), "cpu io memory pids", "", "1\n");
        fs::remove_file(top.path().join("cgroup.type")).unwrap();
        group(&scope, "cpu io memory pids", "cpu io memory pids", "");
        let place = V2Place::find(&hierarchy(top.path(), &scope)).unwrap();
        assert_eq!(place.parent, top.path());
        assert!(!place.must_move);
        assert_eq!(place.controllers.len(), 4);
    }

    #[test]
    fn nothing_mounted_is_said() {
        let Placement::None(reason) = Placement::find(&Layout::default()) else {
            panic!("there is no hierarchy");
        };
        assert!(reason.contains("mounted"));
    }
}
