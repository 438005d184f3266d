use jiff::Timestamp;
use rusqlite::params;

use crate::{Store, StoreError, TaskId};

/// A prediction to keep.
#[derive(Clone, Copy, Debug)]
pub struct NewPrediction<'a> {
    /// The task that it was made for; `None` where nothing is run.
    pub task: Option<&'a TaskId>,
    /// The command, see [`crate::signature()`].
    pub signature: &'a str,
    /// The kind of machine.
    pub machine: &'a str,
    /// The name of its method.
    pub method: &'a str,
    /// The whole document (`foreshadow.prediction/1`), as JSON.
    pub document: &'a str,
}

/// A prediction that was kept, and what the task it was made for is known to have used.
#[derive(Clone, Debug)]
pub struct PredictionRecord {
    /// When it was made.
    pub made: Timestamp,
    /// The command.
    pub signature: String,
    /// The name of its method.
    pub method: String,
    /// The document, as JSON.
    pub document: String,
    /// The task; `None` where nothing was run.
    pub task: Option<TaskId>,
}

impl Store {
    /// Keeps a prediction.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub fn record_prediction(&self, prediction: &NewPrediction<'_>) -> Result<(), StoreError> {
        self.write(|t| {
            t.execute(
                "INSERT INTO predictions (task_id, signature, machine, made, method, document)
                 VALUES (?, ?, ?, ?, ?, ?)",
                params![
                    prediction.task.map(TaskId::as_str),
                    prediction.signature,
                    prediction.machine,
                    Timestamp::now().to_string(),
                    prediction.method,
                    prediction.document,
                ],
            )
        })?;
        Ok(())
    }

    /// The last predictions of a command, newest first.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub fn predictions(
        &self,
        signature: &str,
        limit: usize,
    ) -> Result<Vec<PredictionRecord>, StoreError> {
        let rows = {
            let connection = self.connection();
            let mut query = connection
                .prepare(
                    "SELECT made, signature, method, document, task_id FROM predictions
                     WHERE signature = ? ORDER BY id DESC LIMIT ?",
                )
                .map_err(|e| self.error(e))?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            query
                .query_map(params![signature, limit], |r| {
                    Ok((
                        r.get::<_, String>(0)?,
                        r.get(1)?,
                        r.get(2)?,
                        r.get(3)?,
                        r.get::<_, Option<String>>(4)?,
                    ))
                })
                .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>)
                .map_err(|e| self.error(e))?
        };
        rows.into_iter()
            .map(|(made, signature, method, document, task)| {
                Ok(PredictionRecord {
                    made: made.parse().map_err(|e| self.value("time", &e))?,
                    signature,
                    method,
                    document,
                    task: task
                        .map(|id| id.parse().map_err(|e| self.value("task name", &e)))
                        .transpose()?,
                })
            })
            .collect()
    }
}
