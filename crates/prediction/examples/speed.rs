//! How long a learner takes to predict and observe, with 1,000 and with a million observations.
//! Run by `benches/replay/run`.

use std::hint::black_box;
use std::time::Instant;

use foreshadow_prediction::history::{Config, Features, Learner, Observation};

fn main() {
    println!("| features | observations | median µs | mean µs | p99 µs |\n|---|---|---|---|---|");
    run(1, 1_000_000);
    run(3, 1_000_000);
    run(8, 1000);
}

fn run(features: usize, tasks: u32) {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let names: Vec<String> = (0..features).map(|i| format!("feature {i}")).collect();
    let mut learner = Learner::new(Config::default());
    let mut times = Vec::with_capacity(1_000_000);
    for i in 1..=tasks {
        let mut f = Features::new();
        for name in &names {
            f.set(name.as_str(), 1e6 * (1.0 + 50.0 * random()));
        }
        let x = f.get(&names[0]).unwrap_or(0.0);
        let value = (1e8 + 3.0 * x) * (1.0 + 0.05 * random());
        let start = Instant::now();
        let _ = black_box(learner.predict(&f));
        if learner.observe(&f, &Observation::complete(value)).is_err() {
            continue;
        }
        times.push(start.elapsed().as_secs_f64() * 1e6);
        if i == 1000 || i == 1_000_000 {
            // Of the last thousand.
            let mut last = times[times.len() - 1000..].to_vec();
            last.sort_unstable_by(f64::total_cmp);
            println!(
                "| {features} | {i} | {:.1} | {:.1} | {:.1} |",
                last[500],
                last.iter().sum::<f64>() / 1000.0,
                last[990]
            );
        }
    }
}
