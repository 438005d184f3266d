//! The report as one HTML file that needs nothing else: no script, no font, no picture from
//! elsewhere.

use std::fmt::{self, Write};

use crate::chart::{Line, bars, colour, escape, lines, scatter};
use crate::methods::Name;
use crate::report::{GBH, Report};
use crate::text::amount;

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1c1d20;--dim:#6a6d75;--line:#d8dae0;--ground:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#e6e7ea;--dim:#9b9fa8;--line:#3a3d44;--ground:#17181b}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--ground);max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.1rem;margin:2.2rem 0 .4rem}
p,li{max-width:46rem}.d{color:var(--dim)}
svg{width:100%;max-width:760px;height:auto;display:block}
svg text{font:12px system-ui,sans-serif;fill:var(--ink)}svg .e{text-anchor:end;fill:var(--dim)}svg .m{text-anchor:middle;fill:var(--dim)}svg .g{stroke:var(--line)}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.2rem .6rem;border-bottom:1px solid var(--line);text-align:right;vertical-align:top}
th:first-child,td:first-child{text-align:left;overflow-wrap:anywhere}th{font-weight:600;color:var(--dim)}
.w{overflow-x:auto}.k span{margin-right:1rem}.k i{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.35em}
.b{font-weight:600}";

/// Most processes in the file's table.
const MOST: usize = 200;

/// The report as HTML.
pub fn html(report: &Report, title: &str) -> String {
    let mut out = String::new();
    // Writing to a string can't fail.
    let _ = write_html(&mut out, report, title);
    out
}

fn write_html(out: &mut String, report: &Report, title: &str) -> fmt::Result {
    let title = escape(title);
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>Replay of {title}</title><style>{STYLE}</style></head><body>\n<h1>Replay of {title}</h1>"
    )?;
    headline(out, report)?;
    write!(out, "<p class=\"d\">")?;
    for line in &report.setting {
        write!(out, "{}. ", escape(line))?;
    }
    writeln!(out, "</p>")?;
    methods(out, report)?;
    over_time(out, report)?;
    learning(out, report)?;
    if !report.curves.points.is_empty() {
        writeln!(
            out,
            "<h2>What was given and what was used</h2><p class=\"d\">Each point a task (of {}): peak across, first allocation up. Below the diagonal the first attempt failed.</p>",
            report.curves.stride
        )?;
        scatter(out, "First allocation against peak", &report.curves.points)?;
    }
    processes(out, report)?;
    rows(out, report)?;
    writeln!(out, "</body></html>")
}

fn headline(out: &mut String, report: &Report) -> fmt::Result {
    let of = |n: Name| report.methods.iter().find(|m| m.name == n);
    if let (Some(users), Some(ours)) = (of(Name::Requested), of(Name::Foreshadow)) {
        writeln!(
            out,
            "<p>Over {} tasks the users' requests wasted <b>{} GB·h</b> ({} failures). Learning from each task as it ended would have wasted <b>{} GB·h</b>, with {} failed attempts, retries included.</p>",
            ours.tasks,
            amount(users.waste_gbh),
            users.failures,
            amount(ours.waste_gbh),
            ours.failures
        )?;
    }
    Ok(())
}

fn methods(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(out, "<h2>Waste by method</h2>")?;
    let bar: Vec<_> = report
        .methods
        .iter()
        .enumerate()
        .filter(|(_, m)| m.name != Name::Oracle)
        .map(|(i, m)| {
            let text = format!("{} GB·h, {} failures", amount(m.waste_gbh), m.failures);
            (m.name.to_string(), m.waste_gbh, text, colour(i))
        })
        .collect();
    bars(out, "Waste by method in GB·h", &bar)?;
    writeln!(
        out,
        "<div class=\"w\"><table><tr><th>method</th><th>waste GB·h</th><th>failures</th><th>in retries GB·h</th><th>held beyond the peak</th><th>utilisation</th><th>in 80 % interval</th><th>in 95 % interval</th></tr>"
    )?;
    let percent =
        |share: Option<f64>| share.map_or("–".to_owned(), |s| format!("{:.1} %", s * 100.0));
    for m in &report.methods {
        let class = if m.name == Name::Foreshadow {
            " class=\"b\""
        } else {
            ""
        };
        writeln!(
            out,
            "<tr{class}><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.0} %</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            m.name,
            amount(m.waste_gbh),
            m.failures,
            amount(m.retries_gbh),
            m.over_allocation * 100.0,
            percent(Some(m.utilisation)),
            percent(m.coverage_p80),
            percent(m.coverage_p95)
        )?;
    }
    writeln!(
        out,
        "</table></div><p class=\"d\">A failed attempt wastes allocation × run time, one that holds wastes (allocation − peak) × run time. 1 GB is 10⁹ bytes.</p>"
    )
}

