use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction, params};

use foreshadow_quantity::Bytes;

use crate::owner::Owner;
use crate::record::{End, FinishTask, NewTask};
use crate::text::{Name, names};
use crate::{Store, StoreError, TaskId};

impl Store {
    /// Records that a task begins now, run by this process.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub fn begin_task(&self, task: &NewTask) -> Result<TaskId, StoreError> {
        let (kept, omitted) = names(&task.argv);
        let json =
            |what, result: serde_json::Result<String>| result.map_err(|e| self.value(what, &e));
        let argv = json("command", serde_json::to_string(&kept))?;
        let cwd = json(
            "directory",
            serde_json::to_string(&Name::from(task.cwd.as_os_str())),
        )?;
        let features = json("feature", serde_json::to_string(&task.features))?;
        let owner = json("process", serde_json::to_string(&self.me))?;
        let id = TaskId::new();
        self.write(|t| {
            t.execute(
                "INSERT INTO tasks (id, signature, argv, omitted_args, cwd, machine, started,
                                    state, input_bytes, features, owner)
                 VALUES (?, ?, ?, ?, ?, ?, ?, 'running', ?, ?, ?)",
                params![
                    id.as_str(),
                    task.signature,
                    argv,
                    i64::try_from(omitted).unwrap_or(i64::MAX),
                    cwd,
                    task.machine,
                    Timestamp::now().to_string(),
                    task.input_bytes.map(signed),
                    features,
                    owner,
                ],
            )
        })?;
        Ok(id)
    }

    /// Records the end of a task and what it used, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::NoTask`] where it was never begun; else where the database cannot be written.
    pub fn finish_task(&self, id: &TaskId, finish: &FinishTask) -> Result<(), StoreError> {
        let found = self.write(|t| {
            let found = end_task(t, id, finish)?;
            if found {
                put_actuals(t, id, finish)?;
                put_adjustments(t, id, finish)?;
            }
            Ok(found)
        })?;
        if found {
            Ok(())
        } else {
            Err(StoreError::NoTask {
                id: id.to_string(),
                path: self.path().to_owned(),
            })
        }
    }

    /// Marks running tasks whose process is gone as lost, and says how many.
    pub(crate) fn mark_lost(&self) -> Result<usize, StoreError> {
        let lost: Vec<String> = {
            let connection = self.connection();
            let mut query = connection
                .prepare("SELECT id, owner FROM tasks WHERE state = 'running'")
                .map_err(|e| self.error(e))?;
            let rows = query
                .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))
                .and_then(Iterator::collect::<rusqlite::Result<Vec<(String, String)>>>)
                .map_err(|e| self.error(e))?;
            rows.into_iter()
                .filter(|(_, owner)| {
                    serde_json::from_str::<Owner>(owner).is_ok_and(|o| o.is_dead(&self.me))
                })
                .map(|(id, _)| id)
                .collect()
        };
        if lost.is_empty() {
            return Ok(0);
        }
        self.write(|t| {
            let mut changed = 0;
            for id in &lost {
                changed += t.execute(
                    // It may have been finished or marked since it was read.
                    "UPDATE tasks SET state = 'lost', ended = ? WHERE id = ? AND state = 'running'",
                    params![Timestamp::now().to_string(), id],
                )?;
            }
            Ok(changed)
        })
    }
}

fn end_task(t: &Transaction<'_>, id: &TaskId, finish: &FinishTask) -> rusqlite::Result<bool> {
    let (code, signal) = match finish.end {
        End::Code(code) => (Some(code), None),
        End::Signal(signal) => (None, Some(signal)),
    };
    let known = t
        .query_row(
            "UPDATE tasks SET state = 'finished', ended = ?, exit_code = ?, signal = ?,
                              cause_of_death = ?
             WHERE id = ? RETURNING 1",
            params![
                Timestamp::now().to_string(),
                code,
                signal,
                finish.cause.map(crate::Cause::name),
                id.as_str()
            ],
            |_| Ok(()),
        )
        .optional()?;
    Ok(known.is_some())
}

fn put_actuals(t: &Transaction<'_>, id: &TaskId, finish: &FinishTask) -> rusqlite::Result<()> {
    let a = &finish.actuals;
    t.execute(
        "INSERT OR REPLACE INTO outcomes
             (task_id, peak_memory_bytes, page_cache_peak_bytes, cpu_seconds, wall_seconds,
              read_bytes, write_bytes, network_bytes, major_faults, cpu_pressure_seconds,
              memory_pressure_seconds, io_pressure_seconds)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            id.as_str(),
            a.peak_memory_bytes.map(signed),
            a.page_cache_peak_bytes.map(signed),
            finite(a.cpu_seconds),
            finite(a.wall_seconds),
            a.read_bytes.map(signed),
            a.write_bytes.map(signed),
            a.network_bytes.map(signed),
            a.major_faults.map(|n| signed(Bytes::new(n))),
            finite(a.cpu_pressure_seconds),
            finite(a.memory_pressure_seconds),
            finite(a.io_pressure_seconds),
        ],
    )?;
    Ok(())
}

fn put_adjustments(t: &Transaction<'_>, id: &TaskId, finish: &FinishTask) -> rusqlite::Result<()> {
    // Finishing twice must not double them.
    t.execute("DELETE FROM adjustments WHERE task_id = ?", [id.as_str()])?;
    for a in &finish.adjustments {
        t.execute(
            "INSERT INTO adjustments (task_id, at_seconds, resource, from_value, to_value, reason)
             VALUES (?, ?, ?, ?, ?, ?)",
            params![
                id.as_str(),
                a.at_seconds,
                a.resource,
                a.from,
                a.to,
                a.reason
            ],
        )?;
    }
    Ok(())
}

/// SQLite's integers are signed; no amount of bytes comes near their end.
fn signed(bytes: Bytes) -> i64 {
    i64::try_from(bytes.get()).unwrap_or(i64::MAX)
}

/// What is no number is not known.
fn finite(n: Option<f64>) -> Option<f64> {
    n.filter(|n| n.is_finite())
}
