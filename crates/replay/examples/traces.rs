//! The replay benchmark: given traces in the format of Nextflow, prints tables of waste, failures
//! and coverage as Markdown. Run by `benches/replay/run`.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use foreshadow_replay::methods::{Limits, Name};
use foreshadow_replay::parse::{self, Columns};
use foreshadow_replay::trace::Trace;
use foreshadow_replay::{LastSeen, Options, Protocol, Report, Scored, Sink, replay, simulate};

const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];

/// Waste in GB·h and failures of Sizey by the same protocol at one shuffle (Bader et al., IEEE
/// CLUSTER 2024; its regressors refitted less often), by file name.
const SIZEY: [(&str, f64, f64); 3] = [
    ("nfcore_eager", 1843.0, 187.0),
    ("nfcore_rnaseq", 48.6, 73.0),
    ("nfcore_chipseq", 84.2, 311.0),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if files.is_empty() {
        return Err("give the traces as arguments".into());
    }
    let mut methods = Name::USUAL.to_vec();
    methods.insert(5, Name::WittRegression);
    for target in ["rss", "peak_rss"] {
        println!(
            "### Shuffled, 30 % warm-up, mean of {} seeds, {target}\n",
            SEEDS.len()
        );
        shuffled(&files, target, &methods)?;
        println!("\n### In the order in which the tasks ended, cold start, {target}\n");
        ordered(&files, target, &methods)?;
        println!();
    }
    println!("### Coverage when the memory of each process doubles midway\n");
    println!("| trace | from task | tasks | 80 % | 95 % |\n|---|---|---|---|---|");
    for file in &files {
        for after in [10, 30] {
            let (n, p80, p95) = drift(file, after)?;
            if n == 0 {
                println!("| {} | {after} after | 0 | - | - |", stem(file));
                continue;
            }
            println!(
                "| {} | {after} after | {n} | {:.1} % | {:.1} % |",
                stem(file),
                p80 * 100.0,
                p95 * 100.0
            );
        }
    }
    Ok(())
}

fn stem(file: &Path) -> String {
    file.file_stem()
        .map_or_else(String::new, |s| s.to_string_lossy().into_owned())
}

fn columns(target: &str) -> Columns {
    Columns {
        features: vec!["rchar".to_owned()],
        target: Some(target.to_owned()),
        ..Columns::default()
    }
}

fn play(
    file: &Path,
    target: &str,
    methods: &[Name],
    shuffle: Option<u64>,
) -> Result<Report, Box<dyn std::error::Error>> {
    let protocol = match shuffle {
        Some(_) => Protocol {
            shuffle,
            warmup: 0.3,
            least_tasks: 34,
            whole_processes: true,
        },
        None => Options::default().protocol,
    };
    let options = Options {
        columns: columns(target),
        protocol,
        methods: methods.to_vec(),
        ..Options::default()
    };
    Ok(replay(File::open(file)?, &options)?)
}

/// Waste, failures and coverages, summed over runs.
#[derive(Clone, Copy, Default)]
struct Sum {
    runs: f64,
    waste: f64,
    failures: f64,
    p80: f64,
    p95: f64,
}

impl Sum {
    fn add(&mut self, report: &Report, name: Name) {
        if let Some(m) = report.methods.iter().find(|m| m.name == name) {
            self.runs += 1.0;
            self.waste += m.waste_gbh;
            self.failures += m.failures as f64;
            self.p80 += m.coverage_p80.unwrap_or(f64::NAN);
            self.p95 += m.coverage_p95.unwrap_or(f64::NAN);
        }
    }

    fn cell(&self) -> String {
        format!(
            "{:.1} / {:.1}",
            self.waste / self.runs,
            self.failures / self.runs
        )
    }
}

