//! `foreshadow replay`: arguments and what is printed.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use foreshadow_quantity::Bytes;

use crate::emit::Target;
use crate::methods::Name;
use crate::parse::{Columns, Format, TraceError};
use crate::simulate::Protocol;
use crate::{Options, Report};

/// Exit code for a failure of our own, as in `timeout(1)`.
const FAILED: u8 = 125;

/// What would have been saved: play a trace of finished tasks against several ways to size them
///
/// Traces of Nextflow, sacct (Slurm), the Standard Workload Format and `foreshadow history --json`
/// are understood. Every task is sized by each method from what was known before it; what it
/// really used then tells the waste, and how often it would have been killed.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = "EXAMPLES:
  foreshadow replay trace.txt
  sacct -aP --format=ALL | foreshadow replay - --html report.html
  foreshadow replay trace.txt --emit nextflow --emit-file memory.config
  foreshadow history --json | foreshadow replay - --json")]
pub struct ReplayArgs {
    /// The trace, compressed with gzip or not; - reads standard input
    pub trace: PathBuf,

    /// Its format: nextflow, sacct, swf or foreshadow [default: found from the content]
    #[arg(long)]
    pub format: Option<Format>,

    /// Columns to forecast from, separated by commas [default: rchar, MaxDiskRead, ... by format]
    #[arg(long, value_delimiter = ',', value_name = "COLUMN")]
    pub feature: Vec<String>,

    /// Column with the peak memory [default: peak_rss, or rss with --shuffle, for Nextflow]
    #[arg(long, value_name = "COLUMN")]
    pub target: Option<String>,

    /// Play each process in a random order of its own, as the Sizey paper does (processes with
    /// fewer than 34 tasks, or with one of run time 0, are left out then)
    #[arg(long, value_name = "SEED")]
    pub shuffle: Option<u64>,

    /// Share of each process that is only learned from [default: 0.3 with --shuffle, else 0]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub warmup: Option<f64>,

    /// Leave out processes with fewer tasks [default: 34 with --shuffle, else 1]
    #[arg(long, value_name = "N")]
    pub min_tasks: Option<usize>,

    /// Methods to compare, separated by commas; witt-regression may be added
    #[arg(long, value_delimiter = ',', value_name = "NAME",
          default_values_t = Name::USUAL)]
    pub methods: Vec<Name>,

    /// Memory of a node: the most that can be allocated
    #[arg(long, value_name = "SIZE", default_value = "128GB")]
    pub node_memory: Bytes,

    /// What a task gets of which nothing is known, not even a request
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    pub default_memory: Bytes,

    /// Write a report with charts to this file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,

    /// Print the report as JSON (foreshadow.replay/1)
    #[arg(long)]
    pub json: bool,

    /// Write what was learned as configuration: nextflow, snakemake or sbatch
    #[arg(long, value_name = "KIND")]
    pub emit: Option<Target>,

    /// Where to [default: standard output; the table goes to standard error then]
    #[arg(long, value_name = "FILE", requires = "emit")]
    pub emit_file: Option<PathBuf>,

    /// Processes to show in the table
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub top: usize,
}

fn share(s: &str) -> Result<f64, String> {
    match s.parse::<f64>() {
        Ok(x) if (0.0..1.0).contains(&x) => Ok(x),
        _ => Err("a share is a number from 0 to below 1, such as 0.3".to_owned()),
    }
}

/// What went wrong, with the file it is about.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{path}: {error}")]
    Open { path: String, error: io::Error },
    #[error("{path}: {error}")]
    Trace { path: String, error: TraceError },
    #[error("can't write {path}: {error}")]
    Write { path: String, error: io::Error },
    #[error("--json and --emit both want standard output: name a file with --emit-file")]
    TwoOutputs,
}

