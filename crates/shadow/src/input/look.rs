//! Looks at one path: what is there, without reading more than its head.

use std::fs::{FileType, Metadata};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use foreshadow_quantity::Bytes;

use crate::format;

use super::{Input, Kind, Origin, Reference, Role, Unreadable, walk};

/// The input at an absolute path.
pub(crate) fn look(path: PathBuf, origin: Origin, role: Role) -> Input {
    let real = path.canonicalize().unwrap_or_else(|_| path.clone());
    let mut bytes = Bytes::ZERO;
    let mut role = role;
    let kind = match std::fs::metadata(&path) {
        Ok(metadata) => {
            if metadata.is_file() {
                bytes = Bytes::new(metadata.len());
            }
            if metadata.is_dir() && is_system_directory(&real) {
                role = Role::Reference(Reference::System);
            }
            let (kind, counted) = kind(&real, &metadata);
            bytes = counted.unwrap_or(bytes);
            kind
        }
        Err(e) => Kind::Unreadable(refusal(&path, &e)),
    };
    Input {
        path,
        real,
        bytes,
        kind,
        origin,
        role,
    }
}

fn refusal(path: &Path, error: &io::Error) -> Unreadable {
    match error.kind() {
        io::ErrorKind::NotFound if path.symlink_metadata().is_ok() => Unreadable::DanglingLink,
        io::ErrorKind::NotFound => Unreadable::Missing,
        _ => Unreadable::Refused(error.to_string()),
    }
}

/// What is at `path`, and the size where it isn't the file's own.
fn kind(path: &Path, metadata: &Metadata) -> (Kind, Option<Bytes>) {
    if metadata.is_file() {
        return match format::detect(path) {
            Ok(format) => (Kind::File(format), None),
            Err(e) => (Kind::Unreadable(refusal(path, &e)), None),
        };
    }
    if metadata.is_dir() {
        if is_system_directory(path) {
            return (Kind::Unreadable(Unreadable::SystemDirectory), None);
        }
        return match walk(path) {
            Ok(Ok(tree)) => (
                Kind::Directory { files: tree.files },
                Some(Bytes::new(tree.bytes)),
            ),
            Ok(Err(seen)) => (Kind::Unreadable(Unreadable::TooManyEntries { seen }), None),
            Err(e) => (Kind::Unreadable(refusal(path, &e)), None),
        };
    }
    (Kind::Unreadable(special(metadata.file_type())), None)
}

pub(crate) fn special(file_type: FileType) -> Unreadable {
    if file_type.is_fifo() {
        Unreadable::Pipe
    } else if file_type.is_socket() {
        Unreadable::Socket
    } else {
        Unreadable::Device
    }
}

/// Directories whose absence would break any program.
fn is_system_directory(path: &Path) -> bool {
    const ROOTS: [&str; 12] = [
        "/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin", "/etc", "/proc", "/sys",
        "/dev", "/boot",
    ];
    if path == Path::new("/") || path == Path::new("/var") || path == Path::new("/run") {
        return true;
    }
    if let Ok(rest) = path.strip_prefix("/usr") {
        // Deeper down, as in /usr/share/dict, there may be data.
        return rest.components().count() < 2;
    }
    ROOTS.iter().any(|root| path.starts_with(root))
}
