//! History of tasks in SQLite, safe under many processes and sudden death.
//!
//! One database file in the state directory (see [`state_dir`]) is shared by every process of a
//! user. Writers queue behind each other; a writer that is killed leaves the last complete
//! transaction. A task whose process died without a word is marked [`TaskState::Lost`] by the
//! next [`Store::open`].
//!
//! The journal is SQLite's write-ahead log, which needs shared memory between its users: on a
//! network file system, where there is none, a rollback journal is used instead.

mod dir;
mod error;
mod history;
mod id;
mod models;
mod open;
mod owner;
mod predictions;
mod record;
mod schema;
mod signature;
mod tasks;
mod text;

pub use dir::state_dir;
pub use error::StoreError;
pub use history::HistoryFilter;
pub use id::TaskId;
pub use jiff::Timestamp;
pub use open::Store;
pub use predictions::{NewPrediction, PredictionRecord};
pub use record::{
    Actuals, AdjustmentRecord, Cause, End, Features, FinishTask, NewTask, TaskRecord, TaskState,
};
pub use signature::signature;
