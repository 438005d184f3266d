#![allow(dead_code, missing_docs)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// No command of these tests takes longer than a few seconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The program with a state directory of its own and nobody's configuration.
pub fn foreshadow(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foreshadow"));
    command
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("XDG_STATE_HOME")
        .env_remove("NO_COLOR")
        .env_remove("COLUMNS")
        .env("HOME", home)
        .env("FORESHADOW_STATE_DIR", home.join("state"))
        .env("LC_ALL", "C.UTF-8")
        .current_dir(home)
        .stdin(Stdio::null());
    command
}

/// Runs it to its end; fails the test where it does not come to one.
pub fn run<S: AsRef<OsStr>>(home: &Path, arguments: &[S]) -> Output {
    finish(
        foreshadow(home)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    )
}

/// Waits for a child whose output is small enough for its pipes.
pub fn finish(mut child: Child) -> Output {
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            panic!(
                "did not end in {PATIENCE:?}:\n{}\n{}",
                stdout(&output),
                stderr(&output)
            );
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}\n{}\n{}", stdout(output), stderr(output)))
}

pub fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Whether runs get control groups here: what `doctor` says of them is for people, so a limit is
/// tried.
pub fn has_memory_limits(home: &Path) -> bool {
    let result = home.join("probe.json");
    let output = run(
        home,
        &[
            "run",
            "--quiet",
            "--no-predict",
            "--strict",
            "--memory",
            "64M",
            "--result",
            result.to_str().unwrap(),
            "--",
            "sh",
            "-c",
            "head -c 300000000 /dev/zero | tail",
        ],
    );
    let _ = output;
    fs::read(&result)
        .ok()
        .and_then(|text| serde_json::from_slice::<Value>(&text).ok())
        .is_some_and(|outcome| outcome["cause_of_death"] == "oom_cgroup")
}

/// Waits until `done`.
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether some process of this machine holds `word` in its command line.
pub fn process_with(word: &str) -> bool {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(Result::ok)
        .filter(|e| {
            e.file_name()
                .to_string_lossy()
                .bytes()
                .all(|b| b.is_ascii_digit())
        })
        .filter_map(|e| fs::read(e.path().join("cmdline")).ok())
        .any(|line| {
            line.split(|&b| b == 0)
                .any(|argument| argument == word.as_bytes())
        })
}

/// A CSV file that takes a moment to sort.
pub fn make_csv(path: &Path, rows: usize) {
    let mut text = String::from("id,key,value\n");
    let mut state = 12345_u64;
    for i in 0..rows {
        // A linear congruential generator (Knuth, MMIX): the same file everywhere.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let key = state >> 33;
        text.push_str(&format!("{i},k{key},{}\n", key % 1000));
    }
    fs::write(path, text).unwrap();
}
