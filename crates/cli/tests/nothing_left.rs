//! Nothing is left behind: no group, mount, process or temporary file, however things end.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use common::{foreshadow, make_csv, process_with, run, wait_for};
use rustix::process::{Pid, Signal, kill_process};

/// The control groups that this process of ours has made, in all hierarchies.
fn groups(owner: u32) -> Vec<PathBuf> {
    let mark = format!("-{owner}-");
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.filter_map(Result::ok) {
            if !entry.file_type().is_ok_and(|t| t.is_dir()) {
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("foreshadow-") && name.contains(&mark) {
                found.push(entry.path());
            }
            folders.push(entry.path());
        }
    }
    found
}

fn temporary(home: &Path) -> BTreeSet<String> {
    fs::read_dir(home.join("tmp"))
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

fn start(home: &Path, arguments: &[&str]) -> Child {
    foreshadow(home)
        .args(arguments)
        .env("TMPDIR", home.join("tmp"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn nothing_is_left_behind() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::create_dir(home.join("tmp")).unwrap();
    make_csv(&home.join("in.csv"), 50_000);
    let word = format!("34{:05}", std::process::id() % 100_000);
    let mounts = |()| {
        fs::read_to_string("/proc/self/mountinfo")
            .unwrap()
            .matches("foreshadow")
            .count()
    };
    let mounts_before = mounts(());
    for arguments in [
        vec!["predict", "--budget", "4s", "--", "sleep", &word],
        vec!["run", "--no-predict", "--", "sleep", &word],
        vec![
            "predict",
            "--budget",
            "4s",
            "--",
            "sh",
            "-c",
            &format!("sort in.csv; sleep {word}"),
        ],
    ] {
        for signal in [
            None,
            Some(Signal::INT),
            Some(Signal::TERM),
            Some(Signal::KILL),
        ] {
            let mut child = start(home, &arguments);
            let owner = child.id();
            wait_for("the command", || sleeps(&word) || has_ended(&mut child));
            match signal {
                Some(signal) => kill_process(Pid::from_child(&child), signal).unwrap(),
                // The command itself is killed.
                None => {
                    for pid in sleepers(&word) {
                        let _ = kill_process(pid, Signal::KILL);
                    }
                }
            }
            wait_for("its end", || has_ended(&mut child));
            if signal == Some(Signal::KILL) {
                // What it could not clear away, the next start does.
                wait_for("the sweep", || {
                    run(home, &["run", "--quiet", "--no-predict", "--", "true"]);
                    groups(owner).is_empty()
                });
            }
            assert_eq!(groups(owner), Vec::<PathBuf>::new(), "{arguments:?}");
            wait_for("the end of the command", || !process_with(&word));
            assert_eq!(temporary(home), BTreeSet::new(), "{arguments:?} {signal:?}");
        }
    }
    assert_eq!(mounts(()), mounts_before);
}

fn has_ended(child: &mut Child) -> bool {
    child.try_wait().unwrap().is_some()
}

/// The processes that are `sleep WORD`.
fn sleepers(word: &str) -> Vec<Pid> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(Result::ok)
        .filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| line == format!("sleep\0{word}\0").as_bytes())
        })
        .filter_map(Pid::from_raw)
        .collect()
}

fn sleeps(word: &str) -> bool {
    !sleepers(word).is_empty()
}
