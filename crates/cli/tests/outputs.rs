//! What a command writes is no input, even where it exists already.

mod common;

use std::fs;

use common::{is_root, json, make_csv, run, stderr};

#[test]
fn a_file_that_is_only_written_is_no_input() {
    if !is_root() {
        eprintln!("SKIPPED a_file_that_is_only_written_is_no_input: only root can watch files");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    make_csv(&home.path().join("in.csv"), 20_000);
    make_csv(&home.path().join("out.csv"), 30_000);
    let before = fs::read(home.path().join("out.csv")).unwrap();
    let output = run(
        home.path(),
        &[
            "predict",
            "--json",
            "--",
            "sh",
            "-c",
            "cat \"$1\" >\"$2\"",
            "sh",
            "in.csv",
            "out.csv",
        ],
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let document = json(&output);
    if document.to_string().contains("no shadow was run") {
        eprintln!("SKIPPED a_file_that_is_only_written_is_no_input: {document}");
        return;
    }
    let inputs = document["inputs"].as_array().unwrap();
    assert_eq!(inputs.len(), 1, "{document}");
    assert!(
        inputs[0]["path"].as_str().unwrap().ends_with("in.csv"),
        "{document}"
    );
    assert_eq!(fs::read(home.path().join("out.csv")).unwrap(), before);
}
