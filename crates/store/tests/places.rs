//! State directories that cannot be used, each with its own words; and old files.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{can_mount, child_dir, finish, is_root, myself, task};
use foreshadow_quantity::Bytes;
use foreshadow_store::{HistoryFilter, Store, StoreError, TaskState};

fn open_error(dir: &Path) -> StoreError {
    let error = Store::open(dir).unwrap_err();
    assert!(
        error.to_string().contains(&*dir.to_string_lossy()),
        "names no path: {error}"
    );
    assert!(error.is_unavailable());
    error
}

#[test]
fn private_to_its_owner() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("a/b");
    let store = Store::open(&state).unwrap();
    store.begin_task(&task("x")).unwrap();
    let mode = |p: &Path| fs::metadata(p).unwrap().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    assert_eq!(mode(store.path()), 0o600);
    assert_eq!(mode(&state.join("history.db-wal")), 0o600);
}

#[test]
fn a_newer_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path()).unwrap());
    let file = dir.path().join("history.db");
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    for error in [
        open_error(dir.path()),
        Store::open_read_only(dir.path()).unwrap_err(),
    ] {
        assert!(
            matches!(error, StoreError::Newer { found: 99, .. }),
            "{error}"
        );
        assert!(error.to_string().contains("update foreshadow"), "{error}");
    }
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("text");
    fs::create_dir(&state).unwrap();
    let text = "not a database at all\n".repeat(100);
    fs::write(state.join("history.db"), &text).unwrap();
    assert!(matches!(open_error(&state), StoreError::NotOurs { .. }));
    assert_eq!(fs::read_to_string(state.join("history.db")).unwrap(), text);

    let state = dir.path().join("others");
    fs::create_dir(&state).unwrap();
    let connection = rusqlite::Connection::open(state.join("history.db")).unwrap();
    connection
        .execute_batch("CREATE TABLE tasks (x); INSERT INTO tasks VALUES (1)")
        .unwrap();
    assert!(matches!(open_error(&state), StoreError::NotOurs { .. }));

    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(open_error(&file), StoreError::NotOurs { .. }));
    assert!(matches!(
        open_error(&file.join("below")),
        StoreError::Io { .. }
    ));

    let state = dir.path().join("directory");
    fs::create_dir_all(state.join("history.db")).unwrap();
    assert!(matches!(open_error(&state), StoreError::NotOurs { .. }));
}

#[test]
fn a_damaged_file_is_said_to_be_so() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for _ in 0..50 {
        store.begin_task(&task("x")).unwrap();
    }
    drop(store);
    let file = dir.path().join("history.db");
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(connection);
    // All pages after the first.
    let mut bytes = fs::read(&file).unwrap();
    bytes[4096..].fill(0x5a);
    fs::write(&file, bytes).unwrap();
    let error = Store::open(dir.path())
        .and_then(|s| s.history(&HistoryFilter::default()))
        .unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

#[test]
fn reading_where_there_is_nothing_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let error = Store::open_read_only(&state).unwrap_err();
    assert!(matches!(error, StoreError::Absent { .. }), "{error}");
    assert!(!state.exists());
}

/// The frozen file was written by the first version of the schema and is never made anew.
#[test]
fn the_history_of_the_first_version_is_still_read() {
    let dir = tempfile::tempdir().unwrap();
    let connection = rusqlite::Connection::open(dir.path().join("history.db")).unwrap();
    connection
        .execute_batch(include_str!("fixtures/v1.sql"))
        .unwrap();
    drop(connection);
    for store in [
        Store::open_read_only(dir.path()).unwrap(),
        Store::open(dir.path()).unwrap(),
    ] {
        let tasks = store.history(&HistoryFilter::default()).unwrap();
        assert_eq!(tasks.len(), 2);
        assert_eq!(tasks[0].state, TaskState::Lost);
        assert_eq!(tasks[1].argv, ["sort", "big.csv"]);
        let actuals = tasks[1].actuals.unwrap();
        assert_eq!(actuals.peak_memory_bytes, Some(Bytes::new(220_200_960)));
        assert_eq!(
            store.similar("sort <path>", "x86_64-2", 9).unwrap().len(),
            1
        );
        assert_eq!(
            store.get_models("sort <path>").unwrap().as_deref(),
            Some(&b"model"[..])
        );
        assert_eq!(store.adjustments(&tasks[1].id).unwrap().len(), 1);
    }
}

/// Opens and writes as far as it goes; the error's name is the end of the child's file `said`.
#[test]
#[ignore = "run by the tests of places"]
fn child_that_uses_a_place() {
    let Some(dir) = child_dir() else { return };
    let state = dir.join("state");
    let (said, error) = match Store::open(&state) {
        Err(error) => ("open", error),
        Ok(store) => loop {
            let big = vec![7; 20_000];
            if let Err(error) = store.record_recording(None, "x", "kind", &big) {
                // What was there before can still be read.
                assert!(store.history(&HistoryFilter::default()).is_ok());
                break ("write", error);
            }
        },
    };
    let reading = Store::open_read_only(&state)
        .and_then(|s| s.history(&HistoryFilter::default()))
        .map_or_else(|e| e.to_string(), |tasks| format!("{} tasks", tasks.len()));
    fs::write(
        dir.join("said/words"),
        format!("{said}: {error:?}\n{error}\n{reading}"),
    )
    .unwrap();
}

