//! Extrapolates recorded ladders and sets the result against the whole runs.
//!
//! `cargo run --release -p foreshadow-prediction --example extrapolate -- DIRECTORY`
//! where the directory holds one JSON document a program: `{"name", "runs": [{"fraction",
//! "input_bytes", "cpu_s", "wall_s", "peak_mem", "samples": [[at, cpu, memory, position, ...]]}]}`
//! with one run of fraction 1.

use std::error::Error;
use std::{env, fs};

use foreshadow_prediction::Predictive;
use foreshadow_prediction::extrapolation::{Phases, Point, Rung, cpu, memory};
use serde_json::Value;

fn number(v: &Value) -> f64 {
    v.as_f64().unwrap_or(0.0)
}

fn rung(run: &Value) -> Rung {
    let samples = run["samples"].as_array().cloned().unwrap_or_default();
    let end = samples.iter().map(|s| number(&s[3])).fold(0.0, f64::max);
    let bytes = number(&run["input_bytes"]);
    let all = if bytes > 0.0 { bytes } else { end };
    Rung {
        size: number(&run["fraction"]),
        cpu: number(&run["cpu_s"]),
        wall: number(&run["wall_s"]),
        memory: number(&run["peak_mem"]),
        complete: true,
        curve: samples
            .iter()
            .map(|s| Point {
                at: number(&s[0]),
                cpu: number(&s[1]),
                memory: number(&s[2]),
                progress: if all > 0.0 {
                    (number(&s[3]) / all).min(1.0)
                } else {
                    0.0
                },
            })
            .collect(),
    }
}

fn show(name: &str, predicted: &Predictive, truth: f64, unit: f64, errors: &mut Vec<f64>) -> bool {
    let p50 = predicted.quantile(0.5);
    let held = predicted.quantile(0.1) <= truth && truth <= predicted.quantile(0.9);
    errors.push((p50 / truth).ln());
    print!(
        " {name} {:8.2} [{:8.2} {:8.2}] true {:8.2} {:+6.1}% {} |",
        p50 / unit,
        predicted.quantile(0.1) / unit,
        predicted.quantile(0.9) / unit,
        truth / unit,
        100.0 * (p50 / truth - 1.0),
        if held { " " } else { "!" },
    );
    held
}

fn median(mut v: Vec<f64>) -> f64 {
    v.sort_by(f64::total_cmp);
    v.get(v.len() / 2).copied().unwrap_or(f64::NAN)
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = env::args().nth(1).ok_or("usage: extrapolate DIRECTORY")?;
    let share: f64 = env::args().nth(2).map_or(Ok(0.055), |a| a.parse())?;
    let mut files: Vec<_> = fs::read_dir(&dir)?
        .filter_map(|e| Some(e.ok()?.path()))
        .collect();
    files.sort();
    let (mut cpu_errors, mut memory_errors, mut held, mut n) = (vec![], vec![], [0, 0], 0);
    for file in files {
        let document: Value = serde_json::from_slice(&fs::read(&file)?)?;
        let name = document["name"].as_str().unwrap_or("?");
        let runs = document["runs"].as_array().cloned().unwrap_or_default();
        let all: Vec<Rung> = runs.iter().map(rung).collect();
        let whole: Vec<&Rung> = all.iter().filter(|r| r.size >= 0.999).collect();
        let Some(first) = whole.first() else { continue };
        let truth_cpu = median(whole.iter().map(|r| r.cpu).collect());
        let truth_memory = whole.iter().map(|r| r.memory).fold(0.0, f64::max);
        let _ = first;
        // The rungs that a budget of this share of the CPU time buys: a largest one, one of a
        // quarter of it, and the smallest.
        let mut sizes: Vec<f64> = all.iter().map(|r| r.size).filter(|s| *s < 0.5).collect();
        sizes.sort_by(f64::total_cmp);
        sizes.dedup();
        let one = |size: f64| {
            all.iter()
                .filter(|r| r.size == size)
                .map(|r| r.cpu)
                .fold(f64::MAX, f64::min)
        };
        let allowed = (share * truth_cpu).max(0.3);
        let mut chosen = vec![sizes[0], sizes[(sizes.len() - 1).min(2)]];
        'rungs: for i in (2..sizes.len()).rev() {
            let three = vec![sizes[0], sizes[i - 2], sizes[i]];
            let two = vec![sizes[0], sizes[i]];
            for (set, most) in [(three, allowed), (two, allowed.max(2.5 * one(sizes[0])))] {
                if set.iter().map(|s| one(*s)).sum::<f64>() <= most {
                    chosen = set;
                    break 'rungs;
                }
            }
        }
        chosen.dedup();
        let rungs: Vec<Rung> = chosen
            .iter()
            .filter_map(|s| {
                all.iter()
                    .filter(|r| r.size == *s)
                    .min_by(|a, b| a.cpu.total_cmp(&b.cpu))
            })
            .cloned()
            .collect();
        print!(
            "{name:24} 1/{:<4.0} x{} ",
            1.0 / chosen.iter().fold(0.0_f64, |a, b| a.max(*b)),
            chosen.len()
        );
        let (Some(c), Some(m)) = (cpu(&rungs, 1.0), memory(&rungs, 1.0)) else {
            println!("nothing");
            continue;
        };
        n += 1;
        held[0] += i32::from(show("cpu", &c.predictive, truth_cpu, 1.0, &mut cpu_errors));
        held[1] += i32::from(show(
            "MiB",
            &m.predictive,
            truth_memory,
            1_048_576.0,
            &mut memory_errors,
        ));
        println!(
            " {:?}",
            Phases::of(&rungs[0]).map(|p| [p.startup, p.reading, p.after, p.lateness]
                .map(|v| (v * 1000.0).round() / 1000.0))
        );
    }
    let absolute = |v: &[f64]| median(v.iter().map(|e| e.abs().exp_m1()).collect());
    println!(
        "{n} programs: CPU median |error| {:.1} % (bias {:+.1} %), held {}; memory {:.1} % (bias {:+.1} %), held {}",
        100.0 * absolute(&cpu_errors),
        100.0 * median(cpu_errors.clone()),
        held[0],
        100.0 * absolute(&memory_errors),
        100.0 * median(memory_errors.clone()),
        held[1],
    );
    Ok(())
}
