//! The whole disks that hold the mounted file systems: what a disk rate is set on.

use std::collections::BTreeSet;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::layout::unescape;

/// The number of a block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Device {
    major: u32,
    minor: u32,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

impl Device {
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once(':')?;
        Some(Device {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }
}

/// The disks behind the file systems mounted here, each once.
pub(crate) fn mounted() -> Vec<Device> {
    let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    whole_disks(&mountinfo, Path::new("/sys/dev/block"))
}

fn whole_disks(mountinfo: &str, sys_dev_block: &Path) -> Vec<Device> {
    let disks: BTreeSet<Device> = mountinfo
        .lines()
        .filter_map(mounted_device)
        .filter_map(|device| whole_disk(device, sys_dev_block))
        .collect();
    disks.into_iter().collect()
}

/// The device of a line of mountinfo.
fn mounted_device(line: &str) -> Option<Device> {
    let device = Device::parse(line.split(' ').nth(2)?)?;
    if device.major != 0 {
        return Some(device);
    }
    // File systems over several devices (btrfs) have an anonymous number but name a device.
    let source = line.split_once(" - ")?.1.split(' ').nth(1)?;
    if !source.starts_with("/dev/") {
        return None;
    }
    let device = std::fs::metadata(unescape(source)).ok()?.rdev();
    Some(Device {
        major: rustix::fs::major(device),
        minor: rustix::fs::minor(device),
    })
}

/// The disk a device is a partition of, or the device itself; None for loop and RAM devices, whose
/// traffic is that of another device or none.
fn whole_disk(device: Device, sys_dev_block: &Path) -> Option<Device> {
    let folder = sys_dev_block.join(device.to_string()).canonicalize().ok()?;
    let folder = if folder.join("partition").exists() {
        folder.parent()?.to_owned()
    } else {
        folder
    };
    let name = folder.file_name()?.to_str()?;
    if ["loop", "ram", "zram"].iter().any(|p| name.starts_with(p)) {
        return None;
    }
    Device::parse(&std::fs::read_to_string(folder.join("dev")).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn partitions_lead_to_their_disk_and_loops_are_left_out() {
        let sys = tempfile::tempdir().unwrap();
        let block = sys.path().join("block");
        std::fs::create_dir(&block).unwrap();
        for (name, number, partition) in [
            ("sda", "8:0", false),
            ("sda/sda1", "8:1", true),
            ("loop0", "7:0", false),
            ("dm-0", "253:0", false),
        ] {
            let folder = sys.path().join("devices").join(name);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("dev"), format!("{number}\n")).unwrap();
            if partition {
                std::fs::write(folder.join("partition"), "1\n").unwrap();
            }
            symlink(&folder, block.join(number)).unwrap();
        }
        let disks = whole_disks(
            "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
             2 1 8:1 /home /home rw - ext4 /dev/sda1 rw\n\
             3 1 253:0 / /data rw - xfs /dev/mapper/x rw\n\
             4 1 7:0 / /snap ro - squashfs /dev/loop0 ro\n\
             5 1 0:21 / /proc rw - proc proc rw\n",
            &block,
        );
        let names: Vec<String> = disks.iter().map(Device::to_string).collect();
        assert_eq!(names, ["8:0", "253:0"]);
    }
}