/// A directory for [`child_that_uses_a_place`]: `state`, and `said` for its words.
fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    fs::create_dir(&state).unwrap();
    fs::create_dir(dir.path().join("said")).unwrap();
    (dir, state)
}

fn words(dir: &Path) -> String {
    fs::read_to_string(dir.join("said/words")).unwrap()
}

fn in_own_mounts(script: &str, dir: &Path) {
    let prefix = ["unshare", "--mount", "sh", "-ec", script, "sh"];
    let status = myself(&prefix, "child_that_uses_a_place", dir)
        .current_dir(dir)
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn a_read_only_file_system() {
    if !can_mount() {
        eprintln!("SKIPPED a_read_only_file_system: needs root and leave to mount");
        return;
    }
    let (dir, state) = place();
    let store = Store::open(&state).unwrap();
    let id = store.begin_task(&task("x")).unwrap();
    store.finish_task(&id, &finish(Bytes::mib(1))).unwrap();
    let script = "mount --bind state state; mount -o remount,bind,ro state; exec \"$@\"";
    // With the log of a living writer, after it was copied away, and without.
    in_own_mounts(script, dir.path());
    assert!(
        words(dir.path()).contains("open: ReadOnly"),
        "{}",
        words(dir.path())
    );
    assert!(
        words(dir.path()).ends_with("1 tasks"),
        "{}",
        words(dir.path())
    );

    drop(store);
    in_own_mounts(script, dir.path());
    assert!(
        words(dir.path()).ends_with("1 tasks"),
        "{}",
        words(dir.path())
    );

    let connection = rusqlite::Connection::open(state.join("history.db")).unwrap();
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(connection);
    for name in ["history.db-wal", "history.db-shm"] {
        let _ = fs::remove_file(state.join(name));
    }
    in_own_mounts(script, dir.path());
    assert!(
        words(dir.path()).ends_with("1 tasks"),
        "{}",
        words(dir.path())
    );
}

#[test]
fn a_full_file_system() {
    if !can_mount() {
        eprintln!("SKIPPED a_full_file_system: needs root and leave to mount");
        return;
    }
    let (dir, state) = place();
    // Full from the beginning; then with some room; in both, `said` is elsewhere.
    in_own_mounts(
        "mount -t tmpfs -o size=4k tmpfs state; head -c 4096 /dev/zero >state/full; exec \"$@\"",
        dir.path(),
    );
    let first = words(dir.path());
    assert!(first.contains("open: Full"), "{first}");
    assert!(first.contains(&*state.to_string_lossy()), "{first}");
    assert!(first.contains("free some space"), "{first}");

    in_own_mounts(
        "mount -t tmpfs -o size=600k tmpfs state; exec \"$@\"",
        dir.path(),
    );
    let then = words(dir.path());
    assert!(then.contains("write: Full"), "{then}");
}

#[test]
fn somebody_elses_directory() {
    let (dir, state) = place();
    if is_root() {
        let Ok(output) = Command::new("setpriv").arg("--version").output() else {
            eprintln!("SKIPPED somebody_elses_directory: as root it needs setpriv");
            return;
        };
        assert!(output.status.success());
        // The directory is root's; the child is nobody and may write its words only.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).unwrap();
        chown(dir.path().join("said"), Some(65534), Some(65534)).unwrap();
        let prefix = [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
        ];
        let mut child = myself(&prefix, "child_that_uses_a_place", dir.path());
        // The test program itself may be out of reach of nobody.
        let copy = dir.path().join("program");
        fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
        let arguments: Vec<_> = child
            .get_args()
            .map(|a| {
                if Path::new(a) == std::env::current_exe().unwrap() {
                    copy.as_os_str()
                } else {
                    a
                }
            })
            .map(std::borrow::ToOwned::to_owned)
            .collect();
        child = Command::new("setpriv");
        child
            .args(arguments)
            .env(common::CHILD, dir.path())
            .current_dir("/")
            .stdout(std::process::Stdio::null());
        assert!(child.status().unwrap().success());
    } else {
        fs::set_permissions(&state, fs::Permissions::from_mode(0o500)).unwrap();
        let status = myself(&[], "child_that_uses_a_place", dir.path()).status();
        assert!(status.unwrap().success());
    }
    let said = words(dir.path());
    assert!(said.contains("open: Permission"), "{said}");
    assert!(said.contains("FORESHADOW_STATE_DIR"), "{said}");
}
