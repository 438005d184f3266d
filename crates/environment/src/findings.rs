//! What this machine offers, what it lacks, and the command that mends it.

use std::path::Path;

use rustix::process::geteuid;
use serde::{Deserialize, Serialize};

use crate::delegation::listed;
use crate::placement::{HybridPlace, Placement, V2Place, WANTED, is_true_root};
use crate::{Host, disks, probe};

/// How much of something a machine offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All of it.
    Available,
    /// With something missing.
    Limited,
    /// Nothing.
    Missing,
}

/// One thing looked for on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked for.
    pub name: String,
    /// How much of it there is.
    pub status: Status,
    /// What was found.
    pub detail: String,
    /// The command that mends what is missing, where there is one.
    pub remedy: Option<String>,
}

impl Finding {
    fn new(name: &str, status: Status, detail: impl Into<String>) -> Self {
        Finding {
            name: name.to_owned(),
            status,
            detail: detail.into(),
            remedy: None,
        }
    }

    fn mend(mut self, remedy: &str) -> Self {
        self.remedy = Some(remedy.to_owned());
        self
    }
}

/// How a user gets a group of their own from systemd.
const DELEGATE: &str = "systemd-run --user --scope -p Delegate=yes foreshadow ...";

/// How to have the kernel count pressure.
const PSI: &str =
    "add psi=1 to GRUB_CMDLINE_LINUX in /etc/default/grub, then: update-grub && reboot";

/// Looks at everything.
pub(crate) fn all(host: &Host) -> Vec<Finding> {
    let mut findings = groups(host);
    findings.extend([
        pressure(host),
        kill(host),
        memory_events(host),
        disk_rates(),
        user_namespaces(),
        overlay(),
        fanotify(),
        counters(),
        network(),
    ]);
    findings
}

/// Control groups and their controllers.
fn groups(host: &Host) -> Vec<Finding> {
    match host.placement() {
        Placement::V2(place) => v2_groups(place),
        Placement::Hybrid(place) => v1_groups(place),
        Placement::None(reason) => {
            let detail = format!(
                "{reason}; runs are watched and killed by the process table, and limited by priority \
                 only"
            );
            let finding = Finding::new("control groups", Status::Missing, detail);
            let layout = host.layout();
            vec![if layout.unified.is_none() && layout.v1.is_empty() {
                finding.mend("mount -t cgroup2 cgroup2 /sys/fs/cgroup")
            } else if layout.v1.is_empty() {
                finding.mend(DELEGATE)
            } else {
                finding.mend("sudo foreshadow ...")
            }]
        }
    }
}

fn v2_groups(place: &V2Place) -> Vec<Finding> {
    let mut detail = format!("version 2, below {}", place.parent.display());
    if place.must_move {
        detail.push_str(" (the processes in it move to a group below when the first run starts)");
    }
    let mut findings = vec![Finding::new("control groups", Status::Available, detail)];
    let user_service = format!("user@{}.service", geteuid().as_raw());
    for controller in WANTED {
        let name = format!("{controller} controller");
        findings.push(if place.controllers.contains(controller) {
            let enabled = listed(&place.parent.join("cgroup.subtree_control"));
            let detail = if enabled.contains(controller) {
                "passed on to runs"
            } else {
                "will be passed on to runs"
            };
            Finding::new(&name, Status::Available, detail)
        } else {
            let finding = Finding::new(&name, Status::Missing, controller_loss(controller));
            if is_true_root(&place.parent) || geteuid().is_root() {
                finding.mend(&format!(
                    "echo +{controller} > {}",
                    place.parent.join("cgroup.subtree_control").display()
                ))
            } else {
                finding.mend(&format!(
                    "sudo systemctl set-property {user_service} Delegate='cpu io memory pids', then log \
                     in again"
                ))
            }
        });
    }
    findings
}