fn over_time(out: &mut String, report: &Report) -> fmt::Result {
    let (Some((from, to)), false) = (report.curves.span, report.curves.time.is_empty()) else {
        return Ok(());
    };
    writeln!(out, "<h2>Waste over time, summed, GB·h</h2>")?;
    let parts = report.curves.time.len() as f64;
    let mut drawn = Vec::new();
    for (m, method) in report.methods.iter().enumerate() {
        if method.name == Name::Oracle {
            continue;
        }
        let mut sum = 0.0;
        let mut points = vec![(0.0, 0.0)];
        for (i, part) in report.curves.time.iter().enumerate() {
            sum += part[m] / GBH;
            points.push(((i + 1) as f64 / parts, sum));
        }
        drawn.push(Line {
            label: method.name.to_string(),
            colour: colour(m),
            points,
        });
    }
    let hours = (to - from) / 3600.0;
    let labels: Vec<(f64, String)> = (0..=4)
        .map(|i| {
            let t = f64::from(i) / 4.0;
            (t * 0.96 + 0.02, format!("{} h", amount(hours * t)))
        })
        .collect();
    lines(out, "Waste over time in GB·h, summed", &drawn, &labels)
}

fn learning(out: &mut String, report: &Report) -> fmt::Result {
    let curve = &report.curves.learning;
    // Octaves in which nothing was scored (a warm-up) have nothing to show.
    let octaves: Vec<usize> = (0..curve.len())
        .filter(|o| curve[*o].iter().any(|s| s.used > 0.0))
        .collect();
    if octaves.len() < 2 {
        return Ok(());
    }
    writeln!(
        out,
        "<h2>Learning</h2><p class=\"d\">Waste over use (1: as much wasted as used), by how many tasks of the process were seen before.</p>"
    )?;
    let last = (octaves.len() - 1) as f64;
    let at = |i: usize| i as f64 / last;
    let drawn: Vec<Line> = report
        .methods
        .iter()
        .enumerate()
        .filter(|(_, m)| matches!(m.name, Name::MaxSeen | Name::Witt | Name::Foreshadow))
        .map(|(m, method)| Line {
            label: method.name.to_string(),
            colour: colour(m),
            points: octaves
                .iter()
                .enumerate()
                .map(|(i, o)| (at(i), curve[*o][m].waste / curve[*o][m].used.max(1e-300)))
                .collect(),
        })
        .collect();
    let labels: Vec<(f64, String)> = octaves
        .iter()
        .enumerate()
        .map(|(i, o)| {
            let label = match o {
                0 => "0".to_owned(),
                1 => "1".to_owned(),
                o => format!("{}–{}", 1_u64 << (o - 1), (1_u64 << o) - 1),
            };
            (at(i) * 0.96 + 0.02, label)
        })
        .collect();
    lines(out, "Waste over use by tasks seen before", &drawn, &labels)
}

fn processes(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(
        out,
        "<h2>By process</h2><p class=\"d\">Waste in GB·h / failures.</p><div class=\"w\"><table><tr><th>process</th><th>tasks</th>"
    )?;
    let names: Vec<Name> = report
        .methods
        .iter()
        .map(|m| m.name)
        .filter(|n| *n != Name::Oracle)
        .collect();
    for n in &names {
        write!(out, "<th>{n}</th>")?;
    }
    writeln!(out, "</tr>")?;
    let mut all: Vec<_> = report.processes.iter().collect();
    let waste = |p: &crate::ProcessReport<'_>| {
        names
            .iter()
            .filter_map(|n| p.of(*n))
            .map(|s| s.0)
            .fold(0.0, f64::max)
    };
    all.sort_by(|a, b| waste(b).total_cmp(&waste(a)));
    for p in all.iter().take(MOST) {
        write!(out, "<tr><td>{}</td><td>{}</td>", escape(p.name), p.tasks)?;
        for n in &names {
            let (waste, failures) = p.of(*n).unwrap_or((0.0, 0));
            write!(out, "<td>{} / {failures}</td>", amount(waste))?;
        }
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</table></div>")?;
    if all.len() > MOST {
        writeln!(out, "<p class=\"d\">And {} more.</p>", all.len() - MOST)?;
    }
    Ok(())
}

fn rows(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(
        out,
        "<h2>Rows</h2><p>{} read, {} used.</p>",
        report.rows.read, report.rows.used
    )?;
    if !report.rows.skipped.is_empty() {
        writeln!(
            out,
            "<table><tr><th>left out because</th><th>rows</th></tr>"
        )?;
        for (reason, n) in &report.rows.skipped {
            writeln!(out, "<tr><td>{}</td><td>{n}</td></tr>", escape(reason))?;
        }
        writeln!(out, "</table>")?;
    }
    for w in &report.warnings {
        writeln!(out, "<p>{}</p>", escape(w))?;
    }
    Ok(())
}
