//! Many writers at once, and writers that die.

mod common;

use std::path::Path;
use std::process::Child;
use std::sync::Barrier;

use common::{child_dir, finish, myself, task, wait_for};
use foreshadow_quantity::Bytes;
use foreshadow_store::{HistoryFilter, Store, TaskState};

const PROCESSES: usize = 150;
const TASKS: usize = 3;

fn count(dir: &Path, state: TaskState) -> usize {
    Store::open_read_only(dir)
        .and_then(|s| {
            s.history(&HistoryFilter {
                state: Some(state),
                ..HistoryFilter::default()
            })
        })
        .map_or(0, |tasks| tasks.len())
}

fn check_integrity(dir: &Path) {
    let connection = rusqlite::Connection::open(dir.join("history.db")).unwrap();
    let answer: String = connection
        .query_row("PRAGMA integrity_check", [], |r| r.get(0))
        .unwrap();
    assert_eq!(answer, "ok");
}

/// The part of each of the many processes: waits until all are there, then all begin with an
/// empty directory, so that they race for the schema too.
#[test]
#[ignore = "run by many_processes_at_once"]
fn child_of_the_crowd() {
    let Some(dir) = child_dir() else { return };
    let me = std::process::id();
    std::fs::write(dir.join(format!("ready-{me}")), "").unwrap();
    wait_for("the start", || dir.join("start").exists());
    let store = Store::open(&dir.join("state")).unwrap();
    for n in 0..TASKS {
        let id = store.begin_task(&task("crowd")).unwrap();
        store
            .record_models("crowd", format!("{me} {n}").as_bytes())
            .unwrap();
        store.finish_task(&id, &finish(Bytes::mib(1))).unwrap();
    }
}

#[test]
fn many_processes_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut children: Vec<Child> = (0..PROCESSES)
        .map(|_| {
            myself(&[], "child_of_the_crowd", dir.path())
                .spawn()
                .unwrap()
        })
        .collect();
    wait_for("all children", || {
        std::fs::read_dir(dir.path()).unwrap().count() >= PROCESSES
    });
    std::fs::write(dir.path().join("start"), "").unwrap();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let state = dir.path().join("state");
    assert_eq!(count(&state, TaskState::Finished), PROCESSES * TASKS);
    check_integrity(&state);
}

#[test]
fn many_threads_of_one_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let barrier = Barrier::new(16);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..20 {
                    let id = store.begin_task(&task("threads")).unwrap();
                    store.finish_task(&id, &finish(Bytes::mib(1))).unwrap();
                    store.similar("threads", "m", 2).unwrap();
                }
            });
        }
    });
    assert_eq!(count(dir.path(), TaskState::Finished), 320);
}

#[test]
#[ignore = "run by a_killed_writer_loses_nothing_and_its_task_is_lost"]
fn child_that_writes_without_end() {
    let Some(dir) = child_dir() else { return };
    let store = Store::open(&dir).unwrap();
    let _never_finished = store.begin_task(&task("endless")).unwrap();
    loop {
        let id = store.begin_task(&task("short")).unwrap();
        store.finish_task(&id, &finish(Bytes::mib(1))).unwrap();
    }
}

#[test]
fn a_killed_writer_loses_nothing_and_its_task_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=5 {
        let before = count(dir.path(), TaskState::Finished);
        let mut child = myself(&[], "child_that_writes_without_end", dir.path())
            .spawn()
            .unwrap();
        wait_for("some tasks", || {
            count(dir.path(), TaskState::Finished) >= before + 20
        });
        let seen = count(dir.path(), TaskState::Finished);
        // SIGKILL, at whatever it is doing.
        child.kill().unwrap();
        child.wait().unwrap();

        let store = Store::open(dir.path()).unwrap();
        assert!(count(dir.path(), TaskState::Finished) >= seen);
        assert_eq!(count(dir.path(), TaskState::Running), 0);
        let lost = store
            .history(&HistoryFilter {
                signature: Some("endless".into()),
                ..HistoryFilter::default()
            })
            .unwrap();
        assert_eq!(lost.len(), round);
        assert!(lost.iter().all(|t| t.state == TaskState::Lost));
        assert!(lost.iter().all(|t| t.ended.is_some() && t.end.is_none()));
        // A task of a living process (this one) is left alone.
        let mine = store.begin_task(&task("mine")).unwrap();
        drop(Store::open(dir.path()).unwrap());
        assert_eq!(count(dir.path(), TaskState::Running), 1);
        store.finish_task(&mine, &finish(Bytes::ZERO)).unwrap();
        check_integrity(dir.path());
    }
}
