//! Outcomes of this program (`foreshadow.outcome/1`), one JSON object a line or an array of them,
//! and its history (`foreshadow.history/1`), one object over many lines.

use std::io::BufRead;

use serde::Deserialize;

use super::lines::Lines;
use super::{Columns, TraceError};
use crate::trace::{Task, Trace};

#[derive(Deserialize)]
struct Outcome {
    #[serde(default)]
    command: Vec<String>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    exit_code: Option<i64>,
    #[serde(default)]
    signal: Option<serde_json::Value>,
    #[serde(default)]
    cause_of_death: Option<String>,
    #[serde(default, alias = "started")]
    started_at: Option<String>,
    #[serde(default, alias = "ended")]
    finished_at: Option<String>,
    #[serde(default)]
    input_bytes: Option<f64>,
    #[serde(default)]
    reservation: Option<Reservation>,
    #[serde(default)]
    inputs: Option<Vec<Input>>,
    #[serde(default)]
    prediction: Option<Predicted>,
    actual: Option<Actual>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Document {
    List(Vec<serde_json::Value>),
    History { tasks: Vec<serde_json::Value> },
}

#[derive(Deserialize)]
struct Predicted {
    #[serde(default)]
    inputs: Option<Vec<Input>>,
}

#[derive(Deserialize)]
struct Input {
    #[serde(default)]
    bytes: Option<f64>,
}

#[derive(Deserialize)]
struct Reservation {
    #[serde(default)]
    memory_bytes: Option<f64>,
}

#[derive(Deserialize)]
struct Actual {
    #[serde(default)]
    peak_memory_bytes: Option<f64>,
    #[serde(default)]
    cpu_seconds: Option<f64>,
    #[serde(default)]
    wall_seconds: Option<f64>,
    #[serde(default)]
    read_bytes: Option<f64>,
}

/// Names of what may serve as a feature.
const FEATURES: [&str; 2] = ["input_bytes", "read_bytes"];

pub(super) fn read<R: BufRead>(
    lines: &mut Lines<R>,
    columns: &Columns,
) -> Result<Trace, TraceError> {
    if let Some(target) = columns
        .target
        .as_ref()
        .filter(|t| *t != "peak_memory_bytes")
    {
        return Err(TraceError::NoColumn {
            what: "the peak memory (--target)",
            wanted: target.clone(),
            found: "peak_memory_bytes".to_owned(),
        });
    }
    let mut trace = Trace {
        target: "peak_memory_bytes".to_owned(),
        ..Trace::default()
    };
    if columns.features.is_empty() {
        trace.features.push("input_bytes".to_owned());
    }
    for name in &columns.features {
        if !FEATURES.contains(&name.as_str()) {
            return Err(TraceError::NoColumn {
                what: "the feature (--feature)",
                wanted: name.clone(),
                found: FEATURES.join(", "),
            });
        }
        trace.features.push(name.clone());
    }
    let one_document = lines
        .peek()?
        .is_some_and(|l| l.trim_start().starts_with('[') || l.trim() == "{");
    if one_document {
        let mut text = String::new();
        while let Some(line) = lines.next() {
            text.push_str(line);
            text.push('\n');
        }
        match serde_json::from_str::<Document>(&text) {
            Ok(Document::List(all) | Document::History { tasks: all }) => {
                for value in all {
                    take(serde_json::from_value(value), &mut trace);
                }
            }
            Err(_) => {
                trace.read += 1;
                trace.skip("not JSON");
            }
        }
        return Ok(trace);
    }
    while lines.next().is_some() {
        if lines.repeated() {
            trace.read += 1;
            trace.skip("duplicate row");
            continue;
        }
        take(serde_json::from_str(lines.current()), &mut trace);
    }
    Ok(trace)
}

fn take(outcome: Result<Outcome, serde_json::Error>, trace: &mut Trace) {
    trace.read += 1;
    match outcome {
        Err(e) if e.is_data() => trace.skip("not an outcome"),
        Err(_) => trace.skip("not JSON"),
        Ok(outcome) => {
            if let Err(reason) = row(&outcome, trace) {
                trace.skip(reason);
            }
        }
    }
}

fn row(o: &Outcome, trace: &mut Trace) -> Result<(), &'static str> {
    let actual = o.actual.as_ref().ok_or("actual is missing")?;
    let peak = actual
        .peak_memory_bytes
        .ok_or("peak_memory_bytes is missing")?;
    if !(peak > 0.0 && peak < 1_152_921_504_606_846_976.0) {
        return Err("peak_memory_bytes is not positive, or absurdly large");
    }
    let seconds = actual.wall_seconds.ok_or("wall_seconds is missing")?;
    if !(seconds >= 0.0 && seconds.is_finite()) {
        return Err("wall_seconds is negative");
    }
    let name = match (&o.signature, o.command.first()) {
        (Some(s), _) => s.as_str(),
        (None, Some(c)) => c.rsplit('/').next().unwrap_or(c),
        (None, None) => return Err("command is missing"),
    };
    let inputs = o
        .inputs
        .as_ref()
        .or(o.prediction.as_ref().and_then(|p| p.inputs.as_ref()));
    let input_bytes = inputs.and_then(|i| {
        i.iter()
            .map(|i| i.bytes)
            .collect::<Option<Vec<f64>>>()
            .map(|b| b.iter().sum::<f64>())
    });
    let input_bytes = o.input_bytes.or(input_bytes);
    let process = trace.process(name);
    let values: Vec<f64> = trace
        .features
        .iter()
        .map(|f| {
            if f == "input_bytes" {
                input_bytes
            } else {
                actual.read_bytes
            }
        })
        .map(|v| v.unwrap_or(f64::NAN))
        .collect();
    trace.values.extend(values);
    let at = |s: &Option<String>| s.as_deref().and_then(super::units::timestamp);
    trace.tasks.push(Task {
        process,
        peak,
        seconds,
        requested: o
            .reservation
            .as_ref()
            .and_then(|r| r.memory_bytes)
            .filter(|r| *r > 0.0 && r.is_finite()),
        ended: at(&o.finished_at),
        started: at(&o.started_at),
        #[expect(clippy::cast_possible_truncation, reason = "a share of cores")]
        cores: actual
            .cpu_seconds
            .filter(|_| seconds > 0.0)
            .map(|cpu| (cpu / seconds) as f32),
        complete: o.cause_of_death.is_none()
            && o.signal.as_ref().is_none_or(serde_json::Value::is_null)
            && o.exit_code.is_none_or(|c| c == 0),
    });
    Ok(())
}
