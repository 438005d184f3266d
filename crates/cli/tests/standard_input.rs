//! `predict` with a standard input that can't be read twice.

mod common;

use std::fs;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Output, Stdio};

use common::{finish, foreshadow, json, make_csv, stderr};
use serde_json::Value;

/// Predicts with this standard input, which stays open until the end.
fn predict(home: &Path, stdin: impl Into<Stdio>, command: &[&str]) -> Value {
    let child = foreshadow(home)
        .args(["predict", "--json", "--no-history", "--"])
        .args(command)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    said(&finish(child))
}

fn said(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    json(output)
}

/// A pipe of which the writing end stays open, and that end.
fn pipe() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = std::io::pipe().unwrap();
    (reader.into(), writer.into())
}

/// A terminal, and the end from which it would be typed into.
fn terminal() -> (OwnedFd, OwnedFd) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = fs::File::options()
        .read(true)
        .write(true)
        .open(name.to_str().unwrap())
        .unwrap();
    (slave.into(), master)
}

/// Where shadows cannot be isolated nothing is found out, and the document says so.
fn skipped(name: &str, document: &Value) -> bool {
    let skipped = document.to_string().contains("no shadow was run");
    if skipped {
        eprintln!("SKIPPED {name}: {document}");
    }
    skipped
}

#[test]
fn one_that_is_read_leaves_nothing_to_say() {
    let home = tempfile::tempdir().unwrap();
    make_csv(&home.path().join("in.csv"), 20_000);
    let (socket, other) = std::os::unix::net::UnixStream::pair().unwrap();
    let (pipe, writer) = pipe();
    let (tty, master) = terminal();
    for (stdin, what) in [
        (pipe.try_clone().unwrap(), "a pipe"),
        (socket.into(), "a socket"),
        (tty, "a terminal"),
        (fs::File::open("/dev/zero").unwrap().into(), "a device"),
    ] {
        let document = predict(home.path(), stdin, &["cat"]);
        if skipped("one_that_is_read_leaves_nothing_to_say", &document) {
            return;
        }
        let why = document["abstained"].as_str().unwrap();
        let begin = format!("the command reads standard input, which is {what} ");
        assert!(why.starts_with(&begin) && why.contains("< FILE"), "{why}");
        let listed = document["inputs"].as_array().unwrap().len();
        assert_eq!(listed, usize::from(what != "a terminal"), "{document}");
    }
    // Beside an input that could be sampled, too.
    let document = predict(home.path(), pipe, &["sh", "-c", "cat in.csv - | sort"]);
    assert!(
        document["abstained"].as_str().unwrap().contains("a pipe"),
        "{document}"
    );
    drop((other, writer, master));
}

#[test]
fn one_that_is_not_read_is_not_mentioned() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("in.csv"), "a,b\n1,2\n").unwrap();
    let (pipe, writer) = pipe();
    let (tty, master) = terminal();
    for stdin in [pipe, tty] {
        let document = predict(home.path(), stdin, &["cat", "in.csv"]);
        let text = document.to_string();
        for word in ["pipe", "terminal", "/dev/pts", "standard input"] {
            assert!(!text.contains(word), "{text}");
        }
    }
    drop((writer, master));
}

#[test]
fn a_file_that_is_gone_can_still_be_read_twice() {
    let home = tempfile::tempdir().unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"some text\n").unwrap();
    let document = predict(home.path(), file, &["grep", "-q", "some"]);
    if skipped("a_file_that_is_gone_can_still_be_read_twice", &document) {
        return;
    }
    assert!(
        !document.to_string().contains("can't be replayed"),
        "{document}"
    );
}

#[test]
fn history_speaks_where_shadows_cannot() {
    let home = tempfile::tempdir().unwrap();
    let script = "cat; i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done";
    let start = |arguments: &[&str]| {
        let mut child = foreshadow(home.path())
            .args(arguments)
            .args(["--", "sh", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        // It may have ended before.
        let _ = pipe.write_all(b"some text\n");
        drop(pipe);
        finish(child)
    };
    for _ in 0..2 {
        let output = start(&["run", "--quiet", "--no-predict"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    let document = said(&start(&["predict", "--json"]));
    assert_eq!(document["method"], "history", "{document}");
    assert!(document["abstained"].is_null(), "{document}");
}
