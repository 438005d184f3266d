//! Who runs a task, so that a later process can tell that it is gone.

use std::fs;

use serde::{Deserialize, Serialize};

/// A process, as told apart from every other of this machine since it was started, and from those
/// of other machines and containers that share the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    host: String,
    boot: String,
    pid_namespace: String,
    pid: u32,
    /// Clock ticks after boot, as field 22 of `/proc/PID/stat` (`proc(5)`).
    start: u64,
}

impl Owner {
    /// This process.
    pub(crate) fn me() -> Self {
        let pid = std::process::id();
        Owner {
            start: start_of(pid).unwrap_or(0),
            pid,
            ..Self::here()
        }
    }

    fn here() -> Self {
        let read = |path: &str| {
            fs::read_to_string(path)
                .map(|s| s.trim().to_owned())
                .unwrap_or_default()
        };
        Owner {
            host: read("/proc/sys/kernel/hostname"),
            boot: read("/proc/sys/kernel/random/boot_id"),
            pid_namespace: fs::read_link("/proc/self/ns/pid")
                .map(|p| p.to_string_lossy().into_owned())
                .unwrap_or_default(),
            pid: 0,
            start: 0,
        }
    }

    /// Whether this process is surely dead, as seen from `viewer`. One that cannot be seen from
    /// there (another machine, another container) counts as alive.
    pub(crate) fn is_dead(&self, viewer: &Owner) -> bool {
        if self.host != viewer.host {
            return false;
        }
        if self.boot != viewer.boot {
            return !self.boot.is_empty() && !viewer.boot.is_empty();
        }
        if self.pid_namespace != viewer.pid_namespace {
            return false;
        }
        start_of(self.pid) != Some(self.start)
    }
}

/// None where there is no such process, or it is a zombie.
fn start_of(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may itself hold spaces and parentheses.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    // `state` was field 3.
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn alive_dead_and_unknown() {
        let me = Owner::me();
        assert!(!me.is_dead(&me));

        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let owner = Owner {
            start: start_of(child.id()).unwrap(),
            pid: child.id(),
            ..Owner::here()
        };
        assert!(!owner.is_dead(&me));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(owner.is_dead(&me));

        let recycled = Owner {
            start: me.start + 1,
            ..me.clone()
        };
        assert!(recycled.is_dead(&me));
        let before_reboot = Owner {
            boot: "other".into(),
            ..me.clone()
        };
        assert!(before_reboot.is_dead(&me));
        let elsewhere = Owner {
            host: "other".into(),
            ..before_reboot
        };
        assert!(!elsewhere.is_dead(&me));
        let container = Owner {
            pid_namespace: "pid:[1]".into(),
            pid: u32::MAX,
            ..me.clone()
        };
        assert!(!container.is_dead(&me));
    }
}