fn v1_groups(place: &HybridPlace) -> Vec<Finding> {
    let mut findings = vec![Finding::new(
        "control groups",
        Status::Limited,
        "version 1: no memory limit that slows before it kills; writes are counted only where the \
         program flushes them itself",
    )
    .mend("boot with systemd.unified_cgroup_hierarchy=1 (version 2)")];
    for (controller, parent) in [
        ("cpu", &place.cpu),
        ("cpuacct", &place.cpuacct),
        ("memory", &place.memory),
        ("blkio", &place.blkio),
        ("pids", &place.pids),
    ] {
        let name = format!("{controller} controller");
        findings.push(match parent {
            Some(parent) => {
                let detail = format!("below {}", parent.display());
                Finding::new(&name, Status::Available, detail)
            }
            None => Finding::new(&name, Status::Missing, controller_loss(controller)).mend(&format!(
                "mkdir -p /sys/fs/cgroup/{controller} && mount -t cgroup -o {controller} cgroup \
                 /sys/fs/cgroup/{controller}"
            )),
        });
    }
    findings.push(match &place.unified {
        Some(parent) => {
            let detail = format!("below {}", parent.display());
            Finding::new("unified tree", Status::Available, detail)
        }
        None => Finding::new(
            "unified tree",
            Status::Missing,
            "no pressure of single runs, and killing one by one",
        )
        .mend("mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified"),
    });
    findings
}

/// What goes missing with a controller.
fn controller_loss(controller: &str) -> &'static str {
    match controller {
        "cpu" => "no processor quotas and shares",
        "cpuacct" => "CPU time is counted less exactly",
        "memory" => "no memory limits; use is added up over processes",
        "io" | "blkio" => "no disk rates; disk traffic is counted for single processes only",
        _ => "the number of processes is not limited",
    }
}

fn pressure(host: &Host) -> Finding {
    let name = "pressure (PSI)";
    let Some(now) = host.pressure() else {
        let detail = "shadows cannot see whether the machine is busy, nor runs what they wait for";
        return Finding::new(name, Status::Missing, detail).mend(PSI);
    };
    let busy = format!(
        "in the last 10 s waited for cpu {:.0} %, memory {:.0} %, io {:.0} %",
        now.cpu.avg10 * 100.0,
        now.memory.avg10 * 100.0,
        now.io.avg10 * 100.0
    );
    match host.placement() {
        Placement::Hybrid(place) if place.unified.is_some() => {
            Finding::new(name, Status::Available, busy)
        }
        Placement::V2(_) => Finding::new(name, Status::Available, busy),
        _ => Finding::new(name, Status::Limited, format!("{busy}; not by single runs")),
    }
}

fn kill(host: &Host) -> Finding {
    let name = "cgroup.kill";
    let tree = match host.placement() {
        Placement::V2(place) => Some(&place.parent),
        Placement::Hybrid(place) => place.unified.as_ref(),
        Placement::None(_) => None,
    };
    let Some(tree) = tree else {
        let detail = "runs are killed process by process; one that hides well escapes";
        return Finding::new(name, Status::Missing, detail);
    };
    // The root has none itself; since Linux 5.14 every other group has.
    let known = tree.join("cgroup.kill").exists()
        || crate::group::children(tree).first().map_or_else(
            || probe::kernel_at_least(5, 14),
            |g| g.join("cgroup.kill").exists(),
        );
    if known {
        Finding::new(name, Status::Available, "a run is killed as a whole")
    } else {
        let detail =
            "a run is frozen and killed process by process (Linux 5.14 or later does better)";
        Finding::new(name, Status::Limited, detail)
    }
}

fn memory_events(host: &Host) -> Finding {
    let name = "out-of-memory events";
    match host.placement() {
        Placement::Hybrid(place) if place.memory.is_some() => Finding::new(
            name,
            Status::Available,
            "at the limit a run can wait until it is raised (memory.oom_control)",
        ),
        Placement::V2(place) if place.controllers.contains("memory") => Finding::new(
            name,
            Status::Available,
            "near the limit a run is slowed (memory.high) until it is raised",
        ),
        _ => Finding::new(
            name,
            Status::Missing,
            "needs the memory controller: memory is watched from time to time",
        ),
    }
}

fn disk_rates() -> Finding {
    let disks = disks::mounted();
    let names: Vec<String> = disks.iter().map(disks::Device::to_string).collect();
    if names.is_empty() {
        let detail = "no disk is behind the mounted file systems: nothing to limit";
        return Finding::new("disks", Status::Missing, detail);
    }
    let detail = format!("rates are set on {}", names.join(", "));
    Finding::new("disks", Status::Available, detail)
}

