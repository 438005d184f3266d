//! Inputs and surroundings that make trouble: what is said of them, and that nothing is harmed.

mod common;

use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{finish, foreshadow, is_root, json, make_csv, run, stderr};
use serde_json::Value;

fn predict(home: &Path, arguments: &[&str]) -> Value {
    let mut all = vec!["predict", "--json", "--budget", "2s"];
    all.extend(arguments);
    said(&run(home, &all))
}

fn said(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    json(output)
}

/// Whether this machine makes shadows at all; without them there is less to say.
fn shadows(name: &str, document: &Value) -> bool {
    let none = document.to_string().contains("no shadow was run");
    if none {
        eprintln!("SKIPPED part of {name}: {document}");
    }
    !none
}

#[test]
fn compressed_inputs_that_are_damaged() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    make_csv(&at("whole.csv"), 50_000);
    let whole = Command::new("gzip")
        .args(["-c", "whole.csv"])
        .current_dir(home.path())
        .output()
        .unwrap()
        .stdout;
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle..middle + 64].fill(0xff);
    fs::write(at("cut.csv.gz"), &whole[..whole.len() / 2]).unwrap();
    fs::write(at("flipped.csv.gz"), &flipped).unwrap();
    fs::write(at("head.csv.gz"), &whole[..10]).unwrap();
    fs::write(at("tail.csv.gz"), [&whole[..], b"and more"].concat()).unwrap();
    for name in ["cut.csv.gz", "flipped.csv.gz", "head.csv.gz", "tail.csv.gz"] {
        let before = fs::read(at(name)).unwrap();
        let document = predict(home.path(), &["--", "gzip", "-t", name]);
        assert_eq!(document["inputs"][0]["path"], text(&at(name)), "{document}");
        assert_eq!(fs::read(at(name)).unwrap(), before, "{name}");
    }
}

fn text(path: &Path) -> String {
    path.canonicalize().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_huge_sparse_input_costs_no_more_than_the_budget() {
    let home = tempfile::tempdir().unwrap();
    for name in ["huge.csv", "huge.bin"] {
        let path = home.path().join(name);
        let mut file = File::create(&path).unwrap();
        file.write_all(b"id,value\n1,2\n").unwrap();
        if let Err(e) = file
            .seek(SeekFrom::Start(1 << 40))
            .and_then(|_| file.write_all(b"\n3,4\n"))
        {
            eprintln!("SKIPPED a_huge_sparse_input: {e}");
            return;
        }
        let started = Instant::now();
        let document = predict(home.path(), &["--", "wc", "-l", name]);
        // Generous for a machine that is busy: the file itself would take minutes.
        assert!(started.elapsed() < Duration::from_secs(60), "{document}");
        let bytes = document["inputs"][0]["bytes"].as_u64().unwrap();
        assert!(bytes > 1 << 40, "{document}");
    }
}

#[test]
fn an_input_that_grows_meanwhile() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("growing.csv");
    make_csv(&path, 20_000);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = OpenOptions::new().append(true).open(&path).unwrap();
            while !done.load(Ordering::Relaxed) {
                file.write_all(b"7,k7,7\n").unwrap();
                thread::sleep(Duration::from_millis(1));
            }
        });
        let output = run(
            home.path(),
            &[
                "predict",
                "--json",
                "--budget",
                "2s",
                "--",
                "sort",
                "growing.csv",
            ],
        );
        done.store(true, Ordering::Relaxed);
        said(&output);
    });
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.lines().all(|line| line.split(',').count() == 3));
}

#[test]
fn names_that_lead_nowhere() {
    let home = tempfile::tempdir().unwrap();
    symlink("absent", home.path().join("dangling.csv")).unwrap();
    symlink("loop.csv", home.path().join("loop.csv")).unwrap();
    for name in ["dangling.csv", "loop.csv", "absent.csv"] {
        let document = predict(home.path(), &["--", "cat", name]);
        let why = document["abstained"].as_str().unwrap();
        if shadows("names_that_lead_nowhere", &document) {
            // The command's own words.
            assert!(why.contains(name), "{why}");
        }
        let document = predict(home.path(), &["--input", name, "--", "true"]);
        assert_eq!(document["schema"], "foreshadow.prediction/1");
    }
}

