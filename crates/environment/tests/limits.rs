//! Limits hold on the real kernel, and can be changed while processes run.

mod common;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use common::{Helper, PATIENCE, environment, eventually, is_hybrid, lacks, shell};
use foreshadow_environment::{Environment, EnvironmentError, Exit, Feature, Limits, MemoryEvents};
use foreshadow_quantity::{Bytes, Cores, Rate};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

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
fn processes_are_limited_in_number() {
    let environment = environment(Limits {
        pids: Some(8),
        ..Limits::default()
    });
    if let Some(reason) = lacks(&environment, Feature::Pids) {
        skip!("processes_are_limited_in_number", "{reason}");
    }
    let mut helper = Helper::start(&environment, "threads 50");
    // The main thread, that of the test, and six more.
    assert!(helper.hear("STARTED 6"));
    assert_eq!(environment.usage().unwrap().pids, Some(8));
    environment.kill().unwrap();
    assert_eq!(helper.end().0, Exit::Signal(9));
}

#[test]
fn frozen_processes_stand_still_and_go_on() {
    let environment = environment(Limits::default());
    let mut helper = Helper::start(&environment, "spin");
    assert!(helper.hear("READY"));
    let cpu = |environment: &Environment| environment.usage().unwrap().cpu;
    let start = cpu(&environment);
    eventually("work", || cpu(&environment) > start);
    environment.freeze().unwrap();
    let frozen = cpu(&environment);
    std::thread::sleep(Duration::from_millis(300));
    // What was under way at the moment of freezing may be counted a tick later.
    let moved = cpu(&environment) - frozen;
    assert!(moved <= Duration::from_millis(50), "{moved:?} of work");
    environment.thaw().unwrap();
    eventually("work again", || cpu(&environment) > frozen + 2 * moved);
    assert_eq!(helper.end().0, Exit::Code(0));
}

#[test]
fn a_frozen_process_can_be_killed() {
    let environment = environment(Limits::default());
    let mut process = environment.spawn(shell("sleep 1000; true")).unwrap();
    environment.freeze().unwrap();
    environment.kill().unwrap();
    assert_eq!(process.wait().unwrap().0, Exit::Signal(9));
    assert!(environment.wait_empty(PATIENCE).unwrap());
}

#[test]
fn cores_are_resized_live() {
    let tenth = Limits {
        cores: Some(Cores::milli(100)),
        ..Limits::default()
    };
    let environment = environment(tenth);
    if let Some(reason) = lacks(&environment, Feature::Cores) {
        skip!("cores_are_resized_live", "{reason}");
    }
    let mut helper = Helper::start(&environment, "spin");
    assert!(helper.hear("READY"));
    let rate = |seconds: u64| {
        let before = environment.usage().unwrap();
        let start = Instant::now();
        std::thread::sleep(Duration::from_secs(seconds));
        let used = environment.usage().unwrap().cpu - before.cpu;
        used.as_secs_f64() / start.elapsed().as_secs_f64()
    };
    let slow = rate(2);
    assert!(slow < 0.2, "a tenth of a core was allowed, {slow} used");
    environment.set_limits(&Limits::default()).unwrap();
    // Others may want the processors too; but not so much, on and on, that this never gets twice as
    // far.
    eventually("more work without the quota", || rate(1) > 0.2);
    environment.set_limits(&tenth).unwrap();
    // What is left of the running period is used up first.
    rate(1);
    let slow = rate(2);
    assert!(slow < 0.2, "a tenth of a core was allowed, {slow} used");
    helper.end();
}

#[test]
fn a_quota_shows_as_pressure() {
    let environment = environment(Limits {
        cores: Some(Cores::milli(50)),
        ..Limits::default()
    });
    for feature in [Feature::Cores, Feature::Pressure] {
        if let Some(reason) = lacks(&environment, feature) {
            skip!("a_quota_shows_as_pressure", "{feature}: {reason}");
        }
    }
    let mut helper = Helper::start(&environment, "spin");
    assert!(helper.hear("READY"));
    eventually("a second of waiting for a processor", || {
        let pressure = environment.pressure().unwrap().unwrap();
        pressure.cpu >= Duration::from_secs(1)
    });
    helper.end();
}

