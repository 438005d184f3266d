//! Extrapolates recorded ladders and sets the result against the whole runs.
//!
//! `cargo run --release -p foreshadow-prediction --example extrapolate -- LADDERS TRUTH`
//! LADDERS is a directory with one JSON document a program: `{"name", "ladder": [Rung, ...]}` (the
//! recordings of kind `ladder` of a history); TRUTH is a JSON object by name with
//! `peak_memory_bytes`, `cpu_seconds` and `wall_seconds` of the whole run.

use std::error::Error;
use std::{env, fs};

use foreshadow_prediction::Predictive;
use foreshadow_prediction::cost::{CostModel, recommend};
use foreshadow_prediction::extrapolation::{Rung, cpu, memory, wall};
use serde_json::Value;

#[derive(Default)]
struct Errors {
    logs: Vec<f64>,
    held: usize,
}

impl Errors {
    fn add(&mut self, predicted: &Predictive, truth: f64, unit: f64) {
        let q = |level| predicted.quantile(level);
        let held = q(0.1) <= truth && truth <= q(0.9);
        self.held += usize::from(held);
        self.logs.push((q(0.5) / truth).ln());
        print!(
            "{:8.2} [{:7.2} {:7.2}] true {:7.2} {:+4.0}%{}| ",
            q(0.5) / unit,
            q(0.1) / unit,
            q(0.9) / unit,
            truth / unit,
            100.0 * (q(0.5) / truth - 1.0),
            if held { " " } else { "!" },
        );
    }

    fn show(&self, name: &str) {
        let absolute = self.logs.iter().map(|e| e.abs().exp_m1()).collect();
        println!(
            "{name}: median |error| {:.1} %, bias {:+.1} %, held {} of {}",
            100.0 * median(absolute),
            100.0 * median(self.logs.clone()),
            self.held,
            self.logs.len()
        );
    }
}

fn median(mut v: Vec<f64>) -> f64 {
    v.sort_by(f64::total_cmp);
    v.get(v.len() / 2).copied().unwrap_or(f64::NAN)
}

fn main() -> Result<(), Box<dyn Error>> {
    let usage = "usage: extrapolate LADDERS TRUTH";
    let dir = env::args().nth(1).ok_or(usage)?;
    let truth: Value = serde_json::from_slice(&fs::read(env::args().nth(2).ok_or(usage)?)?)?;
    let mut files: Vec<_> = fs::read_dir(&dir)?
        .filter_map(|e| Some(e.ok()?.path()))
        .collect();
    files.sort();
    let (mut m, mut c, mut w) = (Errors::default(), Errors::default(), Errors::default());
    let (mut below, mut ratios) = (0, Vec::new());
    for file in files {
        let document: Value = serde_json::from_slice(&fs::read(&file)?)?;
        let name = document["name"].as_str().unwrap_or("?");
        let rungs: Vec<Rung> = serde_json::from_value(document["ladder"].clone())?;
        let figure = |key: &str| truth[name][key].as_f64();
        let (Some(true_m), Some(true_c), Some(true_w)) = (
            figure("peak_memory_bytes"),
            figure("cpu_seconds"),
            figure("wall_seconds"),
        ) else {
            continue;
        };
        let largest = rungs.iter().map(|r| r.size).fold(0.0, f64::max);
        print!("{name:22} 1/{:<5.1}x{} ", 1.0 / largest, rungs.len());
        let (Some(pm), Some(pc), Some(pw)) = (
            memory(&rungs, 1.0),
            cpu(&rungs, 1.0),
            wall(&rungs, 1.0, 2.0),
        ) else {
            println!("nothing");
            continue;
        };
        print!("MiB ");
        m.add(&pm.predictive, true_m, 1_048_576.0);
        print!("cpu ");
        c.add(&pc.predictive, true_c, 1.0);
        print!("wall ");
        w.add(&pw.predictive, true_w, 1.0);
        let model = CostModel {
            failure_penalty: 3.0,
            ..CostModel::default()
        };
        let asked = recommend(&pm.predictive, &model).allocation.as_f64() + 4.0 * 1_048_576.0;
        below += usize::from(asked < true_m);
        ratios.push(asked.max(67_108_864.0) / true_m.max(67_108_864.0));
        println!();
    }
    m.show("memory");
    c.show("CPU");
    w.show("wall");
    println!(
        "recommended memory below the peak: {below}; at the median {:.2} times the peak",
        median(ratios)
    );
    Ok(())
}
