//! The history of a task: how its attempts failed.

use rusqlite::{Connection, params};
use types::{TaskId, Timestamp};

use super::{Ledger, task::Entry, to_sql};
use crate::{FailedAttempt, TaskError, sqlite::rows};

/// What `updated` says of a task that runs is when its attempt was claimed.
const KEEP: &str = "INSERT INTO attempt (seq, number, owner, began, ended, error_code, error_detail) \
     SELECT seq, attempt, owner, updated, ?2, ?3, ?4 FROM task WHERE seq = ?1";

/// Removes the second of those that are kept, if too many follow it.
const FORGET: &str = "DELETE FROM attempt WHERE seq = ?1 AND number = \
     (SELECT number FROM attempt WHERE seq = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2) \
     AND number > (SELECT min(number) FROM attempt WHERE seq = ?1)";

pub(super) const OF_TASK: &str = "SELECT a.number, a.owner, a.began, a.ended, a.error_code, a.error_detail \
     FROM attempt a JOIN task t ON t.seq = a.seq WHERE t.id = ?1 ORDER BY a.number";

impl Ledger {
    /// Notes how the attempt of a task fails, before the step is written that ends it.
    pub(super) fn keep_attempt(
        &self,
        entry: &Entry,
        error: &TaskError,
        now: Timestamp,
    ) -> rusqlite::Result<()> {
        self.connection.prepare_cached(KEEP)?.execute(params![
            entry.seq,
            to_sql(now.millis()),
            error.code.slug(),
            error.detail,
        ])?;
        if entry.standing.attempt as usize > FailedAttempt::KEPT_MAX {
            let followers_max = to_sql(FailedAttempt::KEPT_MAX as u64 - 1);
            self.connection.prepare_cached(FORGET)?.execute(params![entry.seq, followers_max])?;
        }
        Ok(())
    }
}

/// How earlier attempts of a task failed.
pub(in crate::sqlite) fn of_task(
    connection: &Connection,
    id: TaskId,
) -> rusqlite::Result<Vec<FailedAttempt>> {
    connection
        .prepare_cached(OF_TASK)?
        .query_map(params![id.uuid().as_bytes()], |row| {
            Ok(FailedAttempt {
                attempt: row.get(0)?,
                owner: rows::owner(row.get(1)?),
                began: rows::timestamp(row.get(2)?),
                ended: rows::timestamp(row.get(3)?),
                error: TaskError { code: rows::error_code(row, 4)?, detail: row.get(5)? },
            })
        })?
        .collect()
}
