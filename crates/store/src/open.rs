use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use crate::StoreError;
use crate::owner::Owner;
use crate::schema::{APPLICATION_ID, MIGRATIONS, VERSION};

/// How long a process waits for others to leave the database. Transactions take about a
/// millisecond, so that this is enough for thousands of writers at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

const FILE: &str = "history.db";
const LOCK: &str = "history.lock";

/// The history of tasks: one connection to the database of a state directory.
///
/// Methods may be called from several threads; they queue behind each other.
#[derive(Debug)]
pub struct Store {
    connection: Mutex<Connection>,
    path: PathBuf,
    pub(crate) me: Owner,
}

impl Store {
    /// Opens the history in `dir`, making both where they are missing, and marks the tasks whose
    /// process died as lost.
    ///
    /// # Errors
    /// Where the directory cannot be made or written, is full, holds something else, or a history
    /// of a newer version; each says which, and what to do.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        make_directory(dir)?;
        let path = dir.join(FILE);
        make_file(dir, &path)?;
        let connection = connect(&path).map_err(|e| explain(dir, e))?;
        let store = Store {
            connection: Mutex::new(connection),
            path,
            me: Owner::me(),
        };
        store.prepare(dir).map_err(|e| explain(dir, e))?;
        store.mark_lost()?;
        Ok(store)
    }

    /// Opens the history in `dir` to read it only: works in a read-only directory, makes nothing.
    ///
    /// # Errors
    /// [`StoreError::Absent`] where there is none; else as [`Store::open`].
    pub fn open_read_only(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        match fs::metadata(&path) {
            Ok(meta) if meta.len() == 0 => return Err(StoreError::Absent { path }),
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::Absent { path });
            }
            Err(e) => return Err(StoreError::io(&path, e)),
        }
        let connection = connect_read_only(&path)?;
        if read_version(&connection, &path)? == 0 {
            return Err(StoreError::Absent { path });
        }
        Ok(Store {
            connection: Mutex::new(connection),
            path,
            me: Owner::me(),
        })
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic in another thread leaves no half-made transaction: it was rolled back on unwind.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn error(&self, source: rusqlite::Error) -> StoreError {
        StoreError::database(&self.path, source)
    }

    pub(crate) fn value(&self, what: &'static str, detail: &dyn std::fmt::Display) -> StoreError {
        StoreError::Value {
            what,
            path: self.path.clone(),
            detail: detail.to_string(),
        }
    }

    /// Runs `work` in one transaction that holds the write lock from its beginning, so that it
    /// never has to be given up halfway for another writer.
    pub(crate) fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let connection = self.connection();
        let transaction =
            patiently(|| Transaction::new_unchecked(&connection, TransactionBehavior::Immediate))
                .map_err(|e| self.error(e))?;
        let result = work(&transaction).map_err(|e| self.error(e))?;
        transaction.commit().map_err(|e| self.error(e))?;
        Ok(result)
    }

    /// Brings the schema to this program's version.
    fn prepare(&self, dir: &Path) -> Result<(), StoreError> {
        if read_version(&self.connection(), &self.path)? == VERSION {
            return Ok(());
        }
        // Only one process migrates; those that waited here find it done.
        let _lock = lock(&dir.join(LOCK))?;
        let mut connection = self.connection();
        if read_version(&connection, &self.path)? == VERSION {
            return Ok(());
        }
        if !is_on_network(dir) {
            patiently(|| connection.pragma_update(None, "journal_mode", "wal"))
                .map_err(|e| self.error(e))?;
        }
        MIGRATIONS.to_latest(&mut connection).map_err(|e| match e {
            rusqlite_migration::Error::RusqliteError { err, .. } => self.error(err),
            other => StoreError::Damaged {
                path: self.path.clone(),
                detail: other.to_string(),
            },
        })
    }
}

/// Repeats what SQLite refuses for being busy in the cases where its own waiting does not apply
/// (change of the journal mode, the locking protocol of a log that is being recovered).
fn patiently<T>(mut work: impl FnMut() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(1);
    loop {
        let busy = |e: &rusqlite::Error| {
            matches!(
                e.sqlite_error_code(),
                Some(
                    ErrorCode::DatabaseBusy
                        | ErrorCode::DatabaseLocked
                        | ErrorCode::FileLockingProtocolFailed
                )
            )
        };
        match work() {
            Err(e) if busy(&e) && Instant::now() < deadline => {
                thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(50));
            }
            other => return other,
        }
    }
}

fn make_directory(dir: &Path) -> Result<(), StoreError> {
    match fs::metadata(dir) {
        Ok(meta) if meta.is_dir() => return Ok(()),
        Ok(_) => {
            return Err(StoreError::NotOurs {
                path: dir.to_owned(),
            });
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(StoreError::io(dir, e)),
    }
    let existing = dir.ancestors().find(|a| a.exists());
    DirBuilder::new()
        .recursive(true)
        // Command lines may hold secrets.
        .mode(0o700)
        .create(dir)
        .map_err(|e| StoreError::io(dir, e))?;
    if let Some(existing) = existing {
        for made in dir.ancestors().take_while(|a| *a != existing) {
            belong_as(existing, made);
        }
    }
    Ok(())
}

/// Root at work in a user's home (`sudo` that keeps HOME) must not lock the user out.
fn belong_as(parent: &Path, made: &Path) {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    if let Ok(meta) = fs::metadata(parent)
        && meta.uid() != 0
        // A world-writable parent such as /tmp says nothing about whose this is.
        && meta.mode() & 0o002 == 0
    {
        // Failing leaves it to root, which is no worse than before.
        let _ = chown(made, Some(meta.uid()), Some(meta.gid()));
    }
}

fn make_file(dir: &Path, path: &Path) -> Result<(), StoreError> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Ok(_) => {
            belong_as(dir, path);
            Ok(())
        }
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            if path.is_file() {
                Ok(())
            } else {
                Err(StoreError::NotOurs {
                    path: path.to_owned(),
                })
            }
        }
        // Creating is refused on a read-only file system even where the file exists.
        Err(e) => Err(StoreError::io(path, e)),
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let error = |e| StoreError::database(path, e);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(error)?;
    if connection.is_readonly("main").map_err(error)? {
        // SQLite falls back to reading without a word.
        return Err(StoreError::ReadOnly {
            path: path.to_owned(),
        });
    }
    settle(&connection).map_err(error)?;
    Ok(connection)
}

fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(PATIENCE)?;
    // In the log's mode a killed process loses nothing; a power cut may lose the last
    // transactions, but never damages the file.
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Copying the log into the database waits for the disk: leave it to the writer that finds
    // the log long, and spare it every short command.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(())
}

fn connect_read_only(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let attempt = |target: &Path, flags| -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(target, flags)?;
        connection.busy_timeout(PATIENCE)?;
        // The first real reading.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(connection)
    };
    let error = match attempt(path, flags) {
        Ok(connection) => return Ok(connection),
        Err(error) => error,
    };
    let cannot_share = matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::SystemIoFailure)
    );
    let log = path.with_file_name(format!("{FILE}-wal"));
    let log_is_empty = fs::metadata(&log).map_or(true, |m| m.len() == 0);
    if cannot_share && log_is_empty {
        // Nobody can write in a read-only directory: the file may be taken as it stands.
        let uri = immutable_uri(path);
        return attempt(Path::new(&uri), flags | OpenFlags::SQLITE_OPEN_URI)
            .map_err(|e| StoreError::database(path, e));
    }
    Err(StoreError::database(path, error))
}

fn immutable_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri.push_str("?immutable=1");
    uri
}

/// The schema version; 0 for a new file. Refuses other programs' files and newer versions.
fn read_version(connection: &Connection, path: &Path) -> Result<usize, StoreError> {
    let error = |e| StoreError::database(path, e);
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let application = patiently(|| pragma("application_id")).map_err(error)?;
    let version = pragma("user_version").map_err(error)?;
    if application != i64::from(APPLICATION_ID) {
        let count = "SELECT count(*) FROM sqlite_schema";
        let tables: i64 = connection
            .query_row(count, [], |r| r.get(0))
            .map_err(error)?;
        if application != 0 || version != 0 || tables != 0 {
            // Another process may have made the schema between the two readings.
            let now = pragma("application_id").map_err(error)?;
            if now != i64::from(APPLICATION_ID) {
                return Err(StoreError::NotOurs {
                    path: path.to_owned(),
                });
            }
            return read_version(connection, path);
        }
    }
    let found = usize::try_from(version).unwrap_or(usize::MAX);
    if found > VERSION {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known: VERSION,
        });
    }
    Ok(found)
}

/// Released when the file is closed, by a kill as well.
fn lock(path: &Path) -> Result<File, StoreError> {
    let io = |e| StoreError::io(path, e);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(io)?;
    if let Some(dir) = path.parent() {
        belong_as(dir, path);
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(5));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Busy {
                    path: path.to_owned(),
                    waited_seconds: PATIENCE.as_secs(),
                });
            }
            Err(TryLockError::Error(e)) => return Err(io(e)),
        }
    }
}

/// SQLite's "unable to open" hides the reason; the kernel gives it when asked for the same thing.
fn explain(dir: &Path, error: StoreError) -> StoreError {
    let hidden = match &error {
        StoreError::ReadOnly { .. } => true,
        StoreError::Database { source, .. } => matches!(
            source.sqlite_error_code(),
            Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure)
        ),
        _ => false,
    };
    if !hidden {
        return error;
    }
    let file = dir.join(FILE);
    if let Err(e) = OpenOptions::new().read(true).write(true).open(&file) {
        return StoreError::io(&file, e);
    }
    let probe = dir.join(format!("probe-{}", std::process::id()));
    match OpenOptions::new().write(true).create_new(true).open(&probe) {
        Ok(_) => {
            // It was empty and ours; a failure to remove it is no reason to fail.
            let _ = fs::remove_file(&probe);
            error
        }
        Err(e) => StoreError::io(dir, e),
    }
}

/// Whether the directory is on a file system where processes of several machines meet, as far as
/// its type tells (`statfs(2)`, and the file systems' own magic numbers).
fn is_on_network(dir: &Path) -> bool {
    const NETWORK: [u64; 10] = [
        0x6969,      // NFS
        0x517b,      // SMB
        0xff53_4d42, // CIFS
        0xfe53_4d42, // SMB2
        0x0bd0_0bd0, // Lustre
        0x4750_4653, // GPFS
        0x00c3_6400, // Ceph
        0x1983_0326, // BeeGFS
        0x5346_414f, // AFS
        0x0102_1997, // 9P
    ];
    rustix::fs::statfs(dir).is_ok_and(|s| {
        // The type's width and sign differ between architectures; the numbers have 32 bits.
        #[expect(clippy::cast_sign_loss, reason = "a magic number, not an amount")]
        let kind = s.f_type as u64 & 0xffff_ffff;
        NETWORK.contains(&kind)
    })
}