fn print(files: &[PathBuf], methods: &[Name], sums: &HashMap<(usize, Name), Sum>, sizey: bool) {
    let names: Vec<String> = files.iter().map(|f| stem(f)).collect();
    println!("| waste GB·h / failures | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(files.len()));
    for m in methods.iter().filter(|m| **m != Name::Oracle) {
        let cells: Vec<String> = (0..files.len()).map(|f| sums[&(f, *m)].cell()).collect();
        println!("| {m} | {} |", cells.join(" | "));
    }
    let ours = |f: usize| sums[&(f, Name::Foreshadow)];
    let cover: Vec<String> = (0..files.len())
        .map(|f| {
            let s = ours(f);
            format!(
                "{:.1} % / {:.1} %",
                s.p80 / s.runs * 100.0,
                s.p95 / s.runs * 100.0
            )
        })
        .collect();
    println!("| coverage of 80 % / 95 % | {} |", cover.join(" | "));
    let known: Vec<Option<(f64, f64)>> = names
        .iter()
        .map(|n| SIZEY.iter().find(|s| s.0 == n).map(|s| (s.1, s.2)))
        .collect();
    if !sizey || known.iter().any(Option::is_none) {
        return;
    }
    let ratio: Vec<(f64, f64)> = known
        .iter()
        .flatten()
        .enumerate()
        .map(|(f, s)| {
            let o = ours(f);
            (o.waste / o.runs / s.0, o.failures / o.runs / s.1)
        })
        .collect();
    let cells: Vec<String> = ratio
        .iter()
        .map(|r| format!("{:.2} / {:.2}", r.0, r.1))
        .collect();
    println!("| foreshadow over Sizey | {} |", cells.join(" | "));
    let mean = ratio.iter().map(|r| r.0.ln()).sum::<f64>() / ratio.len() as f64;
    println!("\nWaste over Sizey's, geometric mean: {:.3}", mean.exp());
}

fn shuffled(
    files: &[PathBuf],
    target: &str,
    methods: &[Name],
) -> Result<(), Box<dyn std::error::Error>> {
    let mut sums: HashMap<(usize, Name), Sum> = HashMap::new();
    for (f, file) in files.iter().enumerate() {
        for seed in SEEDS {
            let report = play(file, target, methods, Some(seed))?;
            for m in methods {
                sums.entry((f, *m)).or_default().add(&report, *m);
            }
        }
    }
    print(files, methods, &sums, target == "rss");
    Ok(())
}

fn ordered(
    files: &[PathBuf],
    target: &str,
    methods: &[Name],
) -> Result<(), Box<dyn std::error::Error>> {
    let mut sums: HashMap<(usize, Name), Sum> = HashMap::new();
    for (f, file) in files.iter().enumerate() {
        let report = play(file, target, methods, None)?;
        for m in methods {
            sums.entry((f, *m)).or_default().add(&report, *m);
        }
    }
    print(files, methods, &sums, false);
    Ok(())
}

/// Counts coverage in the tasks of each process from some number on.
struct Late {
    from: Vec<usize>,
    tasks: u64,
    in_p80: u64,
    in_p95: u64,
}

impl Sink for Late {
    fn scored(&mut self, s: &Scored<'_>) {
        if s.before >= self.from[s.task.process as usize] {
            self.tasks += s.score.judged;
            self.in_p80 += s.score.in_p80;
            self.in_p95 += s.score.in_p95;
        }
    }

    fn done(&mut self, _process: u32, _last: &LastSeen) {}
}

/// Doubles the peaks of the later half of each process; from task number `after` of that half on,
/// tasks judged and both coverages.
fn drift(file: &Path, after: usize) -> Result<(u64, f64, f64), Box<dyn std::error::Error>> {
    let mut trace: Trace = parse::read(File::open(file)?, &columns("rss"))?;
    let mut by_process: Vec<Vec<usize>> = vec![Vec::new(); trace.processes.len()];
    for (i, t) in trace
        .tasks
        .iter()
        .enumerate()
        .filter(|(_, t)| t.seconds > 0.0)
    {
        by_process[t.process as usize].push(i);
    }
    let mut from = Vec::new();
    for tasks in &mut by_process {
        tasks.sort_by(|a, b| {
            let ended = |i: &usize| trace.tasks[*i].ended.unwrap_or(0.0);
            ended(a).total_cmp(&ended(b))
        });
        let half = tasks.len() / 2;
        for i in &tasks[half..] {
            trace.tasks[*i].peak *= 2.0;
        }
        from.push(half + after);
    }
    let mut late = Late {
        from,
        tasks: 0,
        in_p80: 0,
        in_p95: 0,
    };
    let limits = Limits {
        node: 128e9,
        unknown: 1_073_741_824.0,
    };
    simulate(
        &mut trace,
        &Options::default().protocol,
        &[Name::Foreshadow],
        &limits,
        &mut late,
    );
    let share = |n: u64| n as f64 / late.tasks.max(1) as f64;
    Ok((late.tasks, share(late.in_p80), share(late.in_p95)))
}
