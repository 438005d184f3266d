//! Limits hold on the real kernel, and can be changed while processes run.

mod common;

use std::time::{Duration, Instant};

use common::{Helper, environment, eventually, lacks, shell};
use foreshadow_environment::{Exit, Feature, Limits};
use foreshadow_quantity::{Bytes, Cores};

#[test]
fn helper() {
    common::obey();
}

#[test]
fn a_program_runs_and_its_end_is_told() {
    let environment = environment(Limits::default());
    let (exit, totals) = environment
        .spawn(shell(
            "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; exit 7",
        ))
        .unwrap()
        .wait()
        .unwrap();
    assert_eq!(exit, Exit::Code(7));
    assert!(totals.user + totals.system > Duration::ZERO);
    assert!(totals.max_rss > Bytes::ZERO);
    let (exit, _) = environment
        .spawn(shell("kill -TERM $$"))
        .unwrap()
        .wait()
        .unwrap();
    assert_eq!(exit, Exit::Signal(15));
}

#[test]
fn usage_counts_what_a_child_touches() {
    let environment = environment(Limits::default());
    let before = environment.usage().unwrap();
    let mut helper = Helper::start(&environment, "touch 64");
    assert!(helper.hear("READY"));
    helper.go();
    assert!(helper.hear("DONE"));
    let during = environment.usage().unwrap();
    let grown = during.anon.saturating_sub(before.anon);
    assert!(
        grown >= Bytes::mib(62) && grown <= Bytes::mib(90),
        "64 MiB were touched, {grown} seen"
    );
    assert_eq!(environment.pids().unwrap(), [helper.process.pid()]);
    assert!(during.cpu > Duration::ZERO);
    assert!(during.faults.is_some_and(|n| n > 1000), "{during:?}");
    helper.end();
    eventually("an empty environment", || {
        environment.pids().unwrap().is_empty()
    });
}

#[test]
fn memory_max_kills_and_says_so() {
    let environment = environment(Limits {
        memory_max: Some(Bytes::mib(48)),
        ..Limits::default()
    });
    if let Some(reason) = lacks(&environment, Feature::MemoryMax) {
        skip!("memory_max_kills_and_says_so", "{reason}");
    }
    let mut events = environment.memory_events().unwrap().unwrap();
    let mut helper = Helper::start(&environment, "touch 128");
    assert!(helper.hear("READY"));
    helper.go();
    assert!(!helper.hear("DONE"));
    let (exit, _) = helper.end();
    assert_eq!(exit, Exit::Signal(9));
    let usage = environment.usage().unwrap();
    assert!(usage.oom_kills.is_some_and(|n| n >= 1), "{usage:?}");
    let change = events.read().unwrap();
    assert!(change.out_of_memory >= 1 && change.kills >= 1, "{change:?}");
    assert_eq!(events.read().unwrap().kills, 0, "told once");
}

#[test]
fn a_quota_of_half_a_core_holds() {
    let environment = environment(Limits {
        cores: Some(Cores::milli(500)),
        ..Limits::default()
    });
    if let Some(reason) = lacks(&environment, Feature::Cores) {
        skip!("a_quota_of_half_a_core_holds", "{reason}");
    }
    let mut helper = Helper::start(&environment, "spin");
    assert!(helper.hear("READY"));
    let before = environment.usage().unwrap();
    let start = Instant::now();
    std::thread::sleep(Duration::from_secs(2));
    let after = environment.usage().unwrap();
    let share = (after.cpu - before.cpu).as_secs_f64() / start.elapsed().as_secs_f64();
    // Less is possible on a busy machine; more is what the quota forbids.
    assert!(share < 0.65, "used {share} of a core");
    assert!(after.throttled > before.throttled, "{after:?}");
    helper.end();
}
