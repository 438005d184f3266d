use std::ffi::OsString;
use std::path::PathBuf;

use foreshadow_quantity::Bytes;
use rusqlite::{Row, params_from_iter};

use crate::record::{Actuals, AdjustmentRecord, Cause, End, TaskRecord, TaskState};
use crate::text::Name;
use crate::{Store, StoreError, TaskId};

/// Which tasks of the history; by default all.
#[derive(Clone, Debug, Default)]
pub struct HistoryFilter {
    /// At most this many, the newest.
    pub limit: Option<usize>,
    /// Only commands that contain this text (arguments joined by spaces).
    pub command: Option<String>,
    /// Only of this signature.
    pub signature: Option<String>,
    /// Only of this kind of machine.
    pub machine: Option<String>,
    /// Only in this state.
    pub state: Option<TaskState>,
}

const COLUMNS: &str = "
    SELECT t.id, t.signature, t.argv, t.omitted_args, t.cwd, t.machine, t.started, t.ended, t.state,
           t.exit_code, t.signal, t.cause_of_death, t.input_bytes, t.features,
           o.task_id, o.peak_memory_bytes, o.page_cache_peak_bytes, o.cpu_seconds, o.wall_seconds,
           o.read_bytes, o.write_bytes, o.network_bytes, o.major_faults, o.cpu_pressure_seconds,
           o.memory_pressure_seconds, o.io_pressure_seconds,
           (SELECT document FROM predictions WHERE task_id = t.id ORDER BY id DESC LIMIT 1)
    FROM tasks t LEFT JOIN outcomes o ON o.task_id = t.id";

impl HistoryFilter {
    /// The conditions that the database checks, and their values. Only those that are set are
    /// written out, so that the index over signatures is used.
    fn conditions(&self) -> (String, Vec<&str>) {
        let given = [
            ("t.signature", self.signature.as_deref()),
            ("t.machine", self.machine.as_deref()),
            ("t.state", self.state.map(TaskState::name)),
        ];
        let (columns, values): (Vec<&str>, Vec<&str>) = given
            .into_iter()
            .filter_map(|(column, value)| Some((column, value?)))
            .unzip();
        let text: String = columns
            .iter()
            .enumerate()
            .map(|(i, column)| format!("{} {column} = ?", if i == 0 { "WHERE" } else { "AND" }))
            .collect::<Vec<_>>()
            .join(" ");
        (text, values)
    }
}

impl Store {
    /// The tasks that pass the filter, newest first.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub fn history(&self, filter: &HistoryFilter) -> Result<Vec<TaskRecord>, StoreError> {
        let limit = filter.limit.unwrap_or(usize::MAX);
        let mut found = Vec::new();
        let connection = self.connection();
        let (conditions, values) = filter.conditions();
        let mut query = connection
            .prepare(&format!("{COLUMNS} {conditions} ORDER BY t.id DESC"))
            .map_err(|e| self.error(e))?;
        let mut rows = query
            .query(params_from_iter(values))
            .map_err(|e| self.error(e))?;
        while found.len() < limit {
            let Some(row) = rows.next().map_err(|e| self.error(e))? else {
                break;
            };
            let task = self.read(row)?;
            if filter.command.as_ref().is_none_or(|c| contains(&task, c)) {
                found.push(task);
            }
        }
        Ok(found)
    }

    /// Finished tasks of this signature and kind of machine, newest first: what a prediction can
    /// be drawn from. Those that failed are among them: see [`TaskRecord::end`].
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub fn similar(
        &self,
        signature: &str,
        machine: &str,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        self.history(&HistoryFilter {
            limit: Some(limit),
            command: None,
            signature: Some(signature.to_owned()),
            machine: Some(machine.to_owned()),
            state: Some(TaskState::Finished),
        })
    }

    /// How the limits of a task were changed while it ran, in their order.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub fn adjustments(&self, id: &TaskId) -> Result<Vec<AdjustmentRecord>, StoreError> {
        let connection = self.connection();
        let mut query = connection
            .prepare(
                "SELECT at_seconds, resource, from_value, to_value, reason FROM adjustments
                 WHERE task_id = ? ORDER BY id",
            )
            .map_err(|e| self.error(e))?;
        query
            .query_map([id.as_str()], |r| {
                Ok(AdjustmentRecord {
                    at_seconds: r.get(0)?,
                    resource: r.get(1)?,
                    from: r.get(2)?,
                    to: r.get(3)?,
                    reason: r.get(4)?,
                })
            })
            .and_then(Iterator::collect)
            .map_err(|e| self.error(e))
    }

    fn read(&self, row: &Row<'_>) -> Result<TaskRecord, StoreError> {
        let raw = RawTask::read(row).map_err(|e| self.error(e))?;
        let argv: Vec<Name> =
            serde_json::from_str(&raw.argv).map_err(|e| self.value("command", &e))?;
        let cwd: Name = serde_json::from_str(&raw.cwd).map_err(|e| self.value("directory", &e))?;
        let time = |text: &str| text.parse().map_err(|e| self.value("time", &e));
        Ok(TaskRecord {
            id: raw.id.parse().map_err(|e| self.value("task name", &e))?,
            signature: raw.signature,
            argv: argv.into_iter().map(OsString::from).collect(),
            omitted_args: raw.omitted_args.unsigned_abs(),
            cwd: PathBuf::from(OsString::from(cwd)),
            machine: raw.machine,
            started: time(&raw.started)?,
            ended: raw.ended.as_deref().map(time).transpose()?,
            state: TaskState::from_name(&raw.state)
                .ok_or_else(|| self.value("state", &raw.state))?,
            end: match (raw.exit_code, raw.signal) {
                (_, Some(signal)) => Some(End::Signal(signal)),
                (Some(code), None) => Some(End::Code(code)),
                (None, None) => None,
            },
            cause: raw
                .cause
                .map(|c| Cause::from_name(&c).ok_or_else(|| self.value("cause of death", &c)))
                .transpose()?,
            input_bytes: raw.input_bytes,
            features: serde_json::from_str(&raw.features).map_err(|e| self.value("feature", &e))?,
            actuals: raw.actuals,
            prediction: raw.prediction,
        })
    }
}

