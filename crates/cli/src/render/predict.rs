//! The report of `predict`.

use foreshadow_engine::Vary;
use foreshadow_engine::contract::{Input, Levels, Prediction, ShadowRun};
use foreshadow_quantity::Bytes;

use super::amount::{Unit, cores_option, fraction, memory_option, seconds};
use super::chart::{Ladder, legend};
use super::table::{Cell, table, table_width};
use super::text::{shell, shorten, wrap};
use crate::term::{Paint, Style};

/// Longer commands are shown cut.
const MOST_COMMAND: usize = 2000;
const MOST_INPUTS: usize = 5;

/// The report. With `verbose`, every shadow and all quantiles as well. `vary` are the numbers that
/// stand for placeholders in the command.
pub(crate) fn report(
    prediction: &Prediction,
    vary: &[Vary],
    style: &Style,
    verbose: bool,
) -> String {
    let mut out = heading(prediction, style);
    match &prediction.abstained {
        Some(reason) => {
            out.push('\n');
            let text = format!("No prediction: {}", sentence(reason));
            out.push_str(&wrap("", &text, style.width));
        }
        None => {
            out.push_str(&figures(prediction, style, verbose));
            out.push_str(&recommendation(prediction, vary, style));
            out.push_str(&ladders(prediction, style));
        }
    }
    out.push_str(&why(prediction, style));
    if verbose {
        out.push_str(&runs(&prediction.shadow.runs, style));
    }
    out
}

fn heading(prediction: &Prediction, style: &Style) -> String {
    let command = shell(prediction.command.text());
    let command = shorten(&command, style.width, style.unicode);
    let mut out = format!("{}\n", style.paint(Paint::Bold, &command));
    let inputs = &prediction.inputs;
    for input in inputs.iter().take(MOST_INPUTS) {
        out.push_str(&wrap("  reads ", &describe(input), style.width));
    }
    if let Some(rest) = inputs.get(MOST_INPUTS..).filter(|r| !r.is_empty()) {
        let bytes: Bytes = rest.iter().map(|i| i.bytes).sum();
        out.push_str(&format!("  reads {} more ({bytes})\n", rest.len()));
    }
    out
}

fn describe(input: &Input) -> String {
    let format = input.format.as_deref().unwrap_or("format not known");
    let sampled = if input.sampled {
        "sampled"
    } else {
        "not sampled"
    };
    let path = shell(&[input.path.text().to_owned()]);
    format!("{path} ({format}, {}, {sampled})", input.bytes)
}

