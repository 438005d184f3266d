//! How well predictions held.

use super::table::{Cell, table};
use super::text::wrap;
use crate::commands::accuracy::{Accuracy, Score};
use crate::term::{Paint, Style};

/// A line for each resource.
pub(crate) fn report(accuracy: &Accuracy, style: &Style) -> String {
    if accuracy.tasks == 0 {
        return wrap(
            "",
            "No run with a prediction has finished yet: use 'foreshadow run' first.",
            style.width,
        );
    }
    let header = ["", "runs", "error", "within", "below", "above"];
    let mut rows = vec![header.map(|h| Cell::right(h).paint(Paint::Dim)).to_vec()];
    let named: [(&str, &Score); 3] = [
        ("memory", &accuracy.resources.peak_memory_bytes),
        ("CPU time", &accuracy.resources.cpu_seconds),
        ("wall time", &accuracy.resources.wall_seconds),
    ];
    for (name, score) in named {
        let percent = |v: Option<f64>| v.map_or("?".to_owned(), |v| format!("{:.0} %", v * 100.0));
        let share = |n: usize| percent(share(n, score.tasks));
        rows.push(vec![
            Cell::left(name),
            Cell::right(score.tasks.to_string()),
            Cell::right(percent(score.median_error)).paint(Paint::Bold),
            Cell::right(share(score.within)),
            Cell::right(share(score.below)),
            Cell::right(share(score.above)),
        ]);
    }
    let mut out = table(&rows, 0, style);
    out.push_str(&wrap(
        "",
        "error: the median of how far the likely value was off. within, below, above: where the \
         truth lay against the range in which 8 of 10 runs should be.",
        style.width,
    ));
    out
}

#[expect(clippy::cast_precision_loss, reason = "counts of runs")]
fn share(n: usize, of: usize) -> Option<f64> {
    (of > 0).then(|| n as f64 / of as f64)
}