/// Runs the command; returns its exit code. Reports go to standard output or the files asked for,
/// errors to standard error.
pub fn run(args: &ReplayArgs) -> u8 {
    match execute(args, &mut io::stdout().lock(), &mut io::stderr().lock()) {
        Ok(()) => 0,
        Err(Failure::Write { error, .. }) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(failure) => {
            // With standard error gone there is nowhere left to complain.
            let _ = writeln!(io::stderr(), "foreshadow replay: {failure}");
            FAILED
        }
    }
}

impl ReplayArgs {
    /// The options of the library for these arguments.
    pub fn options(&self) -> Options {
        let shuffled = self.shuffle.is_some();
        let mut methods = self.methods.clone();
        let mut seen = Vec::new();
        methods.retain(|m| {
            !seen.contains(m) && {
                seen.push(*m);
                true
            }
        });
        Options {
            columns: Columns {
                format: self.format,
                features: self.feature.clone(),
                target: self.target.clone(),
                prefer_rss: shuffled,
            },
            protocol: Protocol {
                shuffle: self.shuffle,
                warmup: self.warmup.unwrap_or(if shuffled { 0.3 } else { 0.0 }),
                least_tasks: self.min_tasks.unwrap_or(if shuffled { 34 } else { 1 }),
                whole_processes: shuffled,
            },
            methods,
            limits: crate::methods::Limits {
                node: self.node_memory.as_f64(),
                unknown: self.default_memory.as_f64(),
            },
        }
    }
}

fn execute(args: &ReplayArgs, out: &mut impl Write, err: &mut impl Write) -> Result<(), Failure> {
    if args.json && args.emit.is_some() && args.emit_file.is_none() {
        return Err(Failure::TwoOutputs);
    }
    let path = args.trace.display().to_string();
    let input: Box<dyn Read> = if args.trace.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(&args.trace).map_err(|error| Failure::Open {
            path: path.clone(),
            error,
        })?;
        Box::new(file)
    };
    let report = crate::replay(input, &args.options()).map_err(|error| Failure::Trace {
        path: path.clone(),
        error,
    })?;
    if let Some(file) = &args.html {
        let name = args
            .trace
            .file_name()
            .map_or(path.clone(), |n| n.to_string_lossy().into());
        write_file(file, crate::html(&report, &name).as_bytes())?;
    }
    let config = args.emit.map(|target| crate::emit(&report, target));
    let std_out = |error| Failure::Write {
        path: "standard output".to_owned(),
        error,
    };
    match (&config, &args.emit_file) {
        (Some(text), Some(file)) => write_file(file, text.as_bytes())?,
        (Some(text), None) => {
            out.write_all(text.as_bytes())
                .and_then(|()| out.flush())
                .map_err(std_out)?;
            // The table is an addition here: with standard error closed the result stands.
            let _ = err.write_all(crate::table(&report, args.top).as_bytes());
            return Ok(());
        }
        (None, _) => {}
    }
    if args.json {
        write_json(&report, out)
    } else {
        out.write_all(crate::table(&report, args.top).as_bytes())
            .and_then(|()| out.flush())
    }
    .map_err(std_out)
}

fn write_json(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let mut out = io::BufWriter::new(out);
    serde_json::to_writer(&mut out, report).map_err(io::Error::from)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Whole or not at all: into a neighbour first, then renamed. What is no regular file (a pipe,
/// `/dev/stdout`) is written to directly.
fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error| Failure::Write {
        path: path.display().to_string(),
        error,
    };
    if path.exists() && !path.is_file() {
        return std::fs::write(path, bytes).map_err(failed);
    }
    let Some(name) = path.file_name() else {
        return Err(failed(io::Error::from(io::ErrorKind::InvalidFilename)));
    };
    let mut temporary = name.to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(temporary);
    let done = std::fs::write(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, path));
    if done.is_err() {
        // Best effort: the error of the write is the one to tell.
        let _ = std::fs::remove_file(&temporary);
    }
    done.map_err(failed)
}
