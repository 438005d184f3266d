use foreshadow_engine::contract::{CommandLine, PathText};
use foreshadow_store::{
    Actuals, End, Features, HistoryFilter, Store, StoreError, TaskRecord, TaskState, state_dir,
};
use serde::Serialize;

use crate::args::HistoryArguments;
use crate::failure::Failure;
use crate::term::Style;
use crate::{output, render};

pub(super) fn execute(arguments: &HistoryArguments) -> Result<(), Failure> {
    let tasks = tasks(HistoryFilter {
        limit: Some(arguments.limit),
        command: arguments.command.clone(),
        ..HistoryFilter::default()
    })?;
    if arguments.json {
        let tasks = tasks.iter().map(Entry::new).collect();
        return output::print_json(&Document {
            schema: "foreshadow.history/1",
            tasks,
        });
    }
    if tasks.is_empty() {
        return output::print("No command was run yet, or none that matches.\n");
    }
    output::print(&render::history::list(&tasks, &Style::stdout()))
}

/// The tasks that pass; none where there is no history yet.
pub(super) fn tasks(filter: HistoryFilter) -> Result<Vec<TaskRecord>, Failure> {
    let dir = state_dir()?;
    // Opening for writing marks those as lost whose process is gone. Where that is not possible,
    // reading may still be.
    let store = match Store::open_read_only(&dir) {
        Err(StoreError::Absent { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
        Ok(store) => Store::open(&dir).unwrap_or(store),
    };
    Ok(store.history(&filter)?)
}

/// `history --json`.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    tasks: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: &'a str,
    started: String,
    ended: Option<String>,
    state: TaskState,
    exit_code: Option<i32>,
    signal: Option<i32>,
    cause_of_death: Option<&'static str>,
    #[serde(flatten)]
    command: CommandLine,
    omitted_args: u64,
    cwd: PathText,
    machine: &'a str,
    signature: &'a str,
    input_bytes: Option<foreshadow_quantity::Bytes>,
    features: &'a Features,
    actual: Option<Actuals>,
    prediction: Option<serde_json::Value>,
}

impl<'a> Entry<'a> {
    fn new(task: &'a TaskRecord) -> Self {
        let (exit_code, signal) = match task.end {
            Some(End::Code(code)) => (Some(code), None),
            Some(End::Signal(signal)) => (None, Some(signal)),
            None => (None, None),
        };
        Entry {
            id: task.id.as_str(),
            started: task.started.to_string(),
            ended: task.ended.map(|t| t.to_string()),
            state: task.state,
            exit_code,
            signal,
            cause_of_death: task.cause.map(foreshadow_store::Cause::name),
            command: CommandLine::new(&task.argv),
            omitted_args: task.omitted_args,
            cwd: PathText::new(&task.cwd),
            machine: &task.machine,
            signature: &task.signature,
            input_bytes: task.input_bytes,
            features: &task.features,
            actual: task.actuals,
            prediction: task
                .prediction
                .as_deref()
                .and_then(|p| serde_json::from_str(p).ok()),
        }
    }
}
