//! The table of mounts (`/proc/self/mountinfo`), and which of them can be seen.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub id: u32,
    pub parent: u32,
    /// Where it is mounted.
    pub point: PathBuf,
    /// Mounted, or made, read-only.
    pub read_only: bool,
    /// The file system's name, such as `ext4`.
    pub kind: String,
}

/// Reads the table; lines that do not parse are an error, for a mount missed is a hole.
pub(super) fn parse(table: &[u8]) -> Option<Vec<Mount>> {
    table
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .map(parse_line)
        .collect()
}

/// `36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
/// (proc_pid_mountinfo(5)).
fn parse_line(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|b| *b == b' ').collect();
    let dash = fields.iter().skip(6).position(|f| *f == b"-")? + 6;
    let number = |field: &[u8]| std::str::from_utf8(field).ok()?.parse().ok();
    let read_only = |options: &[u8]| options.split(|b| *b == b',').any(|o| o == b"ro");
    Some(Mount {
        id: number(fields.first()?)?,
        parent: number(fields.get(1)?)?,
        point: unescape(fields.get(4)?),
        read_only: read_only(fields.get(5)?) || fields.get(dash + 3).is_some_and(|o| read_only(o)),
        kind: String::from_utf8_lossy(fields.get(dash + 1)?).into_owned(),
    })
}

/// Undoes the octal escapes of blanks, newlines and backslashes.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let code = match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                Some((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'))
            }
            _ => None,
        };
        match code {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[4..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// The mounts that a path can reach: not those under another mount. Parents before children.
pub(super) fn visible(mounts: &[Mount]) -> Vec<&Mount> {
    let mut seen: Vec<&Mount> = mounts.iter().filter(|m| is_visible(m, mounts)).collect();
    seen.sort_by_key(|m| m.point.components().count());
    seen
}

fn is_visible(mount: &Mount, mounts: &[Mount]) -> bool {
    let mut mount = mount;
    // A chain of parents is no longer than the table.
    for _ in 0..=mounts.len() {
        let covered = mounts.iter().any(|other| {
            other.id != mount.id
                && ((other.parent == mount.id && other.point == mount.point)
                    || (other.parent == mount.parent && covers(&other.point, &mount.point)))
        });
        if covered {
            return false;
        }
        match mounts
            .iter()
            .find(|m| m.id == mount.parent && m.id != mount.id)
        {
            // Being mounted over the parent's own root is what makes the child the visible one.
            Some(parent) if parent.point == mount.point => {
                return is_reachable_stack(parent, mounts);
            }
            Some(parent) => mount = parent,
            None => return true,
        }
    }
    false
}

/// Whether a mount that is covered exactly at its root would be seen without that cover.
fn is_reachable_stack(mount: &Mount, mounts: &[Mount]) -> bool {
    let uncovered: Vec<Mount> = mounts
        .iter()
        .filter(|m| !(m.parent == mount.id && m.point == mount.point))
        .cloned()
        .collect();
    is_visible(mount, &uncovered)
}

fn covers(cover: &Path, path: &Path) -> bool {
    cover != path && path.starts_with(cover)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"\
24 27 0:6 / /dev rw,relatime - devtmpfs devtmpfs rw
25 24 0:23 / /dev/shm rw,relatime - tmpfs tmpfs rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
28 27 0:25 / /mnt/with\\040blank ro,nosuid shared:7 master:3 - tmpfs none ro,size=4k
30 25 0:27 / /dev/shm rw,relatime - tmpfs tmpfs rw
40 27 0:40 / /data rw - ext4 /dev/b ro
41 40 0:41 / /data/inner rw - ext4 /dev/c rw
42 27 0:42 / /hidden/below rw - ext4 /dev/d rw
43 27 0:43 / /hidden rw - ext4 /dev/e rw
";

    fn points(mounts: &[&Mount]) -> Vec<(u32, String)> {
        mounts
            .iter()
            .map(|m| (m.id, m.point.display().to_string()))
            .collect()
    }

    #[test]
    fn lines_are_understood() {
        let mounts = parse(TABLE).expect("parses");
        assert_eq!(mounts.len(), 9);
        assert_eq!(mounts[3].point, Path::new("/mnt/with blank"));
        assert!(mounts[3].read_only);
        assert_eq!(mounts[3].kind, "tmpfs");
        assert!(mounts[5].read_only, "the file system is read-only");
        assert!(!mounts[6].read_only);
    }

    #[test]
    fn covered_mounts_are_not_seen() {
        let mounts = parse(TABLE).expect("parses");
        let seen = points(&visible(&mounts));
        let ids: Vec<u32> = seen.iter().map(|(id, _)| *id).collect();
        assert_eq!(seen[0], (27, "/".into()));
        assert!(!ids.contains(&25), "another /dev/shm lies on it: {seen:?}");
        assert!(ids.contains(&30));
        assert!(ids.contains(&41));
        assert!(!ids.contains(&42), "/hidden lies on it: {seen:?}");
        assert!(ids.contains(&43));
    }

    #[test]
    fn escapes() {
        assert_eq!(unescape(b"/a\\040b\\134c"), Path::new("/a b\\c"));
        assert_eq!(unescape(b"/a\\04"), Path::new("/a\\04"));
    }

    #[test]
    fn rubbish_is_refused() {
        assert_eq!(parse(b"what is this\n"), None);
        assert_eq!(parse(b""), Some(vec![]));
    }
}