impl TaskState {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            TaskState::Running => "running",
            TaskState::Finished => "finished",
            TaskState::Lost => "lost",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [TaskState::Running, TaskState::Finished, TaskState::Lost]
            .into_iter()
            .find(|s| s.name() == name)
    }
}

fn contains(task: &TaskRecord, text: &str) -> bool {
    let joined: Vec<_> = task.argv.iter().map(|a| a.to_string_lossy()).collect();
    joined.join(" ").contains(text)
}

/// A row before its texts are read.
struct RawTask {
    id: String,
    signature: String,
    argv: String,
    omitted_args: i64,
    cwd: String,
    machine: String,
    started: String,
    ended: Option<String>,
    state: String,
    exit_code: Option<i32>,
    signal: Option<i32>,
    cause: Option<String>,
    input_bytes: Option<Bytes>,
    features: String,
    actuals: Option<Actuals>,
    prediction: Option<String>,
}

impl RawTask {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let outcome: Option<String> = row.get(14)?;
        Ok(RawTask {
            id: row.get(0)?,
            signature: row.get(1)?,
            argv: row.get(2)?,
            omitted_args: row.get(3)?,
            cwd: row.get(4)?,
            machine: row.get(5)?,
            started: row.get(6)?,
            ended: row.get(7)?,
            state: row.get(8)?,
            exit_code: row.get(9)?,
            signal: row.get(10)?,
            cause: row.get(11)?,
            input_bytes: bytes(row, 12)?,
            features: row.get(13)?,
            actuals: outcome.map(|_| actuals(row)).transpose()?,
            prediction: row.get(26)?,
        })
    }
}

fn actuals(row: &Row<'_>) -> rusqlite::Result<Actuals> {
    Ok(Actuals {
        peak_memory_bytes: bytes(row, 15)?,
        page_cache_peak_bytes: bytes(row, 16)?,
        cpu_seconds: row.get(17)?,
        wall_seconds: row.get(18)?,
        read_bytes: bytes(row, 19)?,
        write_bytes: bytes(row, 20)?,
        network_bytes: bytes(row, 21)?,
        major_faults: bytes(row, 22)?.map(Bytes::get),
        cpu_pressure_seconds: row.get(23)?,
        memory_pressure_seconds: row.get(24)?,
        io_pressure_seconds: row.get(25)?,
    })
}

fn bytes(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Bytes>> {
    let n: Option<i64> = row.get(column)?;
    Ok(n.map(|n| Bytes::new(n.unsigned_abs())))
}
