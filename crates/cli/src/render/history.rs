//! The list of tasks.

use foreshadow_engine::contract::Prediction;
use foreshadow_store::{Cause, End, TaskRecord, TaskState};

use super::amount::seconds;
use super::table::{Cell, table, table_width};
use super::text::{shell, shorten};
use crate::term::{Paint, Style};

/// Narrower columns of commands tell nothing.
const LEAST_COMMAND: usize = 16;

/// One line for each task, newest first as given.
pub(crate) fn list(tasks: &[TaskRecord], style: &Style) -> String {
    // From the one that is dropped last to the first: what a narrow terminal has no room for.
    for dropped in 0..=4 {
        let mut rows = vec![header(dropped)];
        rows.extend(tasks.iter().map(|t| row(t, dropped)));
        let used = table_width(&rows, 0) + 2;
        let room = style.width.saturating_sub(used);
        if room < LEAST_COMMAND && dropped < 4 {
            continue;
        }
        rows[0].push(Cell::left("command").paint(Paint::Dim));
        for (row, task) in rows[1..].iter_mut().zip(tasks) {
            let words: Vec<String> = task
                .argv
                .iter()
                .map(|a| a.to_string_lossy().into_owned())
                .collect();
            let more = if task.omitted_args > 0 { " ..." } else { "" };
            let command = shell(&words) + more;
            let room = room.max(LEAST_COMMAND / 2);
            row.push(Cell::left(shorten(&command, room, style.unicode)));
        }
        return table(&rows, 0, style);
    }
    String::new()
}

fn header(dropped: usize) -> Vec<Cell> {
    columns(
        dropped,
        [
            Cell::left("started"),
            Cell::left("end"),
            Cell::right("wall"),
            Cell::right("CPU"),
            Cell::right("memory"),
            Cell::right("predicted"),
        ]
        .map(|c| c.paint(Paint::Dim)),
    )
}

/// Keeps the columns that there is room for.
fn columns(dropped: usize, cells: [Cell; 6]) -> Vec<Cell> {
    let [started, end, wall, cpu, memory, predicted] = cells;
    let keep = |least: usize, cell| (dropped < least).then_some(cell);
    [
        keep(4, started),
        Some(end),
        keep(3, wall),
        keep(2, cpu),
        Some(memory),
        keep(1, predicted),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn row(task: &TaskRecord, dropped: usize) -> Vec<Cell> {
    let unknown = || "?".to_owned();
    let actuals = task.actuals.unwrap_or_default();
    let predicted = task
        .prediction
        .as_deref()
        .and_then(|p| serde_json::from_str::<Prediction>(p).ok())
        .and_then(|p| p.prediction.peak_memory_bytes)
        .map_or_else(String::new, |l| {
            foreshadow_quantity::Bytes::from_f64(l.p50).to_string()
        });
    let good = task.end == Some(End::Code(0));
    let started: String = task.started.to_string().chars().take(16).collect();
    let end = Cell::left(ending(task));
    columns(
        dropped,
        [
            Cell::left(started.replace('T', " ")),
            if good { end } else { end.paint(Paint::Bad) },
            Cell::right(actuals.wall_seconds.map_or_else(unknown, seconds)),
            Cell::right(actuals.cpu_seconds.map_or_else(unknown, seconds)),
            Cell::right(
                actuals
                    .peak_memory_bytes
                    .map_or_else(unknown, |b| b.to_string()),
            ),
            Cell::right(predicted),
        ],
    )
}

/// `ok`, `exit 2`, `signal 15`, `memory`, `running`, `lost`.
fn ending(task: &TaskRecord) -> String {
    match (task.state, task.cause, task.end) {
        (TaskState::Running, ..) => "running".into(),
        (TaskState::Lost, ..) => "lost".into(),
        (_, Some(Cause::OomCgroup), _) => "memory".into(),
        (_, Some(Cause::OomHost), _) => "host memory".into(),
        (_, Some(Cause::Limit), _) => "limit".into(),
        (_, _, Some(End::Code(0))) => "ok".into(),
        (_, _, Some(End::Code(code))) => format!("exit {code}"),
        (_, _, Some(End::Signal(signal))) => format!("signal {signal}"),
        (TaskState::Finished, _, None) => "?".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foreshadow_quantity::Bytes;
    use foreshadow_store::{Actuals, Features, TaskId};

    fn task(end: End, cause: Option<Cause>) -> TaskRecord {
        TaskRecord {
            id: TaskId::new(),
            signature: "sort <path>".into(),
            argv: vec![
                "sort".into(),
                "-S".into(),
                "50%".into(),
                "big file.csv".into(),
            ],
            omitted_args: 0,
            cwd: "/data".into(),
            machine: "m".into(),
            started: "2025-11-29T10:00:00Z".parse().unwrap(),
            ended: None,
            state: TaskState::Finished,
            end: Some(end),
            cause,
            input_bytes: None,
            features: Features::default(),
            actuals: Some(Actuals {
                peak_memory_bytes: Some(Bytes::mib(210)),
                wall_seconds: Some(4.0),
                ..Actuals::default()
            }),
            prediction: Some(
                serde_json::to_string(&crate::render::fixtures::prediction()).unwrap(),
            ),
        }
    }

    #[test]
    fn lines_of_tasks() {
        let tasks = [
            task(End::Code(0), None),
            task(End::Code(3), None),
            task(End::Signal(9), Some(Cause::OomCgroup)),
            TaskRecord {
                state: TaskState::Lost,
                actuals: None,
                end: None,
                ..task(End::Code(0), None)
            },
        ];
        let style = |width| Style {
            width,
            color: false,
            unicode: true,
        };
        let text = list(&tasks, &style(100));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[1],
            "2025-11-29 10:00  ok      4.0 s    ?  210 MiB    210 MiB  sort -S 50% 'big file.csv'"
        );
        assert!(lines[2].contains("exit 3"), "{text}");
        assert!(lines[3].contains("  memory  "), "{text}");
        assert!(lines[4].contains("lost"), "{text}");
        for width in [40, 50, 60, 80, 100] {
            let text = list(&tasks, &style(width));
            assert!(
                text.lines().all(|l| l.chars().count() <= width),
                "{width}\n{text}"
            );
            assert!(text.contains("sort"), "{width}\n{text}");
        }
    }
}
