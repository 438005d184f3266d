//! The report for a terminal.

use std::fmt::Write;

use crate::methods::Name;
use crate::report::Report;

/// The report as a table, with the `most` processes that waste most.
pub fn table(report: &Report, most: usize) -> String {
    let mut out = String::new();
    // Writing to a string can't fail.
    let _ = write_table(&mut out, report, most);
    out
}

fn write_table(out: &mut String, report: &Report, most: usize) -> std::fmt::Result {
    for line in &report.setting {
        writeln!(out, "{line}")?;
    }
    writeln!(
        out,
        "{} rows read, {} used",
        report.rows.read, report.rows.used
    )?;
    for (reason, n) in &report.rows.skipped {
        writeln!(out, "  {n:>8} left out: {reason}")?;
    }
    for w in &report.warnings {
        writeln!(out, "note: {w}")?;
    }
    writeln!(
        out,
        "\n{:<16} {:>12} {:>9} {:>12} {:>8} {:>8} {:>7} {:>7}",
        "method", "waste GB·h", "failures", "retries GB·h", "over", "used", "80 %", "95 %"
    )?;
    let percent =
        |share: Option<f64>| share.map_or("-".to_owned(), |s| format!("{:.1} %", s * 100.0));
    for m in &report.methods {
        writeln!(
            out,
            "{:<16} {:>12} {:>9} {:>12} {:>8} {:>8} {:>7} {:>7}",
            m.name,
            amount(m.waste_gbh),
            m.failures,
            amount(m.retries_gbh),
            format!("{:.0} %", m.over_allocation * 100.0),
            percent(Some(m.utilisation)),
            percent(m.coverage_p80),
            percent(m.coverage_p95),
        )?;
    }
    let tasks = report.methods.first().map_or(0, |m| m.tasks);
    writeln!(
        out,
        "\n{tasks} tasks of {} processes scored in {:.2} s. Waste: allocation × run time of failed attempts, (allocation − peak) × run time of the others; over: held beyond the peak by attempts that succeeded; used: of all memory × time held; 80 %, 95 %: share of peaks within the forecast's intervals.",
        report.processes.len(),
        report.seconds,
    )?;
    processes(out, report, most)
}

fn processes(out: &mut String, report: &Report, most: usize) -> std::fmt::Result {
    let Some(shown) = report
        .methods
        .iter()
        .map(|m| m.name)
        .find(|n| *n == Name::Foreshadow)
        .or(report.methods.last().map(|m| m.name))
    else {
        return Ok(());
    };
    let mut all: Vec<_> = report.processes.iter().collect();
    let waste = |p: &crate::ProcessReport<'_>| {
        report
            .methods
            .iter()
            .filter_map(|m| p.of(m.name))
            .map(|s| s.0)
            .fold(0.0, f64::max)
    };
    all.sort_by(|a, b| waste(b).total_cmp(&waste(a)));
    if all.is_empty() || most == 0 {
        return Ok(());
    }
    writeln!(out, "\nprocesses by waste, GB·h / failures:")?;
    let columns: Vec<Name> = report
        .methods
        .iter()
        .map(|m| m.name)
        .filter(|n| *n != Name::Oracle)
        .collect();
    write!(out, "{:<40} {:>6}", "", "tasks")?;
    for c in &columns {
        write!(out, " {:>16}", c.as_str())?;
    }
    writeln!(out)?;
    for p in all.iter().take(most) {
        write!(out, "{:<40} {:>6}", tail(p.name, 40), p.tasks)?;
        for c in &columns {
            let (waste, failures) = p.of(*c).unwrap_or((0.0, 0));
            write!(out, " {:>16}", format!("{} / {failures}", amount(waste)))?;
        }
        writeln!(out)?;
    }
    if all.len() > most {
        writeln!(
            out,
            "and {} more ({shown} by process: --json)",
            all.len() - most
        )?;
    }
    Ok(())
}

/// Three significant digits.
pub(crate) fn amount(x: f64) -> String {
    if x == 0.0 {
        "0".to_owned()
    } else if x >= 100.0 {
        format!("{x:.0}")
    } else if x >= 10.0 {
        format!("{x:.1}")
    } else if x >= 1.0 {
        format!("{x:.2}")
    } else if x >= 0.001 {
        format!("{x:.3}")
    } else {
        format!("{x:.0e}")
    }
}

/// The end of a name: the qualified names of workflow engines differ there.
fn tail(name: &str, most: usize) -> String {
    let n = name.chars().count();
    let clean = |c: char| if c.is_control() { '\u{FFFD}' } else { c };
    if n <= most {
        name.chars().map(clean).collect()
    } else {
        std::iter::once('…')
            .chain(name.chars().skip(n - most + 1).map(clean))
            .collect()
    }
}
