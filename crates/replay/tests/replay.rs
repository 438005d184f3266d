//! Replays of made-up traces, through the public interface.

use std::fmt::Write as _;

use clap::Parser;
use foreshadow_replay::cli::{ReplayArgs, run};
use foreshadow_replay::methods::Name;
use foreshadow_replay::{Options, Protocol, Report, Target, emit, html, replay, table};

/// Repeatable numbers in 0..1.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

const HEADER: &str = "process,status,memory,realtime,peak_rss,rss,rchar,start,complete\n";

/// Four processes of `n` tasks: a line in the input, a constant, noise, and a step.
fn trace(n: u32) -> String {
    let mut r = Random(42);
    let mut out = HEADER.to_owned();
    let mut at = 1_700_000_000_000_u64;
    for _ in 0..n {
        let x = 1e9 * (1.0 + 9.0 * r.next());
        let noise = |r: &mut Random| 1.0 + 0.02 * (r.next() - 0.5);
        for (name, peak) in [
            ("line", (5e8 + 0.8 * x) * noise(&mut r)),
            ("constant", 3.2e9),
            ("noise", 2e9 * (0.5 * (r.next() + r.next() - 1.0)).exp()),
            ("step", if x > 4e9 { 9e9 } else { 2e9 } * noise(&mut r)),
        ] {
            at += 60_000;
            let peak = peak.round();
            let _ = writeln!(
                out,
                "{name},COMPLETED,{},{},{peak},{peak},{x:.0},{},{at}",
                16_u64 << 30,
                600_000,
                at - 600_000
            );
        }
    }
    out
}

fn run_on(text: &str, options: &Options) -> Report {
    replay(text.as_bytes(), options).unwrap()
}

fn waste(r: &Report, name: Name) -> f64 {
    r.methods.iter().find(|m| m.name == name).unwrap().waste_gbh
}

fn paper(seed: u64) -> Options {
    Options {
        protocol: Protocol {
            shuffle: Some(seed),
            warmup: 0.3,
            least_tasks: 34,
            whole_processes: true,
        },
        ..Options::default()
    }
}

#[test]
fn ours_wastes_least_in_either_order_and_covers() {
    let text = trace(100);
    for options in [Options::default(), paper(1), paper(2)] {
        let r = run_on(&text, &options);
        let ours = r
            .methods
            .iter()
            .find(|m| m.name == Name::Foreshadow)
            .unwrap();
        for m in &r.methods {
            if !matches!(m.name, Name::Oracle | Name::Foreshadow) {
                assert!(ours.waste_gbh < m.waste_gbh, "{} {}", m.name, m.waste_gbh);
            }
        }
        assert_eq!(waste(&r, Name::Oracle), 0.0);
        assert!(ours.failures * 20 < ours.tasks, "{}", ours.failures);
        let (p80, p95) = (ours.coverage_p80.unwrap(), ours.coverage_p95.unwrap());
        // A constant is always within: of four processes one counts as covered in full.
        assert!((0.77..0.90).contains(&p80), "{p80}");
        assert!((0.92..=1.0).contains(&p95), "{p95}");
        assert!(
            r.methods
                .iter()
                .filter(|m| m.name != Name::Foreshadow)
                .all(|m| m.coverage_p80.is_none())
        );
    }
}

#[test]
fn the_protocol_warms_up_and_shuffles_by_seed() {
    let text = trace(50);
    let a = run_on(&text, &paper(1));
    assert_eq!(a.methods[0].tasks, 4 * 35);
    let again = run_on(&text, &paper(1));
    let other = run_on(&text, &paper(2));
    assert_eq!(waste(&a, Name::Foreshadow), waste(&again, Name::Foreshadow));
    assert_ne!(waste(&a, Name::Foreshadow), waste(&other, Name::Foreshadow));
    // Processes too small for it are left out and counted.
    let small = run_on(
        &format!("{text}few,COMPLETED,1,1000,5,5,5,1000,2000\n"),
        &paper(1),
    );
    assert_eq!(small.rows.skipped["the process has fewer than 34 tasks"], 1);
    assert_eq!(small.rows.used + 1, small.rows.read);
    let zero = run_on(
        &format!("{text}line,COMPLETED,1,0,5,5,5,1000,2000\n"),
        &paper(1),
    );
    assert_eq!(
        zero.rows.skipped["a task of the process has run time 0"],
        51
    );
}