/// Names for people, and units, of the resources in the order of the document.
pub(super) fn resources() -> [(&'static str, Unit); 8] {
    [
        ("memory", Unit::Bytes),
        ("CPU time", Unit::Seconds),
        ("wall time", Unit::Seconds),
        ("cores", Unit::Cores),
        ("reads", Unit::Bytes),
        ("writes", Unit::Bytes),
        ("page cache", Unit::Bytes),
        ("network", Unit::Bytes),
    ]
}

fn figures(prediction: &Prediction, style: &Style, verbose: bool) -> String {
    let brief = rows(
        prediction,
        &["needs", "likely", "8 in 10 runs"],
        |unit, l| vec![unit.show(l.p50), unit.range(l.p10, l.p90, style.unicode)],
    );
    if verbose {
        let header = ["needs", "likely (p50)", "p10", "p90", "p99"];
        let full = rows(prediction, &header, |unit, l| {
            [l.p50, l.p10, l.p90, l.p99].map(|v| unit.show(v)).to_vec()
        });
        if table_width(&full, 2) <= style.width {
            return format!("\n{}", table(&full, 2, style));
        }
    }
    format!("\n{}", table(&brief, 2, style))
}

fn rows(
    prediction: &Prediction,
    header: &[&str],
    columns: impl Fn(Unit, Levels) -> Vec<String>,
) -> Vec<Vec<Cell>> {
    let mut heads = header.iter().map(|h| (*h).to_owned());
    let mut first: Vec<Cell> = heads.next().map(Cell::left).into_iter().collect();
    first.extend(heads.map(Cell::right));
    let mut rows = vec![first.into_iter().map(|c| c.paint(Paint::Dim)).collect()];
    let named = prediction.prediction.named();
    for ((name, unit), (_, levels)) in resources().into_iter().zip(named) {
        let mut row = vec![Cell::left(name)];
        match levels {
            Some(levels) => {
                let mut values = columns(unit, levels).into_iter().map(Cell::right);
                row.extend(values.next().map(|v| v.paint(Paint::Bold)));
                row.extend(values);
            }
            None => row.push(Cell::right("not known").paint(Paint::Dim)),
        }
        rows.push(row);
    }
    rows
}

fn recommendation(prediction: &Prediction, vary: &[Vary], style: &Style) -> String {
    let recommend = &prediction.recommend;
    let mut options = String::new();
    if let Some(memory) = recommend.memory_bytes {
        options.push_str(&format!(" --memory {}", memory_option(memory)));
    }
    if let Some(cores) = recommend.cores {
        options.push_str(&format!(" --cores {}", cores_option(cores)));
    }
    if options.is_empty() {
        return String::new();
    }
    for Vary { name, value } in vary {
        options.push_str(&format!(" --vary {name}={value}"));
    }
    let command = shell(prediction.command.text());
    let command = shorten(&command, MOST_COMMAND, style.unicode);
    let title = style.paint(Paint::Bold, "To run it inside that:");
    let mut out = format!("\n{title}\n  foreshadow run{options} -- {command}\n");
    if let Some(limit) = recommend.time_limit_seconds {
        let text = format!("Where a time limit is wanted: {}.", seconds(limit));
        out.push_str(&wrap("  ", &text, style.width));
    }
    out
}

fn ladders(prediction: &Prediction, style: &Style) -> String {
    // A run that failed measured something else.
    let sound = |run: &&ShadowRun| matches!(run.exit_code, Some(0) | None);
    let runs: Vec<&ShadowRun> = prediction.shadow.runs.iter().filter(sound).collect();
    let memory: Vec<(f64, f64)> = runs
        .iter()
        .filter_map(|r| Some((r.fraction?, r.peak_memory_bytes?.as_f64())))
        .collect();
    let cpu: Vec<(f64, f64)> = runs
        .iter()
        .filter_map(|r| Some((r.fraction?, r.cpu_seconds)))
        .collect();
    let figures = &prediction.prediction;
    let charts: Vec<String> = [
        ("Memory", Unit::Bytes, &memory, figures.peak_memory_bytes),
        ("CPU time", Unit::Seconds, &cpu, figures.cpu_seconds),
    ]
    .into_iter()
    .filter_map(|(title, unit, measured, whole)| {
        Ladder {
            title: &format!("{title} by part of the work"),
            unit,
            measured,
            whole: whole?,
        }
        .draw(style)
    })
    .collect();
    if charts.is_empty() {
        return String::new();
    }
    let legend = wrap("  ", &legend(style), style.width);
    let legend = legend
        .lines()
        .map(|l| style.paint(Paint::Dim, l) + "\n")
        .collect::<String>();
    format!("\n{}{legend}", charts.join("\n"))
}

fn why(prediction: &Prediction, style: &Style) -> String {
    let mut lines: Vec<String> = prediction.explain.iter().map(|e| sentence(e)).collect();
    lines.extend(cost(prediction));
    if lines.is_empty() {
        return String::new();
    }
    let mut out = format!("\n{}\n", style.paint(Paint::Bold, "Why:"));
    for line in lines {
        out.push_str(&wrap(style.pick("  • ", "  * "), &line, style.width));
    }
    out
}

fn cost(prediction: &Prediction) -> Option<String> {
    let shadow = &prediction.shadow;
    let count = shadow.runs.len();
    if count == 0 {
        return None;
    }
    let share = prediction
        .prediction
        .cpu_seconds
        .filter(|l| l.p50 > 0.0)
        .map(|l| {
            let percent = shadow.cpu_seconds / l.p50 * 100.0;
            let digits = usize::from(percent < 10.0);
            format!(" ({percent:.digits$} % of the command's own)")
        })
        .unwrap_or_default();
    Some(format!(
        "{count} shadow{} took {} of CPU time{share}, in {}.",
        if count == 1 { "" } else { "s" },
        seconds(shadow.cpu_seconds),
        seconds(shadow.wall_seconds),
    ))
}

fn runs(runs: &[ShadowRun], style: &Style) -> String {
    if runs.is_empty() {
        return String::new();
    }
    let header = ["part", "memory", "CPU", "wall", "exit"];
    let mut rows = vec![header.map(|h| Cell::right(h).paint(Paint::Dim)).to_vec()];
    for run in runs {
        let unknown = || "?".to_owned();
        let cells = [
            run.fraction.map_or_else(unknown, fraction),
            run.peak_memory_bytes
                .map_or_else(unknown, |b| b.to_string()),
            seconds(run.cpu_seconds),
            seconds(run.wall_seconds),
            run.exit_code.map_or("cut".to_owned(), |c| c.to_string()),
        ];
        rows.push(cells.map(Cell::right).to_vec());
    }
    // Of a narrow terminal the two most telling columns are left.
    if table_width(&rows, 2) > style.width {
        for row in &mut rows {
            row.truncate(3);
        }
    }
    let title = style.paint(Paint::Bold, "Shadows:");
    format!("\n{title}\n{}", table(&rows, 2, style))
}

/// Ends in a full stop.
fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', '!', '?', ':']) {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures::{abstention, prediction};

    fn style(width: usize) -> Style {
        Style {
            width,
            color: false,
            unicode: true,
        }
    }

    #[test]
    fn says_what_is_needed_and_what_to_type() {
        let text = report(&prediction(), &[], &style(80), false);
        for part in [
            "sort -t, -k3,3n big.csv -o 'out file.csv'",
            "reads big.csv (csv, 119 MiB, sampled)",
            "210 MiB",
            "198 – 231 MiB",
            "foreshadow run --memory 256M --cores 1.5 -- sort -t, -k3,3n big.csv -o 'out file.csv'",
            "whole",
            "1/64",
            "Why:",
            "not known",
        ] {
            assert!(text.contains(part), "no '{part}' in\n{text}");
        }
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn fits_every_width_but_for_the_line_to_copy() {
        for width in [40, 50, 60, 80, 100] {
            for verbose in [false, true] {
                let text = report(&prediction(), &[], &style(width), verbose);
                for line in text.lines().filter(|l| !l.contains("foreshadow run")) {
                    assert!(line.chars().count() <= width, "{width}: {line}\n{text}");
                }
            }
        }
    }

    #[test]
    fn plain_ascii_where_asked() {
        let style = Style {
            unicode: false,
            ..style(80)
        };
        let text = report(&prediction(), &[], &style, true);
        assert!(text.is_ascii(), "{text}");
    }

    #[test]
    fn placeholders_get_their_values() {
        let vary = [Vary {
            name: "n".into(),
            value: 1e6,
        }];
        let text = report(&prediction(), &vary, &style(80), false);
        assert!(
            text.contains(" --cores 1.5 --vary n=1000000 -- sort"),
            "{text}"
        );
    }

    #[test]
    fn an_abstention_gives_its_reason_and_no_figures() {
        let text = report(&abstention(), &[], &style(80), false);
        assert!(
            text.contains("No prediction: the command ended at once"),
            "{text}"
        );
        assert!(!text.contains("likely"), "{text}");
        assert!(!text.contains("foreshadow run"), "{text}");
    }

    #[test]
    fn colours_only_add_to_the_text() {
        let plain = report(&prediction(), &[], &style(80), false);
        let color = Style {
            color: true,
            ..style(80)
        };
        let mut stripped = report(&prediction(), &[], &color, false);
        assert_ne!(plain, stripped);
        for code in ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m"] {
            stripped = stripped.replace(code, "");
        }
        assert_eq!(stripped, plain);
    }
}
