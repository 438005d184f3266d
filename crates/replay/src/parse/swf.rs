//! Standard Workload Format 2.2: eighteen numbers a line, -1 is missing, `;` starts a comment.
//! <https://www.cs.huji.ac.il/labs/parallel/workload/swf.html>

use std::io::BufRead;

use super::lines::Lines;
use super::{Columns, TraceError};
use crate::trace::{Task, Trace};

/// Field numbers of the standard, counted from 0, that may serve as features.
const FEATURES: [(&str, usize); 4] = [
    ("allocated_processors", 4),
    ("requested_processors", 7),
    ("requested_time", 8),
    ("user", 11),
];

pub(super) fn read<R: BufRead>(
    lines: &mut Lines<R>,
    columns: &Columns,
) -> Result<Trace, TraceError> {
    let mut trace = Trace {
        target: "used_memory".to_owned(),
        ..Trace::default()
    };
    let known = || FEATURES.map(|f| f.0).join(", ");
    let wanted: Vec<&str> = if columns.features.is_empty() {
        vec!["requested_processors", "requested_time"]
    } else {
        columns.features.iter().map(String::as_str).collect()
    };
    let mut places = Vec::new();
    for name in wanted {
        let place = FEATURES
            .iter()
            .find(|f| f.0 == name)
            .ok_or_else(|| TraceError::NoColumn {
                what: "the feature (--feature)",
                wanted: name.to_owned(),
                found: known(),
            })?;
        trace.features.push(place.0.to_owned());
        places.push(place.1);
    }
    if let Some(target) = columns.target.as_ref().filter(|t| *t != "used_memory") {
        return Err(TraceError::NoColumn {
            what: "the peak memory (--target)",
            wanted: target.clone(),
            found: "used_memory".to_owned(),
        });
    }
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with(';') {
            continue;
        }
        trace.read += 1;
        if lines.repeated() {
            trace.skip("duplicate row");
            continue;
        }
        if let Err(reason) = row(lines.current(), &places, &mut trace) {
            trace.skip(reason);
        }
    }
    Ok(trace)
}

fn row(line: &str, places: &[usize], trace: &mut Trace) -> Result<(), &'static str> {
    let mut v = [f64::NAN; 18];
    let mut count = 0;
    for (slot, text) in v.iter_mut().zip(line.split_whitespace()) {
        *slot = text.parse().map_err(|_| "a field is not a number")?;
        count += 1;
    }
    if count < 11 {
        return Err("wrong number of columns");
    }
    // -1 is missing; anything else below 0 is an error of the writer.
    let at = |i: usize| (v[i] >= 0.0 && v[i].is_finite()).then_some(v[i]);
    if v.iter()
        .take(count)
        .any(|x| x.is_infinite() || (*x < 0.0 && *x != -1.0))
    {
        return Err("a field is negative");
    }
    let processors = at(4).or(at(7)).filter(|p| *p > 0.0).unwrap_or(1.0);
    let peak = at(6).ok_or("used memory is missing")? * 1024.0 * processors;
    if peak <= 0.0 {
        return Err("used memory is 0: not measured");
    }
    if peak > 1_152_921_504_606_846_976.0 {
        return Err("used memory is absurdly large");
    }
    let seconds = at(3).ok_or("run time is missing")?;
    let complete = match v[10] {
        1.0 | -1.0 => true,
        0.0 | 5.0 => false,
        _ => return Err("a part of a job that was checkpointed"),
    };
    let submitted = at(1);
    let started = submitted.map(|s| s + at(2).unwrap_or(0.0));
    let name = match (at(13), at(11), at(12)) {
        (Some(e), Some(u), _) => format!("user {u} executable {e}"),
        (Some(e), None, _) => format!("executable {e}"),
        (None, Some(u), _) => format!("user {u}"),
        (None, None, Some(g)) => format!("group {g}"),
        _ => "all".to_owned(),
    };
    let process = trace.process(&name);
    trace
        .values
        .extend(places.iter().map(|i| at(*i).unwrap_or(f64::NAN)));
    trace.tasks.push(Task {
        process,
        peak,
        seconds,
        requested: at(9)
            .filter(|r| *r > 0.0)
            .map(|r| r * 1024.0 * at(7).unwrap_or(processors)),
        ended: started.map(|s| s + seconds),
        started,
        #[expect(clippy::cast_possible_truncation, reason = "a share of cores")]
        cores: at(5)
            .filter(|_| seconds > 0.0)
            .map(|cpu| (cpu * processors / seconds) as f32),
        complete,
    });
    Ok(())
}
