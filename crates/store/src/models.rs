use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};

use crate::{Store, StoreError, TaskId};

/// Recordings kept of each command and kind; older ones are dropped as new ones come.
const MOST_RECORDINGS: i64 = 50;

impl Store {
    /// Keeps the learnt models of a command, in place of those before.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub fn record_models(&self, signature: &str, body: &[u8]) -> Result<(), StoreError> {
        self.write(|t| {
            t.execute(
                "INSERT OR REPLACE INTO models (signature, updated, body) VALUES (?, ?, ?)",
                params![signature, Timestamp::now().to_string(), body],
            )
        })?;
        Ok(())
    }

    /// The learnt models of a command.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub fn get_models(&self, signature: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.connection()
            .query_row(
                "SELECT body FROM models WHERE signature = ?",
                [signature],
                |r| r.get(0),
            )
            .optional()
            .map_err(|e| self.error(e))
    }

    /// Keeps the recording of one execution (of a shadow, or of a task's primary). Of each command
    /// and `kind`, the newest fifty are kept.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub fn record_recording(
        &self,
        task: Option<&TaskId>,
        signature: &str,
        kind: &str,
        body: &[u8],
    ) -> Result<(), StoreError> {
        self.write(|t| {
            t.execute(
                "INSERT INTO recordings (task_id, signature, kind, made, body)
                 VALUES (?, ?, ?, ?, ?)",
                params![
                    task.map(TaskId::as_str),
                    signature,
                    kind,
                    Timestamp::now().to_string(),
                    body
                ],
            )?;
            t.execute(
                "DELETE FROM recordings WHERE signature = ?1 AND kind = ?2 AND id <= (
                     SELECT id FROM recordings WHERE signature = ?1 AND kind = ?2
                     ORDER BY id DESC LIMIT 1 OFFSET ?3)",
                params![signature, kind, MOST_RECORDINGS],
            )
        })?;
        Ok(())
    }

    /// The recordings of a command and kind, newest first.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub fn recordings(&self, signature: &str, kind: &str) -> Result<Vec<Vec<u8>>, StoreError> {
        let connection = self.connection();
        let mut query = connection
            .prepare(
                "SELECT body FROM recordings WHERE signature = ? AND kind = ? ORDER BY id DESC",
            )
            .map_err(|e| self.error(e))?;
        query
            .query_map([signature, kind], |r| r.get(0))
            .and_then(Iterator::collect)
            .map_err(|e| self.error(e))
    }
}
