//! What is put into the history comes out of it.

mod common;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use common::{finish, task};
use foreshadow_quantity::Bytes;
use foreshadow_store::{
    Actuals, AdjustmentRecord, Cause, End, FinishTask, HistoryFilter, NewPrediction, NewTask,
    Store, StoreError, TaskId, TaskState,
};

fn all(store: &Store) -> Vec<foreshadow_store::TaskRecord> {
    store.history(&HistoryFilter::default()).unwrap()
}

#[test]
fn a_task_from_beginning_to_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("new/state")).unwrap();
    let id = store.begin_task(&task("sort <path>")).unwrap();

    let running = &all(&store)[0];
    assert_eq!(running.state, TaskState::Running);
    assert_eq!(
        (running.end, running.actuals, running.ended),
        (None, None, None)
    );

    store
        .record_prediction(&NewPrediction {
            task: Some(&id),
            signature: "sort <path>",
            machine: "m",
            method: "prefix",
            document: r#"{"schema":"foreshadow.prediction/1"}"#,
        })
        .unwrap();
    let actuals = Actuals {
        peak_memory_bytes: Some(Bytes::mib(7)),
        page_cache_peak_bytes: Some(Bytes::ZERO),
        cpu_seconds: Some(0.25),
        wall_seconds: Some(f64::NAN),
        read_bytes: Some(Bytes::new(u64::MAX)),
        major_faults: Some(3),
        ..Actuals::default()
    };
    let adjustment = AdjustmentRecord {
        at_seconds: 1.0,
        resource: "memory_bytes".into(),
        from: Some(5.0),
        to: None,
        reason: "it needed more".into(),
    };
    let end = FinishTask {
        end: End::Signal(9),
        cause: Some(Cause::OomCgroup),
        actuals,
        adjustments: vec![adjustment.clone()],
    };
    store.finish_task(&id, &end).unwrap();
    // Once more, as after a retry: nothing doubles.
    store.finish_task(&id, &end).unwrap();

    let tasks = all(&store);
    assert_eq!(tasks.len(), 1);
    let done = &tasks[0];
    assert_eq!(done.id, id);
    assert_eq!(done.state, TaskState::Finished);
    assert_eq!(done.argv, ["sort", "big.csv"]);
    assert_eq!(done.end, Some(End::Signal(9)));
    assert_eq!(done.cause, Some(Cause::OomCgroup));
    assert_eq!(done.input_bytes, Some(Bytes::mib(3)));
    assert_eq!(done.features, task("").features);
    assert!(done.ended.unwrap() >= done.started);
    let stored = done.actuals.unwrap();
    assert_eq!(stored.peak_memory_bytes, Some(Bytes::mib(7)));
    // A zero is a zero, an unknown is unknown, what is no number is unknown.
    assert_eq!(stored.page_cache_peak_bytes, Some(Bytes::ZERO));
    assert_eq!((stored.wall_seconds, stored.write_bytes), (None, None));
    assert_eq!(stored.read_bytes, Some(Bytes::new(i64::MAX as u64)));
    assert_eq!(
        done.prediction.as_deref(),
        Some(r#"{"schema":"foreshadow.prediction/1"}"#)
    );
    assert_eq!(store.adjustments(&id).unwrap(), [adjustment]);
}

#[test]
fn similar_tasks_are_finished_ones_of_the_same_kind_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut names = Vec::new();
    for n in 1..=5 {
        let id = store.begin_task(&task("sort <path>")).unwrap();
        store.finish_task(&id, &finish(Bytes::mib(n))).unwrap();
        names.push(id);
        // Names sort by the millisecond.
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    store.begin_task(&task("sort <path>")).unwrap();
    let other = store.begin_task(&task("wc <path>")).unwrap();
    store.finish_task(&other, &finish(Bytes::mib(9))).unwrap();
    let elsewhere = NewTask {
        machine: "big".into(),
        ..task("sort <path>")
    };
    let elsewhere = store.begin_task(&elsewhere).unwrap();
    store
        .finish_task(&elsewhere, &finish(Bytes::mib(9)))
        .unwrap();

    let found: Vec<TaskId> = store
        .similar("sort <path>", "m", 3)
        .unwrap()
        .into_iter()
        .map(|t| t.id)
        .collect();
    names.reverse();
    assert_eq!(found, names[..3]);
    assert!(store.similar("no such", "m", 3).unwrap().is_empty());
}

#[test]
fn filters_of_the_history() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for word in ["alpha", "beta", "alphabet"] {
        let new = NewTask {
            argv: vec!["echo".into(), word.into()],
            ..task("echo")
        };
        store.begin_task(&new).unwrap();
    }
    let count = |command: &str, limit| {
        store
            .history(&HistoryFilter {
                command: Some(command.into()),
                limit,
                ..HistoryFilter::default()
            })
            .unwrap()
            .len()
    };
    assert_eq!(count("echo alpha", None), 2);
    assert_eq!(count("echo alpha", Some(1)), 1);
    assert_eq!(count("bet", None), 2);
    assert_eq!(count("%", None), 0);
}

#[test]
fn arguments_of_any_bytes_and_length() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let odd = OsString::from_vec(vec![b'/', 0xff, b'"', b'\'', b'\n']);
    let new = NewTask {
        argv: vec![
            "cat".into(),
            odd.clone(),
            "x".repeat(1 << 20).into(),
            "z".into(),
        ],
        cwd: PathBuf::from(&odd),
        ..task("cat")
    };
    store.begin_task(&new).unwrap();
    let stored = &all(&store)[0];
    assert_eq!(stored.argv, [OsString::from("cat"), odd.clone()]);
    assert_eq!(stored.omitted_args, 2);
    assert_eq!(stored.cwd, PathBuf::from(odd));
}

#[test]
fn models_and_recordings() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.get_models("a").unwrap(), None);
    store.record_models("a", b"one").unwrap();
    store.record_models("a", b"two").unwrap();
    assert_eq!(store.get_models("a").unwrap().as_deref(), Some(&b"two"[..]));

    for n in 0..60_u8 {
        store.record_recording(None, "a", "shadow", &[n]).unwrap();
    }
    store.record_recording(None, "b", "shadow", b"b").unwrap();
    let kept = store.recordings("a", "shadow").unwrap();
    assert_eq!(kept.len(), 50);
    assert_eq!(kept.first(), Some(&vec![59]));
    assert_eq!(kept.last(), Some(&vec![10]));
    assert_eq!(store.recordings("b", "shadow").unwrap().len(), 1);

    store
        .record_prediction(&NewPrediction {
            task: None,
            signature: "a",
            machine: "m",
            method: "abstained",
            document: "{}",
        })
        .unwrap();
    let made = store.predictions("a", 10).unwrap();
    assert_eq!(made.len(), 1);
    assert_eq!(
        (made[0].method.as_str(), &made[0].task),
        ("abstained", &None)
    );
}

#[test]
fn a_task_that_was_never_begun() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let error = store
        .finish_task(&TaskId::new(), &finish(Bytes::ZERO))
        .unwrap_err();
    assert!(matches!(error, StoreError::NoTask { .. }), "{error}");
    assert!(!error.is_unavailable());
}
