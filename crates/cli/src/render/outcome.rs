//! The comparison at the end of `run`.

use foreshadow_engine::contract::{Actual, Adjustment, CauseOfDeath, Levels, Outcome};
use foreshadow_quantity::Bytes;

use super::amount::{Unit, cores_option, seconds};
use super::predict::resources;
use super::table::{Cell, table, table_width};
use super::text::wrap;
use crate::term::{Paint, Style};

const MOST_ADJUSTMENTS: usize = 5;

/// The comparison in a few lines; with `verbose`, of all resources.
pub(crate) fn report(outcome: &Outcome, style: &Style, verbose: bool) -> String {
    let mut out = wrap("foreshadow: ", &ending(outcome), style.width);
    if let Some(reason) = outcome
        .prediction
        .as_ref()
        .and_then(|p| p.abstained.as_ref())
    {
        let text = format!("nothing was predicted: {reason}");
        out.push_str(&wrap("  ", &text, style.width));
    }
    out.push_str(&comparison(outcome, style, verbose));
    let limits = limits(outcome);
    if !limits.is_empty() {
        out.push_str(&wrap("  ", &limits, style.width));
    }
    for a in outcome.adjustments.iter().take(MOST_ADJUSTMENTS) {
        out.push_str(&wrap("  ", &change(a), style.width));
    }
    if let Some(more) = outcome.adjustments.len().checked_sub(MOST_ADJUSTMENTS)
        && more > 0
    {
        out.push_str(&format!("  and {more} more changes of limits\n"));
    }
    for alert in &outcome.alerts {
        out.push_str(&wrap("  ", &alert.message, style.width));
    }
    out
}

/// How it ended, and by whose hand.
fn ending(outcome: &Outcome) -> String {
    let time = outcome
        .actual
        .wall_seconds
        .map(|s| format!(" after {}", seconds(s)))
        .unwrap_or_default();
    let how = match (outcome.signal, outcome.exit_code) {
        (Some(signal), _) => format!("killed by signal {signal}{time}"),
        (None, Some(0)) => format!("done{time}"),
        (None, Some(code)) => format!("ended with exit code {code}{time}"),
        (None, None) => format!("ended{time}"),
    };
    let why = match outcome.cause_of_death {
        None => return format!("{how}."),
        Some(CauseOfDeath::OomCgroup) => {
            let limit = outcome
                .reservation
                .and_then(|r| r.memory_bytes)
                .map(|b| format!(" ({b} at its start)"))
                .unwrap_or_default();
            format!(
                "it reached its own memory limit{limit}. Give it more with: foreshadow run \
                 --memory SIZE"
            )
        }
        Some(CauseOfDeath::OomHost) => {
            "the machine, or a group around the command, ran out of memory; it was not the \
             command's own limit"
                .to_owned()
        }
        Some(CauseOfDeath::Limit) => "it reached a limit other than that of memory".to_owned(),
        Some(CauseOfDeath::Signal) => {
            "the signal came from elsewhere, or from a fault of the command, not from a limit"
                .to_owned()
        }
    };
    format!("{how}: {why}.")
}

fn measured(actual: &Actual) -> [Option<f64>; 8] {
    let bytes = |b: Option<Bytes>| b.map(Bytes::as_f64);
    // The predicted cores are the most that are busy at once; this is their mean. It is shown,
    // but not compared.
    let cores = match (actual.cpu_seconds, actual.wall_seconds) {
        (Some(cpu), Some(wall)) if wall > 0.0 => Some(cpu / wall),
        _ => None,
    };
    [
        bytes(actual.peak_memory_bytes),
        actual.cpu_seconds,
        actual.wall_seconds,
        cores,
        bytes(actual.read_bytes),
        bytes(actual.write_bytes),
        bytes(actual.page_cache_peak_bytes),
        bytes(actual.network_bytes),
    ]
}

fn comparison(outcome: &Outcome, style: &Style, verbose: bool) -> String {
    let predicted: [Option<Levels>; 8] = outcome
        .prediction
        .as_ref()
        .map(|p| p.prediction.named().map(|(_, levels)| levels))
        .unwrap_or_default();
    let compared = predicted.iter().any(Option::is_some);
    let build = |interval: bool| {
        let mut rows = Vec::new();
        if compared {
            let mut header = vec![Cell::left(""), Cell::right("predicted")];
            header.extend(interval.then(|| Cell::right("8 in 10 runs")));
            header.push(Cell::right("was"));
            rows.push(header.into_iter().map(|c| c.paint(Paint::Dim)).collect());
        }
        let resources = resources().into_iter().zip(measured(&outcome.actual));
        for (((name, unit), actual), levels) in
            resources.zip(predicted).take(if verbose { 8 } else { 3 })
        {
            let mut row = vec![Cell::left(name)];
            if compared {
                let (likely, range) = levels.map_or_else(
                    || ("?".to_owned(), String::new()),
                    |l| (unit.show(l.p50), unit.range(l.p10, l.p90, style.unicode)),
                );
                row.push(Cell::right(likely));
                row.extend(interval.then(|| Cell::right(range)));
            }
            let shown = actual.map_or_else(|| "?".to_owned(), |v| unit.show(v));
            row.push(Cell::right(shown).paint(Paint::Bold));
            if let (Some(levels), Some(actual)) = (levels, actual)
                && unit != Unit::Cores
            {
                row.push(verdict(levels, actual));
            }
            rows.push(row);
        }
        rows
    };
    let full: Vec<Vec<Cell>> = build(true);
    if table_width(&full, 2) <= style.width {
        return table(&full, 2, style);
    }
    // Without the interval: the verdict says enough of it.
    table(&build(false), 2, style)
}

