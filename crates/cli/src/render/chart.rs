//! The ladder as bars: what was measured at each part of the work, and where that leads.

use foreshadow_engine::contract::Levels;

use super::amount::{Unit, fraction};
use crate::term::{Paint, Style};

/// What one chart shows.
pub(super) struct Ladder<'a> {
    pub(super) title: &'a str,
    pub(super) unit: Unit,
    /// Part of the work, and the value measured there; in any order.
    pub(super) measured: &'a [(f64, f64)],
    /// The whole.
    pub(super) whole: Levels,
}

/// Rungs shown at most; the larger ones say more.
const MOST: usize = 8;
/// Shorter bars say nothing.
const LEAST_BAR: usize = 8;
/// Columns before a bar: indent, label and a space.
const LABEL: usize = 2 + 7 + 1;

impl Ladder<'_> {
    /// The chart; None where nothing was measured, or the terminal is too narrow for one.
    pub(super) fn draw(&self, style: &Style) -> Option<String> {
        let mut rungs: Vec<(f64, f64)> = self
            .measured
            .iter()
            .copied()
            .filter(|(f, v)| f.is_finite() && *f > 0.0 && v.is_finite())
            .collect();
        rungs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let rungs = &rungs[rungs.len().saturating_sub(MOST)..];
        let top = rungs.iter().map(|(_, v)| *v).fold(self.whole.p90, f64::max);
        if rungs.is_empty() || top <= 0.0 {
            return None;
        }

        let likely = self.unit.show(self.whole.p50);
        let range = self
            .unit
            .range(self.whole.p10, self.whole.p90, style.unicode);
        let values = rungs.iter().map(|(_, v)| self.unit.show(*v));
        let mut rungs: Vec<(f64, f64, String)> = rungs
            .iter()
            .zip(values)
            .map(|((f, v), text)| (*f, *v, text))
            .collect();
        // With the range beside the longest bar where that leaves one, else without.
        let full = if range == likely {
            likely.clone()
        } else {
            format!("{likely} ({range})")
        };
        let (bar, whole_text) = [full, likely].into_iter().find_map(|text| {
            let longest = rungs
                .iter()
                .map(|(_, _, t)| t.chars().count())
                .fold(text.chars().count(), usize::max);
            let bar = style.width.checked_sub(LABEL + 1 + longest)?;
            (bar >= LEAST_BAR).then_some((bar, text))
        })?;
        let cells = |value: f64| value / top * to_f64(bar);

        let mut out = format!("  {}\n", style.paint(Paint::Bold, self.title));
        for (f, value, text) in rungs.drain(..) {
            let filled = solid(cells(value), style);
            out.push_str(&format!("  {:>7} {filled} {text}\n", fraction(f)));
        }
        let bar = predicted(
            cells(self.whole.p10),
            cells(self.whole.p50),
            cells(self.whole.p90),
            style,
        );
        let name = style.paint(Paint::Bold, &format!("{:>7}", "whole"));
        out.push_str(&format!("  {name} {bar} {whole_text}\n"));
        Some(out)
    }
}

/// What the shades of [`Ladder::draw`] mean.
pub(super) fn legend(style: &Style) -> String {
    format!(
        "{} measured, or needed in 9 of 10 runs; {} likely; {} needed in 1 of 10",
        style.pick("█", "#"),
        style.pick("▓", "="),
        style.pick("░", "."),
    )
}

/// A bar with a resolution of an eighth of a cell, where the terminal can show it; something is
/// always seen of what is more than nothing.
fn solid(cells: f64, style: &Style) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let least = usize::from(cells > 0.0);
    if style.unicode {
        let eighths = round(cells * 8.0).max(least);
        format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
    } else {
        "#".repeat(round(cells).max(least))
    }
}

fn predicted(p10: f64, p50: f64, p90: f64, style: &Style) -> String {
    let (p10, p50, p90) = (round(p10), round(p50), round(p90));
    [
        (style.pick("█", "#"), p10),
        (style.pick("▓", "="), p50.saturating_sub(p10)),
        (style.pick("░", "."), p90.saturating_sub(p50.max(p10))),
    ]
    .into_iter()
    .map(|(shade, n)| shade.repeat(n))
    .collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and is at most the width of a terminal"
)]
fn round(n: f64) -> usize {
    n.round().clamp(0.0, 1e4) as usize
}

#[expect(clippy::cast_precision_loss, reason = "the width of a terminal")]
fn to_f64(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: f64 = 1024.0 * 1024.0;

    fn draw(measured: &[(f64, f64)], whole: Levels, width: usize, unicode: bool) -> Option<String> {
        let style = Style {
            width,
            color: false,
            unicode,
        };
        Ladder {
            title: "Memory",
            unit: Unit::Bytes,
            measured,
            whole,
        }
        .draw(&style)
    }

    fn levels(p10: f64, p50: f64, p90: f64) -> Levels {
        Levels {
            p10: p10 * MIB,
            p50: p50 * MIB,
            p90: p90 * MIB,
            p99: p90 * MIB,
        }
    }

    #[test]
    fn bars_are_as_long_as_what_they_show() {
        let measured = [(0.25, 25.0 * MIB), (0.125, 12.5 * MIB)];
        // 55 columns less 11 and "90.0 MiB (80.0 - 100 MiB)": 20 for 100 MiB.
        let width = 11 + 25 + 20;
        let chart = draw(&measured, levels(80.0, 90.0, 100.0), width, false).unwrap();
        assert_eq!(
            chart,
            "  Memory\n\
             \x20     1/8 ### 12.5 MiB\n\
             \x20     1/4 ##### 25.0 MiB\n\
             \x20   whole ################==.. 90.0 MiB (80.0 - 100 MiB)\n"
        );
        let fine = draw(&measured, levels(80.0, 90.0, 100.0), width, true).unwrap();
        assert!(fine.contains("1/8 ██▌ 12.5 MiB"), "{fine}");
        assert!(fine.contains("████████████████▓▓░░ 90.0"), "{fine}");
    }

    #[test]
    fn every_width_fits_or_has_no_chart() {
        let measured: Vec<(f64, f64)> = (1..20).map(|i| (1.0 / f64::from(i), 1e9)).collect();
        for width in 10..120 {
            if let Some(chart) = draw(&measured, levels(1.0, 900.0, 1000.0), width, true) {
                assert!(chart.lines().all(|l| l.chars().count() <= width), "{chart}");
                assert!(chart.lines().count() <= MOST + 2);
            } else {
                assert!(width < 30, "{width}");
            }
        }
    }

    #[test]
    fn nothing_to_draw() {
        assert_eq!(draw(&[], levels(1.0, 2.0, 3.0), 80, true), None);
        assert_eq!(draw(&[(0.5, 0.0)], levels(0.0, 0.0, 0.0), 80, true), None);
        assert_eq!(
            draw(&[(f64::NAN, 1.0)], levels(1.0, 2.0, 3.0), 80, true),
            None
        );
    }
}
