//! Small SVG charts, drawn by hand so that a report needs nothing but itself.

use std::fmt::{self, Write};

use crate::text::amount;

/// Colours by place, readable on light and dark ground; the last ones repeat.
pub(crate) const COLOURS: [&str; 8] = [
    "#8a8a8a", "#b07aa1", "#e08a3c", "#59a14f", "#edb948", "#d1495b", "#2f6fde", "#76b7b2",
];

pub(crate) fn colour(i: usize) -> &'static str {
    COLOURS[i % COLOURS.len()]
}

/// Text that is safe inside HTML and SVG.
pub(crate) fn escape(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    for c in s.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 36.0;
const TOP: f64 = 12.0;
const RIGHT: f64 = 12.0;

/// Horizontal bars: label, value, text behind the bar, colour.
pub(crate) fn bars(
    out: &mut String,
    title: &str,
    rows: &[(String, f64, String, &str)],
) -> fmt::Result {
    let most = rows.iter().map(|r| r.1).fold(0.0, f64::max).max(1e-300);
    let height = 28.0 * rows.len() as f64 + 8.0;
    writeln!(
        out,
        r#"<svg role="img" aria-label="{}" viewBox="0 0 {WIDTH} {height}">"#,
        escape(title)
    )?;
    for (i, (label, value, text, colour)) in rows.iter().enumerate() {
        let y = 28.0 * i as f64 + 4.0;
        let w = (value / most * 440.0).max(1.0);
        writeln!(
            out,
            r#"<text x="122" y="{:.0}" class="e">{}</text><rect x="130" y="{y:.0}" width="{w:.1}" height="20" rx="2" fill="{colour}"/><text x="{:.1}" y="{:.0}">{}</text>"#,
            y + 15.0,
            escape(label),
            136.0 + w,
            y + 15.0,
            escape(text)
        )?;
    }
    writeln!(out, "</svg>")
}

/// One line of a chart.
pub(crate) struct Line {
    pub label: String,
    pub colour: &'static str,
    /// In 0..=1 along the axis, and the value.
    pub points: Vec<(f64, f64)>,
}

/// Lines over a common axis with labels at places in 0..=1; the values are amounts from 0.
pub(crate) fn lines(
    out: &mut String,
    title: &str,
    lines: &[Line],
    labels: &[(f64, String)],
) -> fmt::Result {
    let most = lines
        .iter()
        .flat_map(|l| l.points.iter().map(|p| p.1))
        .fold(0.0, f64::max)
        .max(1e-300);
    let x = |t: f64| LEFT + t * (WIDTH - LEFT - RIGHT);
    let y = |v: f64| HEIGHT - BOTTOM - v / most * (HEIGHT - BOTTOM - TOP);
    writeln!(
        out,
        r#"<svg role="img" aria-label="{}" viewBox="0 0 {WIDTH} {HEIGHT}">"#,
        escape(title)
    )?;
    for step in 0..=4 {
        let v = most * f64::from(step) / 4.0;
        writeln!(
            out,
            r#"<line x1="{LEFT}" x2="{:.0}" y1="{:.1}" y2="{:.1}" class="g"/><text x="{:.0}" y="{:.1}" class="e">{}</text>"#,
            WIDTH - RIGHT,
            y(v),
            y(v),
            LEFT - 6.0,
            y(v) + 4.0,
            amount(v)
        )?;
    }
    for (t, label) in labels {
        writeln!(
            out,
            r#"<text x="{:.1}" y="{:.0}" class="m">{}</text>"#,
            x(*t),
            HEIGHT - 14.0,
            escape(label)
        )?;
    }
    for l in lines {
        write!(
            out,
            r#"<polyline fill="none" stroke-width="2" stroke="{}" points=""#,
            l.colour
        )?;
        for (t, v) in &l.points {
            write!(out, "{:.1},{:.1} ", x(*t), y(*v))?;
        }
        writeln!(out, r#""><title>{}</title></polyline>"#, escape(&l.label))?;
    }
    writeln!(out, "</svg>")?;
    write!(out, r#"<p class="k">"#)?;
    for l in lines {
        write!(
            out,
            r#"<span><i style="background:{}"></i>{}</span> "#,
            l.colour,
            escape(&l.label)
        )?;
    }
    writeln!(out, "</p>")
}

/// Points on two logarithmic axes of bytes, with the diagonal; those below it in another colour.
pub(crate) fn scatter(out: &mut String, title: &str, points: &[(f64, f64)]) -> fmt::Result {
    let good = |v: &f64| *v > 0.0 && v.is_finite();
    let all = || points.iter().flat_map(|p| [p.0, p.1]).filter(good);
    let low = all().fold(f64::INFINITY, f64::min).log2().floor();
    let high = all().fold(0.0, f64::max).log2().ceil();
    if !(low.is_finite() && high.is_finite()) {
        return Ok(());
    }
    let high = high.max(low + 1.0);
    let side = 420.0;
    let at = |v: f64| (v.log2() - low) / (high - low) * (side - LEFT - TOP);
    writeln!(
        out,
        r#"<svg role="img" aria-label="{}" viewBox="0 0 {WIDTH} {side}">"#,
        escape(title)
    )?;
    let step = ((high - low) / 6.0).ceil().max(1.0);
    let mut power = low;
    while power <= high {
        let v = power.exp2();
        let label = foreshadow_quantity::Bytes::from_f64(v).to_string();
        writeln!(
            out,
            r#"<text x="{:.1}" y="{:.1}" class="m">{label}</text><text x="{:.0}" y="{:.1}" class="e">{label}</text>"#,
            LEFT + at(v),
            side - BOTTOM,
            LEFT - 6.0,
            side - LEFT - at(v) + 4.0
        )?;
        power += step;
    }
    writeln!(
        out,
        r#"<line x1="{LEFT}" y1="{:.1}" x2="{:.1}" y2="{TOP}" class="g"/>"#,
        side - LEFT,
        side - TOP
    )?;
    for (peak, first) in points.iter().filter(|p| good(&p.0) && good(&p.1)) {
        writeln!(
            out,
            r#"<circle cx="{:.1}" cy="{:.1}" r="2.5" fill="{}" fill-opacity=".5"/>"#,
            LEFT + at(*peak),
            side - LEFT - at(*first),
            if first < peak { COLOURS[5] } else { COLOURS[6] }
        )?;
    }
    writeln!(out, "</svg>")
}
