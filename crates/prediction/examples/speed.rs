use foreshadow_prediction::history::*;
use std::time::Instant;
fn main() {
    for nf in [1usize, 3, 8] {
        let mut l = Learner::new(Config::default());
        let mut u = 88172645463325252u64;
        let mut rnd = || {
            u ^= u << 13;
            u ^= u >> 7;
            u ^= u << 17;
            (u >> 11) as f64 / (1u64 << 53) as f64
        };
        let mut times = Vec::new();
        for i in 0..1_000_000u64 {
            let mut f = Features::new();
            let x = 1e6 * (1.0 + 50.0 * rnd());
            f.set("input_bytes", x);
            for k in 1..nf {
                f.set(format!("f{k}"), rnd() * 100.0);
            }
            let y = (1e8 + 3.0 * x) * (1.0 + 0.05 * rnd());
            let t = Instant::now();
            let _ = std::hint::black_box(l.predict(&f));
            l.observe(&f, &Observation::complete(y)).unwrap();
            times.push(t.elapsed().as_nanos() as u32);
            if i + 1 == 1000 || i + 1 == 1_000_000 {
                let k = times.len();
                let mut last: Vec<u32> = times[k.saturating_sub(1000)..].to_vec();
                last.sort();
                println!(
                    "features {nf} n {} median {} ns p90 {} p99 {} mean {}",
                    i + 1,
                    last[last.len() / 2],
                    last[last.len() * 9 / 10],
                    last[last.len() * 99 / 100],
                    last.iter().map(|x| *x as u64).sum::<u64>() / last.len() as u64
                );
            }
            if nf == 8 && i == 20000 {
                break;
            }
        }
        println!("json {}", serde_json::to_string(&l).unwrap().len());
    }
}
