//! What environments cost: `cargo run --release --example cost`.

use std::time::{Duration, Instant};

use foreshadow_environment::{Environment, Host, Limits, Program, Role, Stream};
use foreshadow_quantity::{Bytes, Cores};

fn median(name: &str, rounds: usize, mut action: impl FnMut()) {
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            action();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!(
        "{name:32} median {:>9.1} µs   p99 {:>9.1} µs",
        times[rounds / 2].as_secs_f64() * 1e6,
        times[rounds * 99 / 100].as_secs_f64() * 1e6
    );
}

fn program() -> Program {
    let argv = ["/bin/true"].map(Into::into).to_vec();
    let mut program = Program::new(argv).expect("a working directory");
    program.stdout = Stream::Null;
    program
}

fn main() {
    foreshadow_environment::raise_descriptor_limit();
    if std::env::args().any(|argument| argument == "hundred") {
        return hundred(&Host::detect());
    }
    median("detect", 200, || drop(Host::detect()));
    let host = Host::detect();
    println!("{:?}", host.backend());
    let limits = Limits {
        memory_max: Some(Bytes::gib(1)),
        cores: Some(Cores::whole(1)),
        ..Limits::default()
    };
    let create = || Environment::create(&host, Role::Shadow, &limits).expect("an environment");
    median("create and drop", 200, || drop(create()));
    median("create, run /bin/true, drop", 200, || {
        let environment = create();
        let mut process = environment.spawn(program()).expect("true");
        process.wait().expect("its end");
    });
    median("the same after 50 ms of rest", 40, || {
        let environment = create();
        let mut process = environment.spawn(program()).expect("true");
        process.wait().expect("its end");
    });
    let mut rested = Vec::new();
    for _ in 0..40 {
        std::thread::sleep(Duration::from_millis(50));
        let start = Instant::now();
        let environment = create();
        let created = start.elapsed();
        let mut process = environment.spawn(program()).expect("true");
        let spawned = start.elapsed();
        process.wait().expect("its end");
        let waited = start.elapsed();
        drop(environment);
        rested.push((start.elapsed(), created, spawned, waited));
    }
    rested.sort_unstable();
    println!("rested: total, created, spawned, waited {:?}", rested[20]);
    let environment = create();
    let mut busy = program();
    busy.argv = ["/bin/sleep", "1000"].map(Into::into).to_vec();
    let _process = environment.spawn(busy).expect("sleep");
    median("usage", 2000, || {
        environment.usage().expect("usage");
    });
    median("pressure", 2000, || {
        environment.pressure().expect("pressure");
    });
    median("pids", 2000, || {
        environment.pids().expect("pids");
    });
    hundred(&host);
    let mut cores = 500;
    median("resize cores", 200, || {
        cores = if cores == 500 { 1000 } else { 500 };
        let limits = Limits {
            cores: Some(Cores::milli(cores)),
            ..limits
        };
        environment.set_limits(&limits).expect("resize");
    });
}

/// Looks at 100 environments at 10 Hz, as recorders do: at CPU and memory each time, at all else each
/// second.
fn hundred(host: &Host) {
    let mut running = Vec::new();
    for _ in 0..100 {
        let environment =
            Environment::create(host, Role::Shadow, &Limits::default()).expect("an environment");
        let mut program = program();
        // Each does something from time to time.
        let script = "while :; do sleep 1; done";
        program.argv = ["/bin/sh", "-c", script].map(Into::into).to_vec();
        let process = environment.spawn(program).expect("sh");
        running.push((environment.usage().expect("usage"), environment, process));
    }
    let before = cpu_time();
    let start = Instant::now();
    for round in 1..=50 {
        for (number, (usage, environment, _)) in running.iter_mut().enumerate() {
            if (round + number) % 10 == 0 {
                *usage = environment.usage().expect("usage");
                environment.pressure().expect("pressure");
            } else {
                environment.refresh(usage).expect("usage");
            }
        }
        std::thread::sleep(
            (Duration::from_millis(100) * round as u32).saturating_sub(start.elapsed()),
        );
    }
    let share = (cpu_time() - before).as_secs_f64() / start.elapsed().as_secs_f64();
    println!(
        "100 environments at 10 Hz: {:.2} % of a core",
        share * 100.0
    );
}

/// CPU time of this thread (`/proc/thread-self/schedstat`, in nanoseconds).
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("proc");
    let nanos = text.split(' ').next().and_then(|n| n.parse().ok());
    Duration::from_nanos(nanos.expect("a number"))
}
