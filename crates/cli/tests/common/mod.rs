#![allow(dead_code, missing_docs)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use foreshadow_environment::{BackendKind, Host};
use rustix::process::{Pid, Signal, kill_process};
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

/// Waits for a child and takes its output; fails the test where it does not come to an end.
pub fn finish(child: Child) -> Output {
    let pid = Pid::from_child(&child);
    let (done, outputs) = mpsc::channel();
    let reader = thread::spawn(move || {
        let output = child.wait_with_output();
        // Nobody listens any more where it took too long.
        let _ = done.send(());
        output
    });
    let in_time = outputs.recv_timeout(PATIENCE).is_ok();
    if !in_time {
        // Not waited for yet: the number is still its own.
        let _ = kill_process(pid, Signal::KILL);
    }
    let output = reader.join().unwrap().unwrap();
    assert!(
        in_time,
        "did not end in {PATIENCE:?}:\n{}\n{}",
        stdout(&output),
        stderr(&output)
    );
    output
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

/// Whether runs get memory limits here.
pub fn has_memory_limits() -> bool {
    Host::detect().backend() != BackendKind::None
}

/// Waits until `done`.
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        thread::sleep(Duration::from_millis(10));
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