fn verdict(levels: Levels, actual: f64) -> Cell {
    if levels.holds(actual) {
        Cell::left("within").paint(Paint::Good)
    } else if actual < levels.p10 {
        Cell::left("below").paint(Paint::Bad)
    } else {
        Cell::left("above").paint(Paint::Bad)
    }
}

fn limits(outcome: &Outcome) -> String {
    let Some(reservation) = outcome.reservation else {
        return String::new();
    };
    let memory = reservation
        .memory_bytes
        .map(|memory| format!("{memory} of memory"));
    let cores = reservation
        .cores
        .map(|cores| match cores_option(cores).as_str() {
            "1" => "1 core".to_owned(),
            n => format!("{n} cores"),
        });
    let time = reservation.time_limit_seconds.map(seconds);
    let parts: Vec<String> = [memory, cores, time].into_iter().flatten().collect();
    if parts.is_empty() {
        String::new()
    } else {
        format!("given: {}", parts.join(", "))
    }
}

fn change(a: &Adjustment) -> String {
    let unit = if a.resource.contains("core") || a.resource.contains("cpu") {
        Unit::Cores
    } else if a.resource.contains("second") {
        Unit::Seconds
    } else {
        Unit::Bytes
    };
    let value = |v: Option<f64>| v.map_or_else(|| "no limit".to_owned(), |v| unit.show(v));
    let name = a
        .resource
        .trim_end_matches("_bytes")
        .trim_end_matches("_seconds")
        .replace('_', " ");
    format!(
        "after {}: {name} {} -> {} ({})",
        seconds(a.at_seconds),
        value(a.from),
        value(a.to),
        a.reason
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures::outcome;

    fn style(width: usize) -> Style {
        Style {
            width,
            color: false,
            unicode: true,
        }
    }

    #[test]
    fn predicted_beside_actual() {
        let text = report(&outcome(), &style(80), false);
        assert!(
            text.starts_with("foreshadow: done after 4.0 s.\n"),
            "{text}"
        );
        let line = |name: &str| {
            text.lines()
                .find(|l| l.trim_start().starts_with(name))
                .unwrap_or_else(|| panic!("no {name} in\n{text}"))
        };
        let memory = line("memory");
        assert!(
            memory.contains("210 MiB") && memory.contains("214 MiB"),
            "{memory}"
        );
        assert!(memory.ends_with("within"), "{memory}");
        assert!(line("wall time").ends_with("above"), "{text}");
        assert!(line("CPU time").ends_with("below"), "{text}");
        assert!(
            text.contains("given: 256 MiB of memory, 1.5 cores"),
            "{text}"
        );
        assert!(
            text.contains("after 1.2 s: memory 256 MiB -> 320 MiB (it reached its limit)"),
            "{text}"
        );
        assert!(text.lines().count() <= 8, "{text}");
    }

    #[test]
    fn fits_every_width() {
        for width in [40, 60, 80] {
            for verbose in [false, true] {
                let text = report(&outcome(), &style(width), verbose);
                assert!(
                    text.lines().all(|l| l.chars().count() <= width),
                    "{width}\n{text}"
                );
            }
        }
    }

    #[test]
    fn each_death_is_told_apart() {
        let words = [
            CauseOfDeath::OomCgroup,
            CauseOfDeath::OomHost,
            CauseOfDeath::Limit,
            CauseOfDeath::Signal,
        ]
        .map(|cause| {
            let dead = Outcome {
                exit_code: None,
                signal: Some(9),
                cause_of_death: Some(cause),
                ..outcome()
            };
            report(&dead, &style(100), false)
        });
        assert!(
            words[0].contains("its own memory limit (256 MiB"),
            "{}",
            words[0]
        );
        assert!(words[0].contains("--memory"), "{}", words[0]);
        assert!(words[1].contains("the machine"), "{}", words[1]);
        assert!(
            words[2].contains("other than that of memory"),
            "{}",
            words[2]
        );
        assert!(words[3].contains("from elsewhere"), "{}", words[3]);
        assert!(words.iter().all(|w| w.contains("signal 9")));
    }

    #[test]
    fn without_a_prediction_only_what_was() {
        let alone = Outcome {
            prediction: None,
            reservation: None,
            adjustments: Vec::new(),
            exit_code: Some(3),
            ..outcome()
        };
        let text = report(&alone, &style(80), false);
        assert!(text.contains("ended with exit code 3"), "{text}");
        assert!(!text.contains("predicted"), "{text}");
        assert!(text.contains("214 MiB"), "{text}");
    }
}
