//! `replay`: a trace of finished tasks against several ways to size them.

mod common;

use std::fmt::Write as _;
use std::fs;
use std::process::Stdio;

use common::{finish, foreshadow, json, run, stderr, stdout};
use serde_json::Value;

/// Tasks of one process whose peak is a line in what they read, in a format of Nextflow.
fn trace(tasks: u64) -> String {
    let mut text = "process,status,memory,realtime,peak_rss,rss,rchar,start,complete\n".to_owned();
    for i in 0..tasks {
        // Sizes in an order without pattern.
        let read = 1_000_000_000 * (1 + i * 7919 % 10);
        let peak = 500_000_000 + read / 2;
        let start = 1_700_000_000_000 + i * 60_000;
        let end = start + 50_000;
        let _ = writeln!(
            text,
            "align,COMPLETED,34359738368,50000,{peak},{peak},{read},{start},{end}"
        );
    }
    text
}

fn method<'d>(document: &'d Value, name: &str) -> &'d Value {
    let methods = document["methods"].as_array().unwrap();
    methods.iter().find(|m| m["name"] == name).unwrap()
}

#[test]
fn a_trace_is_played_and_what_was_learned_is_written() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("trace.csv"), trace(60)).unwrap();
    let document = json(&run(home.path(), &["replay", "trace.csv", "--json"]));
    assert_eq!(document["schema"], "foreshadow.replay/1");
    assert_eq!(document["rows"]["used"], 60);
    let waste = |name: &str| method(&document, name)["waste_gbh"].as_f64().unwrap();
    assert!(waste("oracle") < 1e-9);
    assert!(waste("foreshadow") < 0.5 * waste("requested"), "{document}");
    let output = run(
        home.path(),
        &[
            "replay",
            "trace.csv",
            "--html",
            "report.html",
            "--emit",
            "nextflow",
            "--emit-file",
            "memory.config",
        ],
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stdout(&output).contains("foreshadow"),
        "{}",
        stdout(&output)
    );
    let page = fs::read_to_string(home.path().join("report.html")).unwrap();
    assert!(page.contains("<svg"), "{page}");
    let config = fs::read_to_string(home.path().join("memory.config")).unwrap();
    assert!(config.contains("align"), "{config}");
}

#[test]
fn the_own_history_is_a_trace() {
    let home = tempfile::tempdir().unwrap();
    let script = "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done";
    for _ in 0..4 {
        let arguments = ["run", "--quiet", "--no-predict", "--", "sh", "-c", script];
        let output = run(home.path(), &arguments);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    let history = stdout(&run(home.path(), &["history", "--json"]));
    fs::write(home.path().join("history.json"), history).unwrap();
    let child = foreshadow(home.path())
        .args(["replay", "-", "--json"])
        .stdin(fs::File::open(home.path().join("history.json")).unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let document = json(&finish(child));
    assert_eq!(document["rows"]["read"], 4, "{document}");
    // Of a run that ends at once the peak may be unknown.
    assert!(document["rows"]["used"].as_u64().unwrap() > 0, "{document}");
}

#[test]
fn a_trace_that_cannot_be_used_is_named() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("empty"), "").unwrap();
    fs::write(home.path().join("garbage"), [0_u8, 255, 10, 7].repeat(500)).unwrap();
    fs::write(home.path().join("other.csv"), "name,age\nx,5\n").unwrap();
    for name in ["absent", "empty", "garbage", "other.csv", "."] {
        let output = run(home.path(), &["replay", name]);
        assert_eq!(output.status.code(), Some(125), "{name}");
        let text = stderr(&output);
        assert!(
            text.starts_with(&format!("foreshadow replay: {name}: ")),
            "{text}"
        );
        assert_eq!(stdout(&output), "", "{name}");
    }
    let output = run(home.path(), &["replay", "--methods", "magic", "empty"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(stderr(&output).contains("magic"), "{}", stderr(&output));
}
