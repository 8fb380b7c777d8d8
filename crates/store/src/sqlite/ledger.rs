//! The writer's side of the file: transactions, and what is remembered between them.

mod attempts;
mod clock;
mod notices;
mod queue;
mod restore;
mod tally;
mod task;
#[cfg(test)]
mod tests;

use std::path::Path;

use rusqlite::{Connection, params};
use types::Timestamp;

use self::tally::Tally;
pub(super) use self::{attempts::of_task as attempts_of, notices::read as notices};
use super::{checkpoint, schema, writer::Durability};
use crate::{ModelTasks, Owner, StoreError};

/// `min` over all places would walk the whole index; one step per place does not.
const NEXT_DUE: &str = "SELECT min(due) FROM task WHERE place = ?1 AND due IS NOT NULL";

/// The connection that writes. Its methods run inside a transaction that [`super::writer`] opens
/// and commits.
pub(super) struct Ledger {
    connection: Connection,
    owner: Owner,
    synced: Durability,
    /// How many tasks stand where, and the numbers of names; in step with the transaction.
    tally: Tally,
}

impl Ledger {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = schema::open(path)?;
        let sqlite = |error| schema::fault(path, error);
        let epoch = connection
            .query_row("UPDATE server SET epoch = epoch + 1 RETURNING epoch", [], |row| row.get(0))
            .map_err(sqlite)?;
        let tally = Tally::read(&connection).map_err(sqlite)?;
        Ok(Self { connection, owner: Owner(from_sql(epoch)), synced: Durability::Synced, tally })
    }

    /// For what has no part in the counts.
    pub(super) const fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) const fn owner(&self) -> Owner {
        self.owner
    }

    /// Opens a transaction whose commit is as durable as asked.
    pub(super) fn begin(&mut self, durability: Durability) -> rusqlite::Result<()> {
        if self.synced != durability {
            let level = match durability {
                Durability::Synced => "full",
                Durability::Relaxed => "normal",
            };
            self.connection.pragma_update(None, "synchronous", level)?;
            self.synced = durability;
        }
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([]).map(drop)
    }

    pub(super) fn commit(&mut self) -> rusqlite::Result<()> {
        self.connection.prepare_cached("COMMIT")?.execute([]).map(drop)
    }

    /// Undoes the open transaction, if there is one, and what was remembered from it.
    pub(super) fn roll_back(&mut self) {
        // Some errors end the transaction by themselves.
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(error = %error, "a transaction could not be rolled back");
        }
        match Tally::read(&self.connection) {
            Ok(tally) => self.tally = tally,
            // Counts may be off until the next restart; records are not affected.
            Err(error) => tracing::error!(error = %error, "the tasks could not be counted"),
        }
    }

    /// See [`checkpoint::checkpoint`]; outside a transaction.
    pub(super) fn checkpoint(&self) -> rusqlite::Result<()> {
        checkpoint::checkpoint(&self.connection).map(drop)
    }

    pub(super) fn stats(&mut self) -> rusqlite::Result<Vec<ModelTasks>> {
        self.tally.by_model(&self.connection)
    }

    /// Changes a number, so that a page is written.
    pub(super) fn check(&mut self) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("UPDATE server SET checks = checks + 1")?
            .execute([])
            .map(drop)
    }

    /// When time alone changes the next task.
    fn next_due(&self) -> rusqlite::Result<Option<Timestamp>> {
        let mut query = self.connection.prepare_cached(NEXT_DUE)?;
        let mut next = None;
        for place in crate::Place::ALL {
            let due: Option<i64> = query.query_row(params![place.code()], |row| row.get(0))?;
            next = [next, due].into_iter().flatten().min();
        }
        Ok(next.map(|due| Timestamp::from_millis(from_sql(due))))
    }
}

/// SQLite's integers are signed; ours are not and stay far below the difference.
pub(super) fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn from_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
