//! The program from outside: what it prints, where, and with which exit code.

mod common;

use std::process::Stdio;

use common::{foreshadow, run, stderr, stdout};
use serde_json::Value;

#[test]
fn help_shows_examples_of_every_verb() {
    let home = tempfile::tempdir().unwrap();
    let help = run(home.path(), &["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let text = stdout(&help);
    assert!(
        text.contains("EXAMPLES") && text.contains("EXIT CODES"),
        "{text}"
    );
    for verb in ["predict", "run", "history", "replay", "completions", "man"] {
        assert!(text.contains(verb), "{verb}");
        let help = run(home.path(), &[verb, "--help"]);
        assert_eq!(help.status.code(), Some(0));
        assert!(stdout(&help).contains("EXAMPLES"), "{verb}");
        // clap takes {n} for the end of a line.
        assert!(!stdout(&help).contains("every\n"), "{}", stdout(&help));
        // The short help fits a screen.
        let short = stdout(&run(home.path(), &[verb, "-h"]));
        assert!(short.lines().count() < 40, "{short}");
    }
    let version = stdout(&run(home.path(), &["--version"]));
    assert_eq!(
        version,
        format!("foreshadow {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn mistakes_in_arguments_are_our_own_failure() {
    let home = tempfile::tempdir().unwrap();
    for (arguments, word) in [
        (&["predict"][..], "CMD"),
        (&["predict", "--"], "CMD"),
        (&["predict", "--jsn", "--", "true"], "--jsn"),
        (&["nonsense"], "nonsense"),
        (&["predict", "--budget", "soon", "--", "true"], "soon"),
        (&["predict", "--budget", "0%", "--", "true"], "0%"),
        (&["predict", "--net", "all", "--", "true"], "all"),
        (&["predict", "--vary", "n", "--", "true"], "NAME=NUMBER"),
        (&["predict", "--vary", "n=5", "--", "true"], "{n}"),
        (&["run", "--memory", "lots", "--", "true"], "lots"),
        (&["run", "--memory", "0", "--", "true"], "--memory 0"),
        (&["run", "--cores", "-1", "--", "true"], "-1"),
        (&["run", "--cores", "0", "--", "true"], "--cores 0"),
        (
            &["run", "--result", "/no/such/dir/x", "--", "true"],
            "/no/such/dir/x",
        ),
        (&["completions", "tcsh"], "tcsh"),
        (&["man", "/no/such/dir"], "/no/such/dir"),
        (&["--config", "/no/such.toml", "history"], "/no/such.toml"),
        (&["history", "--limit", "x"], "x"),
    ] {
        let output = run(home.path(), arguments);
        assert_eq!(output.status.code(), Some(125), "{arguments:?}");
        assert!(
            stderr(&output).contains(word),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert_eq!(stdout(&output), "", "{arguments:?}");
    }
}

#[test]
fn a_mistake_in_the_configuration_is_shown_with_its_line() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join(".config/foreshadow");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(
        dir.join("config.toml"),
        "net = \"none\"\nbudgets = \"5%\"\n",
    )
    .unwrap();
    let output = run(home.path(), &["history"]);
    assert_eq!(output.status.code(), Some(125));
    let text = stderr(&output);
    assert!(
        text.contains("config.toml") && text.contains("line 2"),
        "{text}"
    );
    assert!(text.contains("budgets"), "{text}");
}

#[test]
fn an_empty_history_is_no_failure_and_makes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let output = run(home.path(), &["history"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).contains("No command was run yet"));
    let json: Value =
        serde_json::from_slice(&run(home.path(), &["history", "--json"]).stdout).unwrap();
    assert_eq!(json["schema"], "foreshadow.history/1");
    assert_eq!(json["tasks"], Value::Array(Vec::new()));
    let json: Value =
        serde_json::from_slice(&run(home.path(), &["accuracy", "--json"]).stdout).unwrap();
    assert_eq!(json["schema"], "foreshadow.accuracy/1");
    assert_eq!(
        json["resources"]["cpu_seconds"]["median_error"],
        Value::Null
    );
    assert!(!home.path().join("state").exists());
}

#[test]
fn a_history_that_cannot_be_used_is_explained() {
    let home = tempfile::tempdir().unwrap();
    let state = home.path().join("state");
    std::fs::create_dir(&state).unwrap();
    std::fs::write(state.join("history.db"), "something else").unwrap();
    let output = run(home.path(), &["history"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(stderr(&output).contains("history.db is not a history of foreshadow"));
    let output = foreshadow(home.path())
        .env_remove("FORESHADOW_STATE_DIR")
        .env_remove("HOME")
        .arg("history")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(stderr(&output).contains("set FORESHADOW_STATE_DIR"));
}

#[test]
fn doctor_reports_the_history_too() {
    let home = tempfile::tempdir().unwrap();
    let output = run(home.path(), &["doctor"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("history: there is no history yet"), "{text}");
    assert!(text.contains("isolation of shadows"), "{text}");
    let json: Value =
        serde_json::from_slice(&run(home.path(), &["doctor", "--json"]).stdout).unwrap();
    assert_eq!(json["schema"], "foreshadow.doctor/1");
    for finding in json["findings"].as_array().unwrap() {
        for key in ["name", "status", "detail", "remedy"] {
            assert!(finding.get(key).is_some(), "{finding}");
        }
    }
}

#[test]
fn completions_and_manual_pages_are_made() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let output = run(home.path(), &["completions", shell]);
        assert_eq!(output.status.code(), Some(0));
        let text = stdout(&output);
        assert!(text.contains("predict") && text.contains("vary"), "{shell}");
    }
    let page = stdout(&run(home.path(), &["man"]));
    assert!(page.contains(".TH foreshadow 1"), "{page}");
    let output = foreshadow(home.path())
        .arg("man")
        .arg(home.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for page in ["foreshadow.1", "foreshadow-predict.1", "foreshadow-run.1"] {
        assert!(home.path().join(page).is_file(), "{page}");
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_failure_worth_a_word() {
    let home = tempfile::tempdir().unwrap();
    let mut child = foreshadow(home.path())
        .args(["completions", "zsh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(stderr(&output), "");
}