#[test]
fn an_input_that_may_not_be_read() {
    let home = tempfile::tempdir().unwrap();
    let program = home.path().join("foreshadow");
    fs::copy(env!("CARGO_BIN_EXE_foreshadow"), &program).unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let secret = home.path().join("secret.csv");
    make_csv(&secret, 1000);
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    let ours = foreshadow(home.path());
    let mut command = Command::new(&program);
    command
        .envs(ours.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .env("HOME", home.path())
        .env_remove("XDG_CONFIG_HOME")
        .current_dir(home.path())
        .args([
            "predict",
            "--json",
            "--budget",
            "2s",
            "--",
            "cat",
            "secret.csv",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if is_root() {
        // Nobody: root may read everything.
        command.uid(65_534).gid(65_534);
    }
    let child = match command.spawn() {
        Ok(child) => child,
        Err(e) => {
            eprintln!("SKIPPED an_input_that_may_not_be_read: {e}");
            return;
        }
    };
    let document = said(&finish(child));
    let text = document.to_string();
    assert!(document["abstained"].is_string(), "{text}");
    assert!(text.contains("Permission denied"), "{text}");
}

#[test]
fn a_command_that_needs_the_network_is_told_that_it_had_none() {
    let home = tempfile::tempdir().unwrap();
    for script in [
        "echo 'connect: Network is unreachable' >&2; exit 1",
        "echo 'curl: (6) Could not resolve host: example.com' >&2; exit 6",
        "exit 2",
    ] {
        let document = predict(home.path(), &["--", "sh", "-c", script]);
        let why = document["abstained"].as_str().unwrap();
        if shadows("a_command_that_needs_the_network", &document) {
            assert!(
                why.contains("network") && why.contains("--net limited"),
                "{why}"
            );
        }
    }
    // With some of it there is either a network or the reason why there is none.
    let document = predict(
        home.path(),
        &["--net", "limited", "--", "sh", "-c", "exit 2"],
    );
    let why = document["abstained"].as_str().unwrap();
    assert!(!why.contains("--net limited gives"), "{why}");
}

#[test]
fn a_read_only_state_directory_stops_nothing() {
    let home = tempfile::tempdir().unwrap();
    let mounts = Command::new("unshare")
        .args(["--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
        .stderr(Stdio::null())
        .status();
    if !is_root() || !mounts.is_ok_and(|s| s.success()) {
        eprintln!(
            "SKIPPED a_read_only_state_directory_stops_nothing: needs root and leave to mount"
        );
        return;
    }
    fs::create_dir(home.path().join("state")).unwrap();
    let program = foreshadow(home.path());
    let script = "mount -t tmpfs -o ro tmpfs state; exec \"$@\"";
    for (arguments, code) in [
        (&["run", "--no-predict", "--", "sh", "-c", "exit 7"][..], 7),
        (&["predict", "--budget", "1s", "--json", "--", "true"], 0),
    ] {
        let output = Command::new("unshare")
            .args(["--mount", "sh", "-ec", script, "sh"])
            .arg(program.get_program())
            .args(arguments)
            .envs(program.get_envs().filter_map(|(k, v)| Some((k, v?))))
            .current_dir(home.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        let text = stderr(&output);
        assert_eq!(
            text.matches("going on without history").count(),
            1,
            "{text}"
        );
        assert!(text.contains("state"), "{text}");
    }
}

#[test]
fn a_history_of_a_newer_version_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let first = run(
        home.path(),
        &["run", "--quiet", "--no-predict", "--", "true"],
    );
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    let path = home.path().join("state/history.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    database.pragma_update(None, "user_version", 9999).unwrap();
    drop(database);
    let before = fs::read(&path).unwrap();
    let output = run(
        home.path(),
        &["run", "--no-predict", "--", "sh", "-c", "exit 7"],
    );
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    let text = stderr(&output);
    assert!(
        text.contains("history.db") && text.contains("newer foreshadow"),
        "{text}"
    );
    predict(home.path(), &["--", "true"]);
    let output = run(home.path(), &["history"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(stderr(&output).contains("newer"), "{}", stderr(&output));
    assert_eq!(fs::read(&path).unwrap(), before);
}
