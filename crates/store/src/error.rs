use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the history cannot be used. Each message names the path and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no home to keep state in.
    #[error(
        "no place for the history: set FORESHADOW_STATE_DIR to a directory, or HOME or \
         XDG_STATE_HOME to an absolute path"
    )]
    NoHome,
    /// The state directory was given as a relative path.
    #[error("FORESHADOW_STATE_DIR is '{}', a relative path: give an absolute one", path.display())]
    NotAbsolute {
        /// What was given.
        path: PathBuf,
    },
    /// The directory is on a file system that is mounted read-only.
    #[error(
        "the history {} is on a read-only file system: set FORESHADOW_STATE_DIR to a directory \
         that can be written",
        path.display()
    )]
    ReadOnly {
        /// The directory or file.
        path: PathBuf,
    },
    /// The directory or file belongs to somebody else, or its mode forbids.
    #[error(
        "no permission to use the history {}: check its owner and mode (it should be yours, \
         0700), or set FORESHADOW_STATE_DIR to a directory of yours",
        path.display()
    )]
    Permission {
        /// The directory or file.
        path: PathBuf,
    },
    /// The disk, or the user's quota on it, is full.
    #[error(
        "no room left for the history {}: free some space there, or set FORESHADOW_STATE_DIR to \
         a directory with room",
        path.display()
    )]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// The database was written by a newer program.
    #[error(
        "the history {} was written by a newer foreshadow (its schema is {found}, this one knows \
         {known}): update foreshadow, or set FORESHADOW_STATE_DIR to another directory",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// The schema version in the file.
        found: usize,
        /// The newest version that this program knows.
        known: usize,
    },
    /// Something of that name exists and is no history of ours.
    #[error(
        "{} is not a history of foreshadow: move it away, or set FORESHADOW_STATE_DIR to another \
         directory",
        path.display()
    )]
    NotOurs {
        /// What is in the way.
        path: PathBuf,
    },
    /// The database is damaged.
    #[error(
        "the history {} is damaged ({detail}): move it away and a new one will be started",
        path.display()
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        detail: String,
    },
    /// Other processes held the database for longer than the patience of this one.
    #[error(
        "the history {} is in use by other processes and stayed so for {waited_seconds} s: try \
         again, or see who holds it with 'fuser {}'",
        path.display(), path.display()
    )]
    Busy {
        /// The database.
        path: PathBuf,
        /// How long it was waited for.
        waited_seconds: u64,
    },
    /// There is no history yet (only where it is opened for reading).
    #[error("there is no history yet at {}: it begins with the first prediction or run", path.display())]
    Absent {
        /// Where it would be.
        path: PathBuf,
    },
    /// A task is not in the history.
    #[error("there is no task '{id}' in the history {}", path.display())]
    NoTask {
        /// The name that was asked for.
        id: String,
        /// The database.
        path: PathBuf,
    },
    /// Another failure of the file system.
    #[error("cannot use the history {}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// Another failure of the database.
    #[error("the history {} failed: {source}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A value could not be put into the database's form, or a stored one could not be read.
    #[error("a {what} in the history {} cannot be read: {detail}", path.display())]
    Value {
        /// What kind of value.
        what: &'static str,
        /// The database.
        path: PathBuf,
        /// Why.
        detail: String,
    },
}

impl StoreError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied => StoreError::Permission { path },
            io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly { path },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full { path },
            _ => StoreError::Io { path, source },
        }
    }

    pub(crate) fn database(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::ReadOnly) => StoreError::ReadOnly { path },
            Some(ErrorCode::PermissionDenied) => StoreError::Permission { path },
            Some(ErrorCode::DiskFull) => StoreError::Full { path },
            Some(ErrorCode::NotADatabase) => StoreError::NotOurs { path },
            Some(ErrorCode::DatabaseCorrupt) => StoreError::Damaged {
                path,
                detail: source.to_string(),
            },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy {
                path,
                waited_seconds: crate::open::PATIENCE.as_secs(),
            },
            // The shared-memory file could not be grown: SQLite reports it as an I/O error.
            _ if is_extended(&source, rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
                || is_extended(&source, rusqlite::ffi::SQLITE_IOERR_WRITE) =>
            {
                StoreError::Full { path }
            }
            _ => StoreError::Database { path, source },
        }
    }

    /// Whether a command can go on without its history: true of everything that is wrong with
    /// the place of the history, and not with what was asked of it.
    pub fn is_unavailable(&self) -> bool {
        !matches!(self, StoreError::NoTask { .. } | StoreError::Value { .. })
    }
}

fn is_extended(error: &rusqlite::Error, code: i32) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(e, _) if e.extended_code == code)
}
