//! What was learned, as configuration for workflow engines and Slurm.

use std::fmt::Write;
use std::str::FromStr;

use crate::report::{ProcessReport, Report};

/// A kind of configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A Nextflow configuration with one `withName` selector per process.
    Nextflow,
    /// `set-resources` and `set-threads` of a Snakemake profile.
    Snakemake,
    /// `#SBATCH` lines per process.
    Sbatch,
}

impl FromStr for Target {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "nextflow" => Ok(Target::Nextflow),
            "snakemake" => Ok(Target::Snakemake),
            "sbatch" => Ok(Target::Sbatch),
            _ => Err(format!("'{s}' is not nextflow, snakemake or sbatch")),
        }
    }
}

/// Memory, time and cores of one process, in the units of configuration files.
struct Row<'a> {
    name: &'a str,
    tasks: u64,
    mib: u64,
    minutes: u64,
    cores: Option<u64>,
}

impl<'a> Row<'a> {
    /// None where nothing was forecast for the process.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive and rounded up; the cast saturates"
    )]
    fn new(p: &ProcessReport<'a>) -> Option<Self> {
        let last = p.last;
        (last.allocation > 0.0).then(|| Row {
            name: p.name,
            tasks: last.tasks,
            mib: (last.allocation / 1_048_576.0).ceil() as u64,
            // A limit on time kills: half as long again as the longest run.
            minutes: (last.longest * 1.5 / 60.0).ceil().max(1.0) as u64,
            cores: last.cores.map(|c| c.ceil().max(1.0) as u64),
        })
    }
}

/// The largest allocation for recent tasks of each process, in the form of `target`. A
/// configuration can't look at the inputs of a single task: a forecast at run time wastes less.
pub fn emit(report: &Report, target: Target) -> String {
    let mut out = String::new();
    // Writing to a string can't fail.
    let _ = write_rows(&mut out, report, target);
    out
}

fn write_rows(out: &mut String, report: &Report, target: Target) -> std::fmt::Result {
    let rows: Vec<_> = report.processes.iter().collect();
    let rows: Vec<Row<'_>> = rows.iter().filter_map(Row::new).collect();
    let comment = if target == Target::Nextflow {
        "//"
    } else {
        "#"
    };
    writeln!(
        out,
        "{comment} From {} finished tasks: the largest allocation among recent ones, half as long again as the longest run.",
        report.rows.used
    )?;
    match target {
        Target::Nextflow => nextflow(out, &rows),
        Target::Snakemake => snakemake(out, &rows),
        Target::Sbatch => sbatch(out, &rows),
    }
}

fn nextflow(out: &mut String, rows: &[Row<'_>]) -> std::fmt::Result {
    writeln!(out, "process {{")?;
    for r in rows {
        let name: String = printable(r.name).replace('\\', "\\\\").replace('\'', "\\'");
        writeln!(out, "    withName: '{name}' {{ // {} tasks", r.tasks)?;
        writeln!(out, "        memory = {{ {}.MB * task.attempt }}", r.mib)?;
        writeln!(out, "        time = {{ {}.min * task.attempt }}", r.minutes)?;
        if let Some(c) = r.cores {
            writeln!(out, "        cpus = {c}")?;
        }
        writeln!(out, "    }}")?;
    }
    writeln!(out, "}}")
}

fn snakemake(out: &mut String, rows: &[Row<'_>]) -> std::fmt::Result {
    // A JSON string is a YAML string.
    let quoted = |name: &str| serde_json::Value::from(name).to_string();
    writeln!(out, "set-resources:")?;
    for r in rows {
        writeln!(out, "  {}:", quoted(r.name))?;
        // Some executors read this as 10^6 bytes, some as 2^20: rounded up to hold either way.
        writeln!(
            out,
            "    mem_mb: {}",
            (r.mib * 1_048_576).div_ceil(1_000_000)
        )?;
        writeln!(out, "    runtime: {}", r.minutes)?;
    }
    if rows.iter().any(|r| r.cores.is_some()) {
        writeln!(out, "set-threads:")?;
    }
    for r in rows {
        if let Some(c) = r.cores {
            writeln!(out, "  {}: {c}", quoted(r.name))?;
        }
    }
    Ok(())
}

fn sbatch(out: &mut String, rows: &[Row<'_>]) -> std::fmt::Result {
    for r in rows {
        writeln!(out, "\n# {} ({} tasks)", printable(r.name), r.tasks)?;
        // Slurm's M is 1024² bytes; time in minutes.
        writeln!(out, "#SBATCH --mem={}M", r.mib)?;
        writeln!(out, "#SBATCH --time={}", r.minutes)?;
        if let Some(c) = r.cores {
            writeln!(out, "#SBATCH --cpus-per-task={c}")?;
        }
    }
    Ok(())
}

/// Names come from a file of someone's: a line break in one must not become a line of its own.
fn printable(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
