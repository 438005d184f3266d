//! Nextflow traces: tab- or comma-separated, columns by header.

use std::io::BufRead;

use super::lines::{Lines, split};
use super::units::{Bad, bytes, nextflow_seconds, number, time};
use super::{Columns, TraceError, find, need};
use crate::trace::{Task, Trace};

struct Places {
    process: usize,
    status: Option<usize>,
    peak: usize,
    peak_name: String,
    realtime: Option<usize>,
    memory: Option<usize>,
    start: Option<usize>,
    complete: Option<usize>,
    cpu: Option<usize>,
    features: Vec<usize>,
}

pub(super) fn read<R: BufRead>(
    lines: &mut Lines<R>,
    columns: &Columns,
) -> Result<Trace, TraceError> {
    let Some(header) = lines.next() else {
        return Err(TraceError::Empty);
    };
    let delimiter = if header.contains('\t') { '\t' } else { ',' };
    let mut fields = Vec::new();
    split(
        header.trim_start_matches('\u{feff}'),
        delimiter,
        &mut fields,
    );
    let header: Vec<String> = fields.iter().map(|f| f.trim().to_owned()).collect();
    let mut trace = Trace::default();
    let places = places(&header, columns, &mut trace)?;
    while lines.next().is_some() {
        trace.read += 1;
        if lines.repeated() {
            trace.skip("duplicate row");
            continue;
        }
        let mut fields = Vec::with_capacity(header.len());
        split(lines.current(), delimiter, &mut fields);
        if fields.len() != header.len() {
            trace.skip("wrong number of columns");
            continue;
        }
        if let Err(reason) = row(&fields, &places, &mut trace) {
            trace.skip(&reason);
        }
    }
    Ok(trace)
}

fn places(header: &[String], columns: &Columns, trace: &mut Trace) -> Result<Places, TraceError> {
    let peak = match &columns.target {
        Some(t) => need(header, &[t], "the peak memory (--target)")?,
        None if columns.prefer_rss => need(header, &["rss", "peak_rss"], "the peak memory")?,
        None => need(
            header,
            &["peak_rss", "rss", "peak_memory", "max_rss"],
            "the peak memory",
        )?,
    };
    let mut features = Vec::new();
    if columns.features.is_empty() {
        if let Some(i) = find(header, &["input_size", "input_bytes", "rchar"]) {
            features.push(i);
        }
    } else {
        for name in &columns.features {
            features.push(need(header, &[name], "the feature (--feature)")?);
        }
    }
    trace.target.clone_from(&header[peak]);
    trace.features = features.iter().map(|i| header[*i].clone()).collect();
    let realtime = find(header, &["realtime", "duration"]);
    let (start, complete) = (find(header, &["start"]), find(header, &["complete", "end"]));
    if realtime.is_none() && (start.is_none() || complete.is_none()) {
        need(header, &["realtime", "duration"], "the run time")?;
    }
    Ok(Places {
        process: need(header, &["process", "name", "task"], "the process")?,
        status: find(header, &["status", "state"]),
        peak_name: header[peak].clone(),
        peak,
        realtime,
        memory: find(header, &["memory", "requested_memory"]),
        start,
        complete,
        cpu: find(header, &["%cpu"]),
        features,
    })
}

fn row(fields: &[std::borrow::Cow<'_, str>], at: &Places, trace: &mut Trace) -> Result<(), String> {
    let cell = |i: usize| fields[i].as_ref();
    let name = cell(at.process).trim();
    if name.is_empty() || name == "-" {
        return Err("process is missing".to_owned());
    }
    let complete = match at.status.map(cell).map(str::trim) {
        None | Some("COMPLETED" | "CACHED" | "" | "-") => true,
        Some("FAILED" | "ABORTED" | "KILLED" | "ERROR") => false,
        Some(_) => return Err("status says the task has not finished".to_owned()),
    };
    let peak = bytes(cell(at.peak)).map_err(|b| b.reason(&at.peak_name))?;
    if peak == 0.0 {
        return Err(format!("{} is 0: not measured", at.peak_name));
    }
    let started = at.start.and_then(|i| time(cell(i)));
    let ended = at.complete.and_then(|i| time(cell(i)));
    let seconds = at
        .realtime
        .map_or(Err(Bad::Missing), |i| nextflow_seconds(cell(i)));
    let seconds = match (seconds, started, ended) {
        (Ok(s), _, _) => s,
        (Err(Bad::Missing), Some(s), Some(e)) if e >= s => e - s,
        (Err(Bad::Missing), Some(_), Some(_)) => {
            return Err("run time is missing, and it ended before it started".to_owned());
        }
        (Err(bad), _, _) => return Err(bad.reason("run time")),
    };
    let requested = match at.memory.map_or(Err(Bad::Missing), |i| bytes(cell(i))) {
        Ok(b) if b > 0.0 => Some(b),
        Ok(_) | Err(Bad::Missing) => None,
        Err(bad) => return Err(bad.reason("memory")),
    };
    let cores = at.cpu.and_then(|i| number(cell(i)).ok()).map(|p| p / 100.0);
    let process = trace.process(name);
    for i in &at.features {
        // A feature that can't be read is missing; the task is still of use.
        trace.values.push(bytes(cell(*i)).unwrap_or(f64::NAN));
    }
    trace.tasks.push(Task {
        process,
        peak,
        seconds,
        requested,
        ended,
        started,
        #[expect(clippy::cast_possible_truncation, reason = "a share of cores")]
        cores: cores.filter(|c| *c >= 0.0).map(|c| c as f32),
        complete,
    });
    Ok(())
}
