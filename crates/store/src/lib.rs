//! History of tasks in SQLite, safe under many processes and sudden death.
