//! Memory: its limits, its events and its count on the real kernel.

mod common;

use std::os::fd::AsFd;
use std::time::Duration;

use common::{Helper, PATIENCE, environment, eventually, lacks, shell};
use foreshadow_environment::{EnvironmentError, Exit, Feature, Limits, MemoryEvents};
use foreshadow_quantity::{Bytes, Cores};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

#[test]
fn helper() {
    common::obey();
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
    let mut refreshed = before;
    environment.refresh(&mut refreshed).unwrap();
    let grown = refreshed.anon.saturating_sub(before.anon);
    assert!(grown >= Bytes::mib(62), "{refreshed:?}");
    assert!(refreshed.cpu > before.cpu);
    assert_eq!(environment.pids().unwrap(), [helper.process.pid()]);
    assert!(during.cpu > Duration::ZERO);
    assert!(during.faults.is_some_and(|n| n > 10), "{during:?}");
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

/// Waits until memory events are there to be read.
fn wait_event(events: &MemoryEvents) {
    let patience = Timespec::try_from(PATIENCE).unwrap();
    let mut fds = [PollFd::from_borrowed_fd(events.as_fd(), PollFlags::IN)];
    assert_eq!(poll(&mut fds, Some(&patience)).unwrap(), 1, "no event came");
}

#[test]
fn paused_at_the_limit_and_grown() {
    let small = Limits {
        memory_max: Some(Bytes::mib(48)),
        ..Limits::default()
    };
    let environment = environment(small);
    let pauses = environment.set_oom_pause(true).unwrap();
    assert_eq!(pauses, lacks(&environment, Feature::OomPause).is_none());
    if !pauses {
        skip!("paused_at_the_limit_and_grown", "only version 1 pauses");
    }
    let mut events = environment.memory_events().unwrap().unwrap();
    let mut helper = Helper::start(&environment, "touch 128");
    assert!(helper.hear("READY"));
    helper.go();
    wait_event(&events);
    assert!(events.read().unwrap().out_of_memory >= 1);
    eventually("a process that waits for memory", || {
        environment.under_oom().unwrap()
    });
    assert!(helper.process.try_wait().unwrap().is_none(), "not killed");
    environment
        .set_limits(&Limits {
            memory_max: Some(Bytes::mib(256)),
            ..small
        })
        .unwrap();
    assert!(helper.hear("DONE"), "it goes on where it waited");
    assert_eq!(helper.end().0, Exit::Code(0));
    assert_eq!(environment.usage().unwrap().oom_kills, Some(0));
}

#[test]
fn one_paused_at_the_limit_can_be_killed() {
    let environment = environment(Limits {
        memory_max: Some(Bytes::mib(48)),
        ..Limits::default()
    });
    if !environment.set_oom_pause(true).unwrap() {
        skip!(
            "one_paused_at_the_limit_can_be_killed",
            "only version 1 pauses"
        );
    }
    let mut helper = Helper::start(&environment, "touch 128");
    assert!(helper.hear("READY"));
    helper.go();
    eventually("a process that waits for memory", || {
        environment.under_oom().unwrap()
    });
    environment.kill().unwrap();
    assert_eq!(helper.end().0, Exit::Signal(9));
    assert!(environment.wait_empty(PATIENCE).unwrap());
}

#[test]
fn thresholds_tell_of_growth() {
    let environment = environment(Limits::default());
    let Some(mut events) = environment.memory_events().unwrap() else {
        skip!("thresholds_tell_of_growth", "no memory control group");
    };
    if !events.set_thresholds(&[Bytes::mib(512)]).unwrap() {
        skip!("thresholds_tell_of_growth", "only version 1 has thresholds");
    }
    // The second call takes the place of the first.
    assert!(events.set_thresholds(&[Bytes::mib(40)]).unwrap());
    let mut helper = Helper::start(&environment, "touch 96");
    assert!(helper.hear("READY"));
    assert!(!events.read().unwrap().crossed);
    helper.go();
    wait_event(&events);
    assert!(events.read().unwrap().crossed);
    helper.end();
}

#[test]
fn memory_high_slows_and_does_not_kill() {
    let limits = Limits {
        memory_high: Some(Bytes::mib(40)),
        ..Limits::default()
    };
    let environment = environment(limits);
    if let Some(reason) = lacks(&environment, Feature::MemoryHigh) {
        skip!("memory_high_slows_and_does_not_kill", "{reason}");
    }
    let mut events = environment.memory_events().unwrap().unwrap();
    let mut helper = Helper::start(&environment, "touch 48");
    assert!(helper.hear("READY"));
    helper.go();
    wait_event(&events);
    eventually("word of the slowing", || events.read().unwrap().high > 0);
    assert!(helper.process.try_wait().unwrap().is_none());
    environment.set_limits(&Limits::default()).unwrap();
    assert!(helper.hear("DONE"));
    assert_eq!(helper.end().0, Exit::Code(0));
}

#[test]
fn a_limit_below_use_is_refused_and_the_process_lives() {
    let wide = Limits {
        memory_max: Some(Bytes::mib(256)),
        ..Limits::default()
    };
    let environment = environment(wide);
    if let Some(reason) = lacks(&environment, Feature::MemoryMax) {
        skip!("a_limit_below_use_is_refused", "{reason}");
    }
    let mut helper = Helper::start(&environment, "touch 64");
    assert!(helper.hear("READY"));
    helper.go();
    assert!(helper.hear("DONE"));
    let narrow = Limits {
        memory_max: Some(Bytes::mib(32)),
        cores: Some(Cores::whole(1)),
        ..Limits::default()
    };
    match environment.set_limits(&narrow) {
        Err(EnvironmentError::BelowUse { wanted, used }) => {
            assert_eq!(wanted, Bytes::mib(32));
            assert!(used >= Bytes::mib(60), "{used}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(environment.limits(), wide);
    assert!(helper.process.try_wait().unwrap().is_none(), "it lives");
    // To just above what is used, it goes; and up again.
    let tight = Limits {
        memory_max: Some(Bytes::mib(100)),
        ..wide
    };
    environment.set_limits(&tight).unwrap();
    environment.set_limits(&wide).unwrap();
    environment.set_limits(&Limits::default()).unwrap();
    environment.set_limits(&tight).unwrap();
    assert_eq!(helper.end().0, Exit::Code(0));
}

#[test]
fn a_limit_too_small_to_start_in_is_told_and_does_not_hang() {
    let environment = environment(Limits {
        memory_max: Some(Bytes::kib(64)),
        ..Limits::default()
    });
    if let Some(reason) = lacks(&environment, Feature::MemoryMax) {
        skip!("a_limit_too_small_to_start_in", "{reason}");
    }
    // With or without waiting at the limit: an error, or a process that does not end well.
    for pause in [false, true] {
        environment.set_oom_pause(pause).unwrap();
        match environment.spawn(shell("i=0; while true; do i=$((i+1)); done")) {
            Err(error) => assert_eq!(error.exit_code(), 125, "{error}"),
            Ok(mut process) => {
                environment.kill().unwrap();
                assert_eq!(process.wait().unwrap().0, Exit::Signal(9));
            }
        }
    }
}

#[test]
fn names_of_files_looked_at_are_no_need() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..10_000 {
        std::fs::File::create(folder.path().join(n.to_string())).unwrap();
    }
    let copy = tempfile::tempdir().unwrap();
    // A fresh copy of the names, so that they are looked up, and counted, inside.
    let environment = environment(Limits::default());
    let script = format!(
        "cp -r {} {to}/copy && ls -l {to}/copy >/dev/null && echo LOOKED && read wait",
        folder.path().display(),
        to = copy.path().display()
    );
    let mut program = shell(&script);
    let (input, _held) = common::pipe();
    let (output, child_output) = common::pipe();
    program.stdin = foreshadow_environment::Stream::Fd(input.into());
    program.stdout = foreshadow_environment::Stream::Fd(child_output.into());
    let _process = environment.spawn(program).unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).unwrap();
    assert_eq!(line, "LOOKED\n");
    let usage = environment.usage().unwrap();
    // Each name and inode is about 1 KiB.
    assert!(usage.kernel < Bytes::mib(8), "{usage:?}");
}
