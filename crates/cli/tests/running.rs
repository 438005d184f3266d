//! `run`: the command's own streams and code, the outcome, and how it died.

mod common;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use common::{
    finish, foreshadow, has_memory_limits, is_root, json, process_with, run, stderr, stdout,
    wait_for,
};
use serde_json::Value;

fn outcome(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn streams_are_the_commands_own() {
    let home = tempfile::tempdir().unwrap();
    let mut child = foreshadow(home.path())
        .args([
            "run",
            "--no-predict",
            "--",
            "sh",
            "-c",
            "cat; echo to-err >&2",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"\x00\xffbytes")
        .unwrap();
    let output = finish(child);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(output.stdout, b"\x00\xffbytes");
    assert!(stderr(&output).contains("to-err\n"), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("foreshadow: done"),
        "{}",
        stderr(&output)
    );

    let quiet = run(
        home.path(),
        &[
            "run",
            "--quiet",
            "--no-predict",
            "--",
            "sh",
            "-c",
            "echo to-err >&2",
        ],
    );
    assert_eq!(stderr(&quiet), "to-err\n");
}

#[test]
fn codes_are_the_commands_own() {
    let home = tempfile::tempdir().unwrap();
    for (script, code) in [
        ("exit 0", 0),
        ("exit 1", 1),
        ("exit 42", 42),
        ("exit 255", 255),
        ("kill -TERM $$", 128 + 15),
        ("kill -KILL $$", 128 + 9),
    ] {
        let output = run(
            home.path(),
            &["run", "--quiet", "--no-predict", "--", "sh", "-c", script],
        );
        assert_eq!(
            output.status.code(),
            Some(code),
            "{script}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn commands_that_cannot_be_started() {
    let home = tempfile::tempdir().unwrap();
    let text = home.path().join("text");
    fs::write(&text, "just text\n").unwrap();
    let text = text.to_str().unwrap();
    for verb in ["predict", "run"] {
        let missing = run(home.path(), &[verb, "--", "no-such-command-7"]);
        assert_eq!(
            missing.status.code(),
            Some(127),
            "{verb}: {}",
            stderr(&missing)
        );
        assert!(
            stderr(&missing).contains("no-such-command-7"),
            "{}",
            stderr(&missing)
        );
        assert_eq!(stdout(&missing), "");
        for refused in [text, "/"] {
            let output = run(home.path(), &[verb, "--", refused]);
            assert_eq!(
                output.status.code(),
                Some(126),
                "{verb}: {}",
                stderr(&output)
            );
            assert!(stderr(&output).contains(refused), "{}", stderr(&output));
        }
        // Its interpreter is missing.
        let script = home.path().join("script");
        fs::write(&script, "#!/no/such/interpreter\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let output = run(home.path(), &[verb, "--", script.to_str().unwrap()]);
        if verb == "run" {
            let code = output.status.code();
            assert!(
                matches!(code, Some(126 | 127)),
                "{code:?}: {}",
                stderr(&output)
            );
        }
    }
    // What could not start was not run.
    let history = json(&run(home.path(), &["history", "--json"]));
    for task in history["tasks"].as_array().unwrap() {
        assert_ne!(task["exit_code"], 0, "{task}");
    }
}

#[test]
fn the_outcome_is_written_and_remembered() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("outcome.json");
    let output = run(
        home.path(),
        &[
            "run",
            "--no-predict",
            "--result",
            file.to_str().unwrap(),
            "--",
            "sh",
            "-c",
            "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit 3",
        ],
    );
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let outcome = outcome(&file);
    assert_eq!(outcome["schema"], "foreshadow.outcome/1");
    assert_eq!(outcome["exit_code"], 3);
    assert_eq!(outcome["signal"], Value::Null);
    assert_eq!(outcome["cause_of_death"], Value::Null);
    assert_eq!(outcome["prediction"], Value::Null);
    let actual = &outcome["actual"];
    assert!(actual["cpu_seconds"].as_f64().unwrap() > 0.0, "{actual}");
    assert!(actual["wall_seconds"].as_f64().unwrap() > 0.0, "{actual}");
    assert!(
        actual["peak_memory_bytes"].as_f64().unwrap() > 0.0,
        "{actual}"
    );

    let history = json(&run(home.path(), &["history", "--json"]));
    let task = &history["tasks"][0];
    assert_eq!(task["id"], outcome["task_id"]);
    assert_eq!(task["state"], "finished");
    assert_eq!(task["exit_code"], 3);
    assert_eq!(task["command"][0], "sh");
    assert_eq!(task["actual"]["cpu_seconds"], actual["cpu_seconds"]);
    let listed = stdout(&run(home.path(), &["history"]));
    assert!(
        listed.contains("exit 3") && listed.contains("sh -c"),
        "{listed}"
    );
}

#[test]
fn death_by_the_own_limit_is_told_as_such() {
    let home = tempfile::tempdir().unwrap();
    if !has_memory_limits() {
        eprintln!("SKIPPED death_by_the_own_limit_is_told_as_such: no memory limits here");
        return;
    }
    let file = home.path().join("outcome.json");
    let output = run(
        home.path(),
        &[
            "run",
            "--no-predict",
            "--strict",
            "--memory",
            "64M",
            "--result",
            file.to_str().unwrap(),
            "--",
            "awk",
            "BEGIN { s = \"x\"; while (length(s) < 300000000) s = s s }",
        ],
    );
    assert_eq!(output.status.code(), Some(137), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("its own memory limit"),
        "{}",
        stderr(&output)
    );
    let outcome = outcome(&file);
    assert_eq!(outcome["cause_of_death"], "oom_cgroup");
    assert_eq!(outcome["signal"], 9);
    assert_eq!(outcome["reservation"]["memory_bytes"], 64 << 20);
    let listed = stdout(&run(home.path(), &["history"]));
    assert!(listed.contains("memory"), "{listed}");
}

#[test]
fn signals_are_handed_on_and_nothing_stays() {
    let home = tempfile::tempdir().unwrap();
    let word = format!("31{:05}", std::process::id() % 100_000);
    let child = foreshadow(home.path())
        .args(["run", "--no-predict", "--", "sleep", &word])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("the command", || {
        // Both hold the word; sleep alone has it as its only argument.
        sleeping(&word)
    });
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    let output = finish(child);
    assert_eq!(output.status.code(), Some(128 + 15), "{}", stderr(&output));
    wait_for("the end of the command", || !process_with(&word));
    let history = json(&run(home.path(), &["history", "--json"]));
    assert_eq!(history["tasks"][0]["signal"], 15, "{history}");
}

#[test]
fn a_run_that_was_killed_is_lost_and_its_command_dies_with_it() {
    let home = tempfile::tempdir().unwrap();
    let word = format!("32{:05}", std::process::id() % 100_000);
    let mut child = foreshadow(home.path())
        .args(["run", "--no-predict", "--", "sleep", &word])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("the command", || sleeping(&word));
    child.kill().unwrap();
    child.wait().unwrap();
    // At the latest the next start clears what was left.
    run(
        home.path(),
        &["run", "--no-predict", "--quiet", "--", "true"],
    );
    wait_for("the end of the command", || !process_with(&word));
    let history = json(&run(home.path(), &["history", "--json"]));
    assert_eq!(history["tasks"][1]["state"], "lost", "{history}");
}

/// Whether `sleep WORD` runs as a process of its own.
fn sleeping(word: &str) -> bool {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(Result::ok)
        .filter_map(|e| fs::read(e.path().join("cmdline")).ok())
        .any(|line| line == format!("sleep\0{word}\0").as_bytes())
}

#[test]
fn a_state_directory_that_cannot_be_used_stops_nothing() {
    let home = tempfile::tempdir().unwrap();
    let state = home.path().join("state");
    fs::create_dir(&state).unwrap();
    fs::write(state.join("history.db"), "not ours").unwrap();
    let output = run(
        home.path(),
        &["run", "--no-predict", "--", "sh", "-c", "exit 7"],
    );
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    let text = stderr(&output);
    assert_eq!(text.matches("history.db").count(), 1, "{text}");
    assert!(text.contains("going on without history"), "{text}");
    assert_eq!(fs::read(state.join("history.db")).unwrap(), b"not ours");
}

#[test]
fn a_full_state_directory_is_told_once_and_stops_nothing() {
    let home = tempfile::tempdir().unwrap();
    let mounts = std::process::Command::new("unshare")
        .args(["--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
        .stderr(Stdio::null())
        .status();
    if !is_root() || !mounts.is_ok_and(|s| s.success()) {
        eprintln!(
            "SKIPPED a_full_state_directory_is_told_once_and_stops_nothing: needs root and leave \
             to mount"
        );
        return;
    }
    fs::create_dir(home.path().join("state")).unwrap();
    let script = "mount -t tmpfs -o size=4k tmpfs state; head -c 4096 /dev/zero >state/full; \
                  exec \"$@\"";
    let program = foreshadow(home.path());
    let output = std::process::Command::new("unshare")
        .args(["--mount", "sh", "-ec", script, "sh"])
        .arg(program.get_program())
        .args(["run", "--no-predict", "--", "sh", "-c", "exit 7"])
        .envs(program.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .current_dir(home.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    let text = stderr(&output);
    assert_eq!(text.matches("no room left").count(), 1, "{text}");
}
