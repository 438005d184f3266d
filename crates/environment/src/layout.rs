//! Which control group hierarchies this machine has, from `/proc/self/mountinfo` and
//! `/proc/self/cgroup` (formats: proc(5), cgroups(7)).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::EnvironmentError;
use crate::file;

/// The hierarchies that are mounted, and where this process is in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The cgroup2 tree, if mounted.
    pub(crate) unified: Option<Hierarchy>,
    /// The v1 hierarchies.
    pub(crate) v1: Vec<V1Hierarchy>,
}

/// One hierarchy: where it is mounted and where this process is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// The mount point.
    pub(crate) mount: PathBuf,
    /// The group of this process, below the mount point.
    pub(crate) own: PathBuf,
}

/// A v1 hierarchy with the controllers mounted in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct V1Hierarchy {
    /// `cpu`, `memory` and so on.
    pub(crate) controllers: Vec<String>,
    /// Where.
    pub(crate) hierarchy: Hierarchy,
}

impl Layout {
    /// Of this process.
    pub(crate) fn read() -> Result<Self, EnvironmentError> {
        let mountinfo = file::read(Path::new("/proc/self/mountinfo"))?;
        let cgroup = file::read(Path::new("/proc/self/cgroup"))?;
        Ok(Self::parse(&mountinfo, &cgroup))
    }

    /// From the contents of the two files; lines of no interest are passed over.
    pub(crate) fn parse(mountinfo: &str, cgroup: &str) -> Self {
        let memberships: Vec<Membership> = cgroup.lines().filter_map(Membership::parse).collect();
        let mut layout = Layout::default();
        for mount in mountinfo.lines().filter_map(Mount::parse) {
            match mount.fs_type {
                "cgroup2" => {
                    let own = memberships.iter().find(|m| m.controllers.is_empty());
                    let found = mount.hierarchy(own.map(|m| m.path));
                    // A mount that shows our own group is better than one that does not.
                    let reaches = |h: &Hierarchy| own.is_some() && h.own.starts_with(&h.mount);
                    if layout.unified.as_ref().is_none_or(|h| !reaches(h)) {
                        layout.unified = Some(found);
                    }
                }
                "cgroup" => {
                    let controllers: Vec<String> = mount
                        .super_options
                        .split(',')
                        .filter(|option| is_controller(option))
                        .map(str::to_owned)
                        .collect();
                    let known = |c: &String| layout.v1.iter().any(|h| h.controllers.contains(c));
                    if controllers.is_empty() || controllers.iter().any(known) {
                        continue;
                    }
                    let own = memberships
                        .iter()
                        .find(|m| m.controllers.split(',').any(|c| c == controllers[0]));
                    layout.v1.push(V1Hierarchy {
                        hierarchy: mount.hierarchy(own.map(|m| m.path)),
                        controllers,
                    });
                }
                _ => {}
            }
        }
        layout
    }

    /// The v1 hierarchy that has a controller.
    pub(crate) fn v1(&self, controller: &str) -> Option<&Hierarchy> {
        self.v1
            .iter()
            .find(|h| h.controllers.iter().any(|c| c == controller))
            .map(|h| &h.hierarchy)
    }
}

/// The super options of a v1 mount name its controllers among other options.
fn is_controller(option: &str) -> bool {
    const CONTROLLERS: [&str; 13] = [
        "cpu",
        "cpuacct",
        "cpuset",
        "memory",
        "blkio",
        "freezer",
        "pids",
        "devices",
        "net_cls",
        "net_prio",
        "perf_event",
        "hugetlb",
        "rdma",
    ];
    CONTROLLERS.contains(&option)
}

/// A line `id:controllers:path` of `/proc/self/cgroup`.
struct Membership<'a> {
    controllers: &'a str,
    path: &'a str,
}

impl<'a> Membership<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.splitn(3, ':');
        fields.next()?;
        Some(Membership {
            controllers: fields.next()?,
            path: fields.next()?,
        })
    }
}

/// What matters of a line of mountinfo.
struct Mount<'a> {
    root: PathBuf,
    point: PathBuf,
    fs_type: &'a str,
    super_options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let mut after = after.split(' ');
        Some(Mount {
            root: unescape(before.next()?),
            point: unescape(before.next()?),
            fs_type: after.next()?,
            super_options: after.nth(1)?,
        })
    }

    /// With the group of this process as seen below the mount point; the mount point itself where
    /// it is not to be seen there.
    fn hierarchy(&self, own: Option<&str>) -> Hierarchy {
        let own = own
            .and_then(|own| Path::new(own).strip_prefix(&self.root).ok())
            .filter(|below| !below.components().any(|c| c.as_os_str() == ".."))
            .map_or_else(|| self.point.clone(), |below| self.point.join(below));
        Hierarchy {
            mount: self.point.clone(),
            own,
        }
    }
}

/// Undoes the octal escapes of mountinfo (space, tab, newline, backslash).
pub(crate) fn unescape(field: &str) -> PathBuf {
    let bytes = field.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let octal = bytes
            .get(at + 1..at + 4)
            .filter(|_| bytes[at] == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(byte) = octal {
            out.push(byte);
            at += 4;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    PathBuf::from(OsString::from_vec(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hybrid_with_separate_mounts() {
        let layout = Layout::parse(
            "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
             32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
             35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
             40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n\
             41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
            "9:name=systemd:/\n4:memory:/jobs/a:b\n1:cpu:/\n0::/\n",
        );
        assert_eq!(layout.v1.len(), 2);
        assert_eq!(
            layout.v1("memory").unwrap().own,
            Path::new("/sys/fs/cgroup/memory/jobs/a:b")
        );
        assert_eq!(
            layout.v1("cpu").unwrap().own,
            Path::new("/sys/fs/cgroup/cpu")
        );
        assert_eq!(
            layout.unified.unwrap().mount,
            Path::new("/sys/fs/cgroup/unified")
        );
    }

    #[test]
    fn co_mounted_controllers_share_a_hierarchy() {
        let layout = Layout::parse(
            "34 25 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:15 - cgroup cgroup rw,cpu,cpuacct\n",
            "4:cpu,cpuacct:/user.slice\n",
        );
        assert_eq!(layout.v1("cpu"), layout.v1("cpuacct"));
        assert_eq!(
            layout.v1("cpu").unwrap().own,
            Path::new("/sys/fs/cgroup/cpu,cpuacct/user.slice")
        );
    }

    #[test]
    fn pure_v2_in_a_user_session() {
        let layout = Layout::parse(
            "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-1.scope\n",
        );
        assert!(layout.v1.is_empty());
        assert_eq!(
            layout.unified.unwrap().own,
            Path::new(
                "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/run-1.scope"
            )
        );
    }

    #[test]
    fn a_container_that_shows_only_its_own_branch() {
        let layout = Layout::parse(
            "50 40 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n\
             51 40 0:33 /docker/abc /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids\n",
            "4:memory:/docker/abc/inner\n5:pids:/elsewhere\n",
        );
        assert_eq!(
            layout.v1("memory").unwrap().own,
            Path::new("/sys/fs/cgroup/memory/inner")
        );
        assert_eq!(
            layout.v1("pids").unwrap().own,
            Path::new("/sys/fs/cgroup/pids")
        );
    }

    #[test]
    fn escapes_and_odd_lines() {
        assert_eq!(unescape("/a\\040b\\134c\\"), Path::new("/a b\\c\\"));
        assert_eq!(Layout::parse("nonsense\n\n1 2 - x\n", "::\nx\n"), {
            Layout::default()
        });
    }
}
