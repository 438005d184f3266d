//! `sacct --parsable2`: one line for a job and one for each of its steps, which are put together.
//! The peak is the largest of the steps, the request is the job's.

use std::borrow::Cow;
use std::io::BufRead;

use super::lines::{Lines, split};
use super::units::{Bad, bytes, clock_seconds, number, time};
use super::{Columns, TraceError, find, need};
use crate::trace::{Task, Trace};

struct Places {
    id: usize,
    name: usize,
    peak: usize,
    elapsed: usize,
    state: Option<usize>,
    request: Option<usize>,
    cpus: Option<usize>,
    nodes: Option<usize>,
    start: Option<usize>,
    end: Option<usize>,
    features: Vec<usize>,
}

/// A job while its lines come in.
#[derive(Default)]
struct Job {
    base: String,
    name: String,
    state: String,
    peak: Option<f64>,
    /// What was wrong with a peak, where there is no other.
    bad: Option<Bad>,
    seconds: Option<Result<f64, Bad>>,
    requested: Option<f64>,
    started: Option<f64>,
    ended: Option<f64>,
    values: Vec<f64>,
}

pub(super) fn read<R: BufRead>(
    lines: &mut Lines<R>,
    columns: &Columns,
) -> Result<Trace, TraceError> {
    let Some(header) = lines.next() else {
        return Err(TraceError::Empty);
    };
    let mut fields = Vec::new();
    split(header.trim_start_matches('\u{feff}'), '|', &mut fields);
    let header: Vec<String> = fields.iter().map(|f| f.trim().to_owned()).collect();
    let peak = match &columns.target {
        Some(t) => need(&header, &[t], "the peak memory (--target)")?,
        None => need(&header, &["MaxRSS"], "the peak memory")?,
    };
    let mut features = Vec::new();
    if columns.features.is_empty() {
        features.extend(find(&header, &["MaxDiskRead", "AveDiskRead"]));
    }
    for name in &columns.features {
        features.push(need(&header, &[name], "the feature (--feature)")?);
    }
    let at = Places {
        id: need(&header, &["JobID", "JobIDRaw"], "the job")?,
        name: need(&header, &["JobName", "JobID"], "the process")?,
        peak,
        elapsed: need(&header, &["ElapsedRaw", "Elapsed"], "the run time")?,
        state: find(&header, &["State"]),
        request: find(&header, &["ReqMem"]),
        cpus: find(&header, &["AllocCPUS", "ReqCPUS", "NCPUS"]),
        nodes: find(&header, &["AllocNodes", "NNodes", "ReqNodes"]),
        start: find(&header, &["Start"]),
        end: find(&header, &["End"]),
        features,
    };
    let mut trace = Trace {
        features: at.features.iter().map(|i| header[*i].clone()).collect(),
        target: header[at.peak].clone(),
        ..Trace::default()
    };
    let mut job: Option<Job> = None;
    while lines.next().is_some() {
        if lines.repeated() {
            trace.read += 1;
            trace.skip("duplicate row");
            continue;
        }
        let mut fields = Vec::with_capacity(header.len());
        split(lines.current(), '|', &mut fields);
        if fields.len() != header.len() {
            trace.read += 1;
            trace.skip("wrong number of columns");
            continue;
        }
        let id = fields[at.id].as_ref();
        let base = id.split('.').next().unwrap_or(id);
        if job.as_ref().is_none_or(|j| j.base != base) {
            if let Some(done) = job.take() {
                finish(done, &mut trace);
            }
            job = Some(Job {
                base: base.to_owned(),
                values: vec![f64::NAN; at.features.len()],
                ..Job::default()
            });
        }
        if let Some(job) = &mut job {
            add(job, &fields, &at, id.contains('.'));
        }
    }
    if let Some(done) = job.take() {
        finish(done, &mut trace);
    }
    Ok(trace)
}

fn add(job: &mut Job, fields: &[Cow<'_, str>], at: &Places, step: bool) {
    let cell = |i: usize| fields[i].as_ref();
    if !step || job.name.is_empty() {
        cell(at.name).clone_into(&mut job.name);
        job.state = at.state.map_or(String::new(), |i| cell(i).to_owned());
        job.seconds = Some(clock_seconds(cell(at.elapsed)));
        job.started = at.start.and_then(|i| time(cell(i)));
        job.ended = at.end.and_then(|i| time(cell(i)));
    }
    if job.requested.is_none() {
        job.requested = at.request.and_then(|i| request(cell(i), fields, at));
    }
    match bytes(cell(at.peak)) {
        Ok(peak) => job.peak = Some(job.peak.map_or(peak, |p| p.max(peak))),
        Err(bad) if bad != Bad::Missing => job.bad = Some(bad),
        Err(_) => {}
    }
    for (value, i) in job.values.iter_mut().zip(&at.features) {
        if let Ok(v) = bytes(cell(*i)) {
            *value = value.max(v);
        }
    }
}

/// `4G` or `4000M` for the job; older ones `4Gc` for each core, `4Gn` for each node.
fn request(text: &str, fields: &[Cow<'_, str>], at: &Places) -> Option<f64> {
    let count = |i: Option<usize>| {
        i.and_then(|i| number(fields[i].as_ref()).ok())
            .filter(|n| *n >= 1.0)
            .unwrap_or(1.0)
    };
    let (text, times) = match text.strip_suffix('c') {
        Some(t) => (t, count(at.cpus)),
        None => match text.strip_suffix('n') {
            Some(t) => (t, count(at.nodes)),
            None => (text, 1.0),
        },
    };
    bytes(text).ok().map(|b| b * times).filter(|b| *b > 0.0)
}

fn finish(job: Job, trace: &mut Trace) {
    trace.read += 1;
    let state = job.state.split_whitespace().next().unwrap_or("");
    let complete = match state {
        "" | "COMPLETED" => true,
        "RUNNING" | "PENDING" | "SUSPENDED" | "REQUEUED" | "RESIZING" => {
            return trace.skip("state says the job has not finished");
        }
        _ => false,
    };
    let peak = match (job.peak, job.bad) {
        (Some(p), _) if p > 0.0 => p,
        (Some(_), _) => return trace.skip("MaxRSS is 0: not measured"),
        (None, bad) => return trace.skip(&bad.unwrap_or(Bad::Missing).reason("MaxRSS")),
    };
    let seconds = match job.seconds.unwrap_or(Err(Bad::Missing)) {
        Ok(s) => s,
        Err(bad) => return trace.skip(&bad.reason("Elapsed")),
    };
    let process = trace.process(if job.name.is_empty() {
        "all"
    } else {
        &job.name
    });
    trace.values.extend(job.values);
    trace.tasks.push(Task {
        process,
        peak,
        seconds,
        requested: job.requested,
        ended: job.ended,
        started: job.started,
        cores: None,
        complete,
    });
}