#[test]
fn idle_and_weight_go_on_and_off() {
    let environment = environment(Limits {
        idle: true,
        cpu_weight: foreshadow_environment::Weight::new(500),
        ..Limits::default()
    });
    let mut helper = Helper::start(&environment, "spin");
    assert!(helper.hear("READY"));
    let weights = [None, foreshadow_environment::Weight::new(300)];
    for limits in
        [(false, weights[1]), (true, weights[1]), (false, weights[0])].map(|(idle, cpu_weight)| {
            Limits {
                idle,
                cpu_weight,
                ..Limits::default()
            }
        })
    {
        environment.set_limits(&limits).unwrap();
        let groups = environment.join();
        let read = |name: &str| {
            groups
                .iter()
                .filter_map(|file| std::fs::read_to_string(file.with_file_name(name)).ok())
                .find_map(|text| text.trim().parse::<u64>().ok())
        };
        if let Some(idle) = read("cpu.idle") {
            assert_eq!(idle == 1, limits.idle);
        }
        if limits.idle {
            continue;
        }
        let weight = limits.cpu_weight.map_or(100, |w| u64::from(w.get()));
        if let Some(found) = read("cpu.weight") {
            assert_eq!(found, weight);
        } else if let Some(shares) = read("cpu.shares") {
            assert_eq!(shares, weight * 1024 / 100);
        }
    }
    assert_eq!(helper.end().0, Exit::Code(0));
}

#[test]
fn disk_traffic_is_counted_and_limited() {
    let name = "disk_traffic_is_counted_and_limited";
    let rate = Rate::per_second(Bytes::mib(4));
    let environment = environment(Limits {
        disk_read: Some(rate),
        disk_write: Some(rate),
        ..Limits::default()
    });
    if let Some(reason) = lacks(&environment, Feature::DiskRead) {
        skip!(name, "{reason}");
    }
    let folder = tempfile::tempdir().unwrap();
    let mount = std::fs::metadata(folder.path()).unwrap();
    if std::os::unix::fs::MetadataExt::dev(&mount) >> 8 == 0 {
        skip!(name, "the temporary folder is not on a disk");
    }
    let path = folder.path().join("file");
    // Written with each block forced to the disk, then read past the page cache.
    let script = format!(
        "dd if=/dev/zero of={path} bs=1M count=8 oflag=direct 2>/dev/null && sync &&
         dd if={path} of=/dev/null bs=1M iflag=direct 2>/dev/null",
        path = path.display()
    );
    let start = Instant::now();
    let (exit, totals) = environment.spawn(shell(&script)).unwrap().wait().unwrap();
    let took = start.elapsed();
    if exit != Exit::Code(0) {
        skip!(name, "no direct access to files here");
    }
    let usage = environment.usage().unwrap();
    for (what, bytes) in [
        ("read", usage.disk_read),
        ("written", usage.disk_written),
        ("read by the process", totals.disk_read),
        ("written by the process", totals.disk_written),
    ] {
        let bytes = bytes.expect(what);
        assert!(
            bytes >= Bytes::mib(8) && bytes <= Bytes::mib(16),
            "8 MiB went each way, {what}: {bytes}"
        );
    }
    // Two seconds each way; the kernel lets the first slice through at once.
    assert!(took >= Duration::from_secs(2), "took only {took:?}");
    environment.set_limits(&Limits::default()).unwrap();
}

#[test]
fn what_cannot_be_done_is_said_with_a_reason() {
    let everything = Limits {
        cores: Some(Cores::whole(1)),
        cpu_weight: foreshadow_environment::Weight::new(200),
        idle: false,
        memory_high: Some(Bytes::gib(1)),
        memory_max: Some(Bytes::gib(2)),
        disk_read: Some(Rate::per_second(Bytes::gib(1))),
        disk_write: Some(Rate::per_second(Bytes::gib(1))),
        network: Some(Rate::per_second(Bytes::gib(1))),
        pids: Some(1000),
    };
    let environment = environment(everything);
    let missing = environment.unsupported();
    assert!(missing.iter().all(|one| !one.reason.is_empty()));
    assert!(lacks(&environment, Feature::Network).is_some());
    assert_eq!(
        is_hybrid(),
        missing
            .iter()
            .any(|one| one.feature == Feature::MemoryHigh && one.reason.contains("version 1"))
    );
    assert_eq!(environment.limits(), everything);
}
