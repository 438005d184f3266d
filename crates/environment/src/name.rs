//! Names of groups that tell whose they are, so that a dead owner's can be swept away.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Role;
use crate::process_table::{self, State};

/// Every name of ours starts so.
const PREFIX: &str = "foreshadow-";

/// A process that owns environments. The start time tells it from a later process of the same
/// number; the namespace tells numbers of one container from those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The inode of the pid namespace in which `pid` counts.
    pub(crate) namespace: u64,
    pub(crate) pid: u32,
    /// In clock ticks since boot (`/proc/PID/stat`, field 22).
    pub(crate) start: u64,
}

impl Owner {
    /// This process.
    pub(crate) fn current() -> Self {
        let pid = std::process::id();
        Owner {
            namespace: process_table::pid_namespace(),
            pid,
            start: process_table::stat(pid).map_or(0, |stat| stat.start),
        }
    }

    /// Whether it is known to have ended. A process of another namespace cannot be judged from
    /// here, and counts as alive.
    pub(crate) fn is_dead(&self, here: u64) -> bool {
        if self.namespace != here {
            return false;
        }
        match process_table::stat(self.pid) {
            Some(stat) => {
                stat.start != self.start || matches!(stat.state, State::Zombie | State::Dead)
            }
            // Where other users' processes are hidden, a signal still tells whether one exists.
            None => !process_table::exists(self.pid),
        }
    }
}

/// The name of an environment, by which its groups are called in every hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) role: Role,
    pub(crate) owner: Owner,
    pub(crate) number: u64,
}

impl Name {
    /// A name not used before by this process.
    pub(crate) fn fresh(role: Role) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Name {
            role,
            owner: Owner::current(),
            number: NEXT.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Reads a name; None where it is not one of ours.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix(PREFIX)?.split('-');
        let role = match parts.next()? {
            "primary" => Role::Primary,
            "shadow" => Role::Shadow,
            _ => return None,
        };
        let name = Name {
            role,
            owner: Owner {
                namespace: parts.next()?.parse().ok()?,
                pid: parts.next()?.parse().ok()?,
                start: parts.next()?.parse().ok()?,
            },
            number: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            Role::Primary => "primary",
            Role::Shadow => "shadow",
        };
        let Owner {
            namespace,
            pid,
            start,
        } = self.owner;
        write!(
            f,
            "{PREFIX}{role}-{namespace}-{pid}-{start}-{}",
            self.number
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_way_there_and_back() {
        let name = Name::fresh(Role::Shadow);
        assert_eq!(Name::parse(&name.to_string()), Some(name.clone()));
        assert_ne!(name, Name::fresh(Role::Shadow));
        for other in [
            "foreshadow",
            "foreshadow-primary-1-2-3",
            "foreshadow-primary-1-2-3-4-5",
            "foreshadow-other-1-2-3-4",
            "system.slice",
        ] {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }

    #[test]
    fn the_living_are_told_from_the_dead() {
        let me = Owner::current();
        let here = me.namespace;
        assert!(!me.is_dead(here));
        let later = Owner {
            start: me.start + 1,
            ..me
        };
        assert!(later.is_dead(here), "same number, other start");
        assert!(!later.is_dead(here + 1), "cannot be judged from elsewhere");
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let stat = process_table::stat(child.id()).unwrap();
        let owner = Owner {
            pid: child.id(),
            start: stat.start,
            ..me
        };
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !owner.is_dead(here) {
            assert!(std::time::Instant::now() < deadline, "a zombie is dead");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        child.wait().unwrap();
        assert!(owner.is_dead(here), "a reaped process is dead");
    }
}
