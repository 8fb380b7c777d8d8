//! Tasks with all that the file knows of them.

use rusqlite::{Connection, OptionalExtension, params};
use types::TaskId;

use super::{
    ledger::{attempts_of, from_sql, to_sql},
    rows,
};
use crate::{Cursor, Notice, WholePage, WholeTask};

pub(super) const OLDEST: &str =
    "SELECT seq, request_hash FROM task WHERE seq > ?1 ORDER BY seq LIMIT ?2";

const NOTICES: &str = "SELECT attempt, place FROM notice WHERE seq = ?1";

pub(super) fn page(
    connection: &Connection,
    after: Option<Cursor>,
    limit: u32,
) -> rusqlite::Result<WholePage> {
    // One transaction, so that a record and its history are of one moment.
    let transaction = connection.unchecked_transaction()?;
    let (after, limit) = (after.map_or(-1, |after| to_sql(after.0)), limit as usize);
    let mut found: Vec<(i64, Option<[u8; 32]>)> = transaction
        .prepare_cached(OLDEST)?
        .query_map(params![after, to_sql(limit as u64 + 1)], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(seq, _)| Cursor(from_sql(*seq)));
    let mut tasks = Vec::with_capacity(found.len());
    for (seq, hash) in found {
        let Some(record) = rows::by_seq(&transaction, seq)? else { continue };
        let attempts = attempts_of(&transaction, record.id)?;
        let notices = notices_of(&transaction, seq, record.id)?;
        tasks.push(WholeTask::new(record, hash, attempts, notices));
    }
    Ok(WholePage { tasks, next })
}

fn notices_of(connection: &Connection, seq: i64, task: TaskId) -> rusqlite::Result<Vec<Notice>> {
    connection
        .prepare_cached(NOTICES)?
        .query_map(params![seq], |row| {
            let state = rows::place(1, row.get(1)?)?.state();
            Ok(Notice { task, attempt: row.get(0)?, state })
        })?
        .collect()
}

/// The task that another has the key of, if there is one.
pub(super) fn key_holder(
    connection: &Connection,
    tenant: i64,
    model: i64,
    key: &str,
) -> rusqlite::Result<Option<TaskId>> {
    connection
        .prepare_cached(
            "SELECT id FROM task WHERE tenant = ?1 AND model = ?2 AND idempotency_key = ?3",
        )?
        .query_row(params![tenant, model, key], |row| rows::id(row, 0))
        .optional()
}
