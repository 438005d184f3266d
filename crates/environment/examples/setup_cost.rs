//! What a shadow costs: setting it up, running `/bin/true` in it, tearing it down.
//!
//! `cargo run --release -p foreshadow-environment --example setup_cost [ROUNDS]`
//! prints the median and the 90th percentile, in milliseconds, beside the same command without a
//! shadow.

use std::error::Error;
use std::time::{Duration, Instant};

use foreshadow_environment::isolation::{Sandbox, SandboxOptions};
use foreshadow_environment::{Program, Stream};

fn main() -> Result<(), Box<dyn Error>> {
    let rounds = match std::env::args().nth(1) {
        Some(n) => n.parse()?,
        None => 200,
    };
    println!("isolation: {:?}", Sandbox::probe()?);
    let mut whole = Vec::new();
    let mut parts = [const { Vec::new() }; 3];
    let mut plain = Vec::new();
    for _ in 0..rounds {
        let start = Instant::now();
        let sandbox = Sandbox::new(SandboxOptions::default())?;
        parts[0].push(start.elapsed());
        let then = Instant::now();
        let mut shadow = sandbox.start(Program {
            stdin: Stream::Null,
            stdout: Stream::Null,
            stderr: Stream::Null,
            ..Program::new(vec!["/bin/true".into()])?
        })?;
        parts[1].push(then.elapsed());
        let then = Instant::now();
        let (exit, _) = shadow.wait()?;
        drop(shadow);
        parts[2].push(then.elapsed());
        whole.push(start.elapsed());
        if !exit.success() {
            return Err(format!("the command ended with {exit:?}").into());
        }
        let start = Instant::now();
        std::process::Command::new("/bin/true").status()?;
        plain.push(start.elapsed());
    }
    for (name, times) in ["new", "start", "wait and drop"].iter().zip(&mut parts) {
        report(name, times);
    }
    report("shadow, all", &mut whole);
    report("no shadow", &mut plain);
    Ok(())
}

fn report(name: &str, times: &mut [Duration]) {
    times.sort();
    let at = |q: usize| times[(times.len() - 1) * q / 100].as_secs_f64() * 1e3;
    println!("{name:14} median {:7.2} ms   p90 {:7.2} ms", at(50), at(90));
}
