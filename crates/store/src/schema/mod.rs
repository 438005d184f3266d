//! The versions of the database. A version that was released is never changed: a new one is added.

use rusqlite_migration::{M, Migrations};

const STEPS: &[M<'static>] = &[M::up(include_str!("v1.sql"))];

/// All steps from an empty file to [`VERSION`].
pub(crate) const MIGRATIONS: Migrations<'static> = Migrations::from_slice(STEPS);

/// The newest version, as SQLite's `user_version`.
pub(crate) const VERSION: usize = STEPS.len();

/// "Fshw" in ASCII, as SQLite's `application_id`: tells our files from others.
pub(crate) const APPLICATION_ID: i32 = 0x4673_6877;

#[cfg(test)]
mod tests {
    #[test]
    fn migrations_apply() {
        super::MIGRATIONS.validate().unwrap();
    }
}