#[test]
fn scores_by_hand() {
    // 1 GB·h of peak twice; the request is 2 GB, then half of the peak.
    let text = format!(
        "{HEADER}p,COMPLETED,2000000000,3600000,1000000000,1000000000,1,0,3600000\n\
         p,COMPLETED,500000000,3600000,1000000000,1000000000,2,0,7200000\n"
    );
    let r = run_on(&text, &Options::default());
    let requested = r
        .methods
        .iter()
        .find(|m| m.name == Name::Requested)
        .unwrap();
    // 1 over; then 0.5 lost, and 1.0 by doubling, which holds exactly.
    assert!((requested.waste_gbh - 1.5).abs() < 1e-9);
    assert_eq!(requested.failures, 1);
    assert!((requested.retries_gbh - 0.5).abs() < 1e-9);
    assert!((requested.over_allocation - 0.5).abs() < 1e-9);
    assert!((requested.utilisation - 2.0 / 3.5).abs() < 1e-9);
    let seen = r.methods.iter().find(|m| m.name == Name::MaxSeen).unwrap();
    assert!((seen.waste_gbh - 1.1).abs() < 1e-9);
}

#[test]
fn odd_traces_are_survived() {
    let mut text = HEADER.to_owned();
    // One row; all-equal inputs with a constant target; a killed task alone; above any node.
    text.push_str("single,COMPLETED,-,1000,5000,5000,-,-,-\n");
    for i in 0..40 {
        let _ = writeln!(
            text,
            "equal,COMPLETED,1000000,{},700000,700000,5,{},{}",
            1000 + i,
            i,
            2000 + i
        );
    }
    text.push_str("killed,FAILED,1000,1000,900,900,5,1,2\n");
    text.push_str("giant,COMPLETED,1000,1000,900000000000000,900000000000000,5,1,2\n");
    let r = run_on(&text, &Options::default());
    assert_eq!(r.rows.used, 43);
    assert_eq!(r.methods[0].tasks, 42);
    assert!(r.warnings.iter().any(|w| w.contains("lower bound")));
    for m in &r.methods {
        assert!(
            m.waste_gbh.is_finite() && m.waste_gbh >= 0.0,
            "{} {}",
            m.name,
            m.waste_gbh
        );
    }
    let equal = r.processes.iter().find(|p| p.name == "equal").unwrap();
    assert_eq!(equal.of(Name::Foreshadow).unwrap().1, 0);
}

#[test]
fn a_poisoned_history_does_not_spoil_what_follows() {
    let clean = trace(80);
    let rows: Vec<&str> = clean.lines().collect();
    let mut poisoned = rows[..120].join("\n");
    let _ = write!(
        poisoned,
        "\nline,COMPLETED,17179869184,600000,90000000000000,90000000000000,5000000000,1,1700006000000\n"
    );
    poisoned.push_str(&rows[120..].join("\n"));
    let of = |text: &str| {
        let r = run_on(text, &Options::default());
        let line = r.processes.iter().find(|p| p.name == "line").unwrap();
        line.of(Name::Foreshadow).unwrap()
    };
    let (clean, poisoned) = (of(&clean).0, of(&poisoned).0);
    // The absurd task itself costs what it costs: attempts up to 90 TB for ten minutes.
    let own = 90_000.0 * 600.0 / 3600.0 * 3.0;
    assert!(poisoned < clean * 2.0 + own, "{clean} {poisoned}");
}

