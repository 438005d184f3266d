//! Limits hold on the real kernel, and can be changed while processes run.

mod common;

use std::time::{Duration, Instant};

use common::{Helper, PATIENCE, environment, eventually, is_hybrid, lacks, shell};
use foreshadow_environment::{Environment, EnvironmentError, Exit, Feature, Limits};
use foreshadow_quantity::{Bytes, Cores, Rate};

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
fn a_quota_of_a_fifth_of_a_core_holds() {
    let environment = environment(Limits {
        cores: Some(Cores::milli(200)),
        // So that it gets its quota on a busy machine too.
        cpu_weight: Some(foreshadow_environment::Weight::MAX),
        ..Limits::default()
    });
    if let Some(reason) = lacks(&environment, Feature::Cores) {
        skip!("a_quota_of_a_fifth_of_a_core_holds", "{reason}");
    }
    let mut helper = Helper::start(&environment, "spin");
    assert!(helper.hear("READY"));
    let before = environment.usage().unwrap();
    let start = Instant::now();
    eventually("a second of work", || {
        environment.usage().unwrap().cpu - before.cpu >= Duration::from_secs(1)
    });
    let after = environment.usage().unwrap();
    let share = (after.cpu - before.cpu).as_secs_f64() / start.elapsed().as_secs_f64();
    // Less is possible on a busy machine; more is what the quota forbids.
    assert!(share < 0.26, "used {share} of a core");
    eventually("being held back by the quota", || {
        environment.usage().unwrap().throttled > before.throttled
    });
    helper.end();
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
        match environment.set_limits(&limits) {
            Err(EnvironmentError::InvalidLimit { reason, .. })
                if environment.join().is_empty() && !rustix::process::geteuid().is_root() =>
            {
                skip!("idle_and_weight_go_on_and_off", "{reason}");
            }
            other => other.unwrap(),
        }
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
