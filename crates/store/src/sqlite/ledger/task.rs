//! One task in the writer's hands: read its standing, write its next one.

use rusqlite::{OptionalExtension, Row, params};
use types::{TaskId, Timestamp};

use super::{Ledger, tally::NameId, to_sql};
use crate::{
    Place, Standing,
    sqlite::rows,
    standing::{Moment, Step},
};

/// What is needed to take a step.
pub(super) struct Entry {
    pub(super) seq: i64,
    pub(super) id: TaskId,
    pub(super) model: NameId,
    pub(super) standing: Standing,
    /// Whether somebody is told of its end.
    has_webhook: bool,
}

/// The columns of an [`Entry`], in the order in which it reads them.
macro_rules! entry_columns {
    () => {
        "place, priority, attempt, failures, attempts_max, backoff_ms, backoff_ms_max, owner, due, \
         deadline, keep_ms, seq, id, model, webhook IS NOT NULL"
    };
}
pub(super) use entry_columns;

/// The codes of the ready lanes are the smallest, so the first entry of the index is the next.
pub(super) const NEXT_READY: &str = concat!(
    "SELECT ",
    entry_columns!(),
    " FROM task WHERE model = ?1 AND place <= ?2 ORDER BY place, seq LIMIT 1"
);

pub(super) const BY_ID: &str = concat!("SELECT ", entry_columns!(), " FROM task WHERE id = ?1");

impl Entry {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let standing = rows::standing(row)?;
        Ok(Self {
            standing,
            seq: row.get(11)?,
            id: rows::id(row, 12)?,
            model: row.get(13)?,
            has_webhook: row.get(14)?,
        })
    }

    pub(super) const fn at(&self, now: Timestamp) -> Moment {
        Moment { id: self.id, now }
    }
}

impl Ledger {
    pub(super) fn entry(&self, id: TaskId) -> rusqlite::Result<Option<Entry>> {
        self.connection
            .prepare_cached(BY_ID)?
            .query_row(params![id.uuid().as_bytes()], Entry::read)
            .optional()
    }

    /// Writes the step of one task.
    pub(super) fn step(
        &mut self,
        entry: &Entry,
        step: &Step,
        now: Timestamp,
    ) -> rusqlite::Result<()> {
        if let Some(error) = &step.failed {
            self.keep_attempt(entry, error, now)?;
        }
        let Standing { place, attempt, failures, owner, due, deadline, .. } = step.to;
        self.connection
            .prepare_cached(
                "UPDATE task SET place = ?2, attempt = ?3, failures = ?4, owner = ?5, due = ?6, \
                 deadline = ?7, updated = ?8 WHERE seq = ?1",
            )?
            .execute(params![
                entry.seq,
                place.code(),
                attempt,
                failures,
                to_sql(owner.0),
                due.map(|due| to_sql(due.millis())),
                deadline.map(|deadline| to_sql(deadline.millis())),
                to_sql(now.millis()),
            ])?;
        if let Some(error) = &step.error {
            self.connection
                .prepare_cached(
                    "UPDATE task SET error_code = ?2, error_detail = ?3 WHERE seq = ?1",
                )?
                .execute(params![entry.seq, error.code.slug(), error.detail])?;
        }
        if entry.has_webhook && place.state().is_terminal() {
            self.keep_notice(entry, &step.to)?;
        }
        self.tally.left(entry.model, entry.standing.place);
        self.tally.arrived(entry.model, place);
        Ok(())
    }

    /// Removes all that is known of one task.
    pub(super) fn remove(&mut self, entry: &Entry) -> rusqlite::Result<()> {
        for delete in [
            "DELETE FROM task WHERE seq = ?1",
            "DELETE FROM request WHERE seq = ?1",
            "DELETE FROM answer WHERE seq = ?1",
            "DELETE FROM attempt WHERE seq = ?1",
            "DELETE FROM notice WHERE seq = ?1",
        ] {
            self.connection.prepare_cached(delete)?.execute(params![entry.seq])?;
        }
        self.tally.left(entry.model, entry.standing.place);
        Ok(())
    }

    /// The next task of a model that can be claimed.
    pub(super) fn next_ready(&self, model: NameId) -> rusqlite::Result<Option<Entry>> {
        self.connection
            .prepare_cached(NEXT_READY)?
            .query_row(params![model, Place::READY_LAST.code()], Entry::read)
            .optional()
    }
}