#[test]
fn killed_tasks_teach_a_lower_bound() {
    let mut text = HEADER.to_owned();
    for i in 0..30 {
        let at = 10_000 * (i + 1);
        let _ = writeln!(
            text,
            "p,COMPLETED,4000000000,1000,{},1,1,{},{at}",
            1_000_000_000 + i * 1000,
            at - 1000
        );
    }
    let mut after = text.clone();
    for i in 0..10 {
        let at = 1_000_000 + 1000 * i;
        let _ = writeln!(
            after,
            "p,FAILED,4000000000,1000,{},1,1,{},{at}",
            2_000_000_000_u64 + i,
            at - 1000
        );
    }
    let memory = |text: &str| {
        let config = emit(&run_on(text, &Options::default()), Target::Sbatch);
        let at = config.find("--mem=").unwrap() + 6;
        config[at..]
            .split('M')
            .next()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    let (before, after) = (memory(&text), memory(&after));
    assert!(before < 1100 && after >= 1907, "{before} {after}");
}

#[test]
fn json_has_the_documented_shape() {
    let r = run_on(&trace(40), &Options::default());
    let v: serde_json::Value = serde_json::to_value(&r).unwrap();
    assert_eq!(v["schema"], "foreshadow.replay/1");
    assert_eq!(v["rows"]["read"], 160);
    assert!(v["rows"]["skipped"].is_object());
    let names: Vec<&str> = v["methods"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "oracle",
            "requested",
            "max-seen",
            "vpa",
            "witt",
            "tovar",
            "foreshadow"
        ]
    );
    let ours = &v["methods"][6];
    for key in [
        "waste_gbh",
        "failures",
        "tasks",
        "coverage_p80",
        "coverage_p95",
        "over_allocation",
    ] {
        assert!(ours[key].is_number(), "{key}");
    }
    let p = &v["processes"][0];
    assert_eq!(p["tasks"], 40);
    assert_eq!(p["methods"].as_array().unwrap().len(), 7);
    let sum: f64 = v["processes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["methods"][6]["waste_gbh"].as_f64().unwrap())
        .sum();
    assert!((sum / ours["waste_gbh"].as_f64().unwrap() - 1.0).abs() < 1e-9);
    assert!(v["seconds"].is_number());
}

#[test]
fn html_needs_nothing_else_and_escapes_names() {
    let text = trace(40).replace("line,", "<script>alert(1)</script>,");
    let r = run_on(&text, &Options::default());
    let page = html(&r, "a<b>.csv");
    assert!(page.contains("<svg") && page.contains("a&lt;b&gt;.csv"));
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;"));
    for outside in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    assert!(!page.contains("NaN") && !page.contains("inf"));
    let terminal = table(&r, 3);
    assert!(
        terminal.contains("foreshadow") && terminal.contains("and 1 more"),
        "{terminal}"
    );
}

#[test]
fn configurations_hold_one_entry_for_each_process() {
    let text = trace(40).replace("line,", "it's,");
    let r = run_on(&text, &Options::default());
    let nextflow = emit(&r, Target::Nextflow);
    assert!(nextflow.contains("withName: 'it\\'s'"), "{nextflow}");
    assert_eq!(nextflow.matches("withName").count(), 4);
    assert_eq!(nextflow.matches('{').count(), nextflow.matches('}').count());
    let snakemake = emit(&r, Target::Snakemake);
    assert_eq!(snakemake.matches("mem_mb:").count(), 4);
    let sbatch = emit(&r, Target::Sbatch);
    assert_eq!(sbatch.matches("#SBATCH --mem=").count(), 4);
    // The constant process gets little more than it needs.
    let at = sbatch.find("# constant").unwrap();
    let memory: f64 = sbatch[at..]
        .split("--mem=")
        .nth(1)
        .unwrap()
        .split('M')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!((3052.0..3300.0).contains(&memory), "{memory}");
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: ReplayArgs,
}

#[test]
fn the_command_writes_files_and_codes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trace.csv");
    std::fs::write(&path, trace(40)).unwrap();
    let page = dir.path().join("r.html");
    let config = dir.path().join("c.config");
    let p = |p: &std::path::Path| p.to_str().unwrap().to_owned();
    let go = |more: &[&str]| {
        let trace = p(&path);
        let all = ["replay", trace.as_str()]
            .into_iter()
            .chain(more.iter().copied());
        run(&Cli::try_parse_from(all).unwrap().args)
    };
    let (html_file, config_file) = (p(&page), p(&config));
    assert_eq!(
        go(&[
            "--html",
            &html_file,
            "--emit",
            "nextflow",
            "--emit-file",
            &config_file,
            "--shuffle",
            "3"
        ]),
        0
    );
    assert!(
        std::fs::read_to_string(&page)
            .unwrap()
            .starts_with("<!doctype html>")
    );
    assert!(
        std::fs::read_to_string(&config)
            .unwrap()
            .contains("withName")
    );
    // Nothing is left beside them.
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
    assert_eq!(go(&["--html", "/nonexistent/dir/r.html"]), 125);
    assert_eq!(go(&["--json", "--emit", "sbatch"]), 125);
    assert_eq!(go(&["--target", "nothing"]), 125);
    let missing = Cli::try_parse_from(["replay", "/nonexistent"]).unwrap();
    assert_eq!(run(&missing.args), 125);
    for bad in [
        ["--warmup", "1.5"],
        ["--format", "xml"],
        ["--methods", "magic"],
        ["--node-memory", "big"],
    ] {
        let all = ["replay", "x"].into_iter().chain(bad);
        assert!(Cli::try_parse_from(all).is_err(), "{bad:?}");
    }
}
