//! Ends that webhooks were not told of yet.

use rusqlite::{Connection, params};

use super::{Ledger, task::Entry};
use crate::{Notice, Place, Standing, sqlite::rows};

const ALL: &str = "SELECT t.id, n.attempt, n.place FROM notice n JOIN task t ON t.seq = n.seq \
     ORDER BY n.number LIMIT ?1";

impl Ledger {
    /// Notes that a task has ended here.
    pub(super) fn keep_notice(&self, entry: &Entry, end: &Standing) -> rusqlite::Result<()> {
        self.note_end(entry.seq, end.attempt, end.place)
    }

    pub(super) fn note_end(&self, seq: i64, attempt: u32, end: Place) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "INSERT OR IGNORE INTO notice (seq, attempt, place) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![seq, attempt, end.code()])
            .map(drop)
    }

    pub(in crate::sqlite) fn forget_notice(&mut self, notice: Notice) -> rusqlite::Result<()> {
        let Some(place) = Place::of_end(notice.state) else { return Ok(()) };
        self.connection
            .prepare_cached(
                "DELETE FROM notice WHERE attempt = ?2 AND place = ?3 \
                 AND seq = (SELECT seq FROM task WHERE id = ?1)",
            )?
            .execute(params![notice.task.uuid().as_bytes(), notice.attempt, place.code()])
            .map(drop)
    }
}

/// The oldest of them.
pub(in crate::sqlite) fn read(
    connection: &Connection,
    limit: u32,
) -> rusqlite::Result<Vec<Notice>> {
    let read = |row: &rusqlite::Row<'_>| {
        let state = rows::place(2, row.get(2)?)?.state();
        Ok(Notice { task: rows::id(row, 0)?, attempt: row.get(1)?, state })
    };
    connection.prepare_cached(ALL)?.query_map(params![limit], read)?.collect()
}
