//! What the tests of this crate share: a helper program (the test binary itself), and waiting.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::time::{Duration, Instant};

use foreshadow_environment::{
    BackendKind, Environment, Exit, Feature, Host, Limits, Process, Program, Role, Stream, Totals,
};

/// Longer than anything takes on the slowest machine that works at all.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Says by name what is not tested here, and why.
#[macro_export]
macro_rules! skip {
    ($name:expr, $($reason:tt)*) => {{
        // Not by the macros, whose words the test harness keeps to itself when a test passes.
        let line = format!("SKIPPED {}: {}\n", $name, format!($($reason)*));
        std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).unwrap();
        return;
    }};
}

/// An environment on this machine.
pub fn environment(limits: Limits) -> Environment {
    Environment::create(&Host::detect(), Role::Shadow, &limits).unwrap()
}

/// Whether the machine lacks a feature for these limits, and why.
pub fn lacks(environment: &Environment, feature: Feature) -> Option<String> {
    environment
        .unsupported()
        .into_iter()
        .find(|missing| missing.feature == feature)
        .map(|missing| missing.reason)
}

/// Whether the machine has control groups of version 1 that we may use.
pub fn is_hybrid() -> bool {
    Host::detect().backend() == BackendKind::Hybrid
}

/// A program by its arguments, its streams closed to the terminal.
pub fn program(argv: &[&str]) -> Program {
    let mut program = Program::new(argv.iter().map(OsString::from).collect()).unwrap();
    program.stdin = Stream::Null;
    program
}

/// A shell script.
pub fn shell(script: &str) -> Program {
    program(&["/bin/sh", "-c", script])
}

/// The variable by which the helper knows what to do.
const ORDER: &str = "FORESHADOW_TEST_ORDER";

/// The helper, running in an environment, and the ends of its streams.
pub struct Helper {
    pub process: Process,
    input: Option<File>,
    output: BufReader<File>,
}

impl Helper {
    /// Starts it with an order, see [`obey`].
    pub fn start(environment: &Environment, order: &str) -> Helper {
        let mut program = helper_program(order);
        let (child_input, input) = pipe();
        let (output, child_output) = pipe();
        program.stdin = Stream::Fd(child_input.into());
        program.stdout = Stream::Fd(child_output.into());
        Helper {
            process: environment.spawn(program).unwrap(),
            input: Some(input),
            output: BufReader::new(output),
        }
    }

    /// Waits until it says a word; false where it ends without.
    pub fn hear(&mut self, word: &str) -> bool {
        let mut line = String::new();
        loop {
            line.clear();
            match self.output.read_line(&mut line) {
                Ok(0) | Err(_) => return false,
                Ok(_) if line.trim_end().ends_with(word) => return true,
                Ok(_) => {}
            }
        }
    }

    /// Lets it go on.
    pub fn go(&mut self) {
        if let Some(input) = &mut self.input {
            input.write_all(b"go\n").unwrap();
        }
    }

    /// Closes its input and waits for its end.
    pub fn end(mut self) -> (Exit, Totals) {
        drop(self.input.take());
        self.process.wait().unwrap()
    }
}

/// The test binary as a helper with an order.
pub fn helper_program(order: &str) -> Program {
    let mut program = Program::new(vec![
        std::env::current_exe().unwrap().into(),
        "--exact".into(),
        "helper".into(),
        "--nocapture".into(),
        "--test-threads=1".into(),
    ])
    .unwrap();
    program.env.push((ORDER.into(), order.into()));
    program.stdin = Stream::Null;
    program
}

/// A pipe: the end to read from, the end to write to. Neither goes to other processes.
pub fn pipe() -> (File, File) {
    let (read, write) = std::io::pipe().unwrap();
    let read: std::os::fd::OwnedFd = read.into();
    let write: std::os::fd::OwnedFd = write.into();
    (read.into(), write.into())
}

/// What the helper does when there is an order; otherwise a test that has nothing to do.
pub fn obey() {
    let Ok(order) = std::env::var(ORDER) else {
        return;
    };
    let mut words = order.split(' ');
    let verb = words.next().unwrap();
    let mut number = || -> usize { words.next().unwrap().parse().unwrap() };
    match verb {
        // Says READY, waits for a word, touches memory, says DONE, and waits for the end of input.
        "touch" => {
            let mib = number();
            say("READY");
            wait_line();
            let memory = touch(mib);
            say("DONE");
            wait_end();
            drop(memory);
        }
        // Uses a processor until its input ends.
        "spin" => {
            say("READY");
            std::thread::spawn(|| {
                let mut n = 0_u64;
                loop {
                    n = std::hint::black_box(n.wrapping_add(1));
                }
            });
            wait_end();
        }
        // Writes a line again and again.
        "tick" => loop {
            say("TICK");
            std::thread::sleep(Duration::from_millis(2));
        },
        // Starts as many threads as it may.
        "threads" => {
            let wanted = number();
            let mut started = 0;
            for _ in 0..wanted {
                let thread = std::thread::Builder::new().stack_size(16 << 10);
                if thread.spawn(|| std::thread::sleep(PATIENCE)).is_err() {
                    break;
                }
                started += 1;
            }
            say(&format!("STARTED {started}"));
            wait_end();
        }
        other => panic!("no such order: {other}"),
    }
}

/// Memory written to, page by page.
pub fn touch(mib: usize) -> Vec<u8> {
    let mut memory = vec![0_u8; mib << 20];
    for page in memory.chunks_mut(4096) {
        page[0] = 1;
    }
    std::hint::black_box(memory)
}

pub fn say(word: &str) {
    let mut out = std::io::stdout();
    // The reader may be gone: then nobody is interested.
    let _ = writeln!(out, "{word}");
    let _ = out.flush();
}

fn wait_line() {
    let _ = std::io::stdin().read_line(&mut String::new());
}

fn wait_end() {
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

/// Waits for a condition.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