fn user_namespaces() -> Finding {
    let name = "user namespaces";
    if geteuid().is_root() {
        return Finding::new(name, Status::Available, "not needed by root");
    }
    let setting = |path: &str| std::fs::read_to_string(path).map(|text| text.trim().to_owned());
    for (path, off, remedy) in [
        (
            "/proc/sys/user/max_user_namespaces",
            "0",
            "sudo sysctl -w user.max_user_namespaces=10000",
        ),
        (
            "/proc/sys/kernel/unprivileged_userns_clone",
            "0",
            "sudo sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ] {
        if setting(path).is_ok_and(|value| value == off) {
            let detail = format!("{path} is {off}: no isolated shadows for this user");
            return Finding::new(name, Status::Missing, detail).mend(remedy);
        }
    }
    if Path::new("/proc/self/ns/user").exists() {
        Finding::new(name, Status::Available, "shadows are isolated by them")
    } else {
        let detail = "this kernel has none (CONFIG_USER_NS): no isolated shadows for this user";
        Finding::new(name, Status::Missing, detail)
    }
}

fn overlay() -> Finding {
    let name = "overlay file system";
    let known = std::fs::read_to_string("/proc/filesystems")
        .is_ok_and(|text| text.split_whitespace().any(|word| word == "overlay"));
    if known {
        return Finding::new(
            name,
            Status::Available,
            "shadows write to a layer of their own",
        );
    }
    let detail = "not loaded: shadows have nowhere to write";
    Finding::new(name, Status::Missing, detail).mend("sudo modprobe overlay")
}

fn fanotify() -> Finding {
    let name = "fanotify";
    match probe::fanotify() {
        Ok(()) => Finding::new(
            name,
            Status::Available,
            "inputs are seen as they are opened",
        ),
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => Finding::new(
            name,
            Status::Missing,
            "this kernel has none (CONFIG_FANOTIFY): inputs are found by looking from time to time",
        ),
        Err(_) => Finding::new(
            name,
            Status::Limited,
            "only root may watch whole file systems: inputs are found by looking from time to time",
        )
        .mend("sudo foreshadow ..."),
    }
}

fn counters() -> Finding {
    let name = "hardware counters";
    match probe::cycle_counter() {
        Ok(()) => Finding::new(name, Status::Available, "CPU cycles are counted"),
        Err(error) => {
            let why = match error.raw_os_error() {
                Some(libc::EACCES | libc::EPERM) => "not allowed for this user",
                _ => "this processor or virtual machine offers none",
            };
            let detail = format!("{why}: CPU time stands in for cycles");
            let finding = Finding::new(name, Status::Missing, detail);
            match error.raw_os_error() {
                Some(libc::EACCES | libc::EPERM) => {
                    finding.mend("sudo sysctl -w kernel.perf_event_paranoid=2")
                }
                _ => finding,
            }
        }
    }
}

fn network() -> Finding {
    let name = "network rates";
    if !probe::in_path("tc") {
        let detail = "no `tc`: the rate of a shadow's network cannot be set";
        return Finding::new(name, Status::Missing, detail).mend("sudo apt-get install iproute2");
    }
    if !geteuid().is_root() {
        let detail = "only root may connect a shadow to the network";
        return Finding::new(name, Status::Limited, detail).mend("sudo foreshadow ...");
    }
    Finding::new(
        name,
        Status::Limited,
        "of shadows, which have an interface of their own; not of primaries, which use the machine's",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_told_once_and_what_is_missing_has_words() {
        for host in [Host::detect(), Host::without_control_groups()] {
            let findings = host.findings();
            let mut names: Vec<&str> = findings.iter().map(|f| f.name.as_str()).collect();
            assert!(names.len() >= 10, "{names:?}");
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), findings.len());
            assert!(findings.iter().all(|f| !f.detail.is_empty()));
        }
        let none = Host::without_control_groups().findings();
        assert_eq!(none[0].status, Status::Missing);
        assert!(none[0].remedy.is_some());
    }
}
