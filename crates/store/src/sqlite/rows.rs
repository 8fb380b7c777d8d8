//! Rows back into records.

use std::{str::FromStr, time::Duration};

use bytes::Bytes;
use policy::{backoff::Backoff, task::TaskPolicy};
use rusqlite::{
    Connection, OptionalExtension, Row, params,
    types::{FromSqlError, Type},
};
use types::{ErrorCode, Priority, TaskId, Timestamp};
use uuid::Uuid;

use super::ledger::from_sql;
use crate::{
    Owner, Place, Progress, Standing, StoredAnswer, StoredRequest, TaskError, TaskRecord, Webhook,
};

/// A whole record; the first eleven columns are those of [`standing`].
macro_rules! select_record {
    ($condition:literal) => {
        concat!(
            "SELECT t.place, t.priority, t.attempt, t.failures, t.attempts_max, t.backoff_ms, \
             t.backoff_ms_max, t.owner, t.due, t.deadline, t.keep_ms, t.id, model.text, tenant.text, t.idempotency_key, t.progress, \
             t.created, t.updated, t.error_code, t.error_detail, r.route, r.content_type, \
             r.headers, r.body, a.content_type, a.body, t.webhook \
             FROM task t JOIN name model ON model.id = t.model \
             JOIN name tenant ON tenant.id = t.tenant JOIN request r ON r.seq = t.seq \
             LEFT JOIN answer a ON a.seq = t.seq WHERE ",
            $condition
        )
    };
}

pub(super) fn by_id(connection: &Connection, id: TaskId) -> rusqlite::Result<Option<TaskRecord>> {
    connection
        .prepare_cached(select_record!("t.id = ?1"))?
        .query_row(params![id.uuid().as_bytes()], record)
        .optional()
}

pub(super) fn by_seq(connection: &Connection, seq: i64) -> rusqlite::Result<Option<TaskRecord>> {
    connection
        .prepare_cached(select_record!("t.seq = ?1"))?
        .query_row(params![seq], record)
        .optional()
}

/// The number of a model or a tenant, if the file knows it.
pub(super) fn name_id(connection: &Connection, text: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM name WHERE text = ?1")?
        .query_row(params![text], |row| row.get(0))
        .optional()
}

fn record(row: &Row<'_>) -> rusqlite::Result<TaskRecord> {
    let standing = standing(row)?;
    let completed = standing.place == Place::Completed;
    Ok(TaskRecord {
        id: id(row, 11)?,
        model: parsed(row, 12)?,
        tenant: parsed(row, 13)?,
        request: StoredRequest {
            route: row.get(20)?,
            content_type: row.get(21)?,
            headers: headers(row, 22)?,
            body: bytes(row, 23)?.unwrap_or_default(),
        },
        idempotency_key: row.get(14)?,
        standing,
        answer: if completed { answer(row)? } else { None },
        error: if completed { None } else { error(row)? },
        webhook: webhook(row, 26)?,
        progress: Progress { fraction: row.get(15)?, ..Progress::default() },
        created: timestamp(row.get(16)?),
        updated: timestamp(row.get(17)?),
    })
}

/// Reads the first eleven columns.
pub(super) fn standing(row: &Row<'_>) -> rusqlite::Result<Standing> {
    let backoff = Backoff { base: duration(row.get(5)?), max: duration(row.get(6)?) };
    Ok(Standing {
        place: place(0, row.get(0)?)?,
        priority: priority(row, 1)?,
        attempt: row.get(2)?,
        failures: row.get(3)?,
        retry: TaskPolicy { attempts_max: row.get(4)?, backoff },
        owner: owner(row.get(7)?),
        due: row.get::<_, Option<i64>>(8)?.map(timestamp),
        deadline: row.get::<_, Option<i64>>(9)?.map(timestamp),
        keep_for: duration(row.get(10)?),
    })
}

pub(super) fn place(column: usize, code: i64) -> rusqlite::Result<Place> {
    Place::from_code(code).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, code))
}

/// A class, written as the code of its lane.
pub(super) fn priority(row: &Row<'_>, column: usize) -> rusqlite::Result<Priority> {
    let code = row.get(column)?;
    match place(column, code)? {
        Place::Ready(priority) => Ok(priority),
        _ => Err(rusqlite::Error::IntegralValueOutOfRange(column, code)),
    }
}

pub(super) fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<TaskId> {
    Ok(TaskId::new(Uuid::from_bytes(row.get(column)?)))
}

/// A text that was checked when it was written.
pub(super) fn parsed<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text = row.get_ref(column)?.as_str()?;
    text.parse().map_err(|error| unreadable(column, error))
}

/// No headers, as most tasks have, cost nothing.
pub(super) fn headers_to_sql(headers: &[(String, String)]) -> rusqlite::Result<Option<String>> {
    if headers.is_empty() {
        return Ok(None);
    }
    let text = serde_json::to_string(headers);
    text.map(Some).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

pub(super) fn webhook_to_sql(webhook: Option<&Webhook>) -> rusqlite::Result<Option<String>> {
    let text = webhook.map(serde_json::to_string).transpose();
    text.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn webhook(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Webhook>> {
    let text = row.get_ref(column)?.as_str_or_null()?;
    text.map(serde_json::from_str).transpose().map_err(|error| unreadable(column, error))
}

pub(super) fn duration_to_sql(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn headers(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<(String, String)>> {
    match row.get_ref(column)?.as_str_or_null()? {
        None => Ok(Vec::new()),
        Some(text) => serde_json::from_str(text).map_err(|error| unreadable(column, error)),
    }
}

fn answer(row: &Row<'_>) -> rusqlite::Result<Option<StoredAnswer>> {
    let content_type = row.get(24)?;
    Ok(bytes(row, 25)?.map(|body| StoredAnswer { content_type, body }))
}

fn error(row: &Row<'_>) -> rusqlite::Result<Option<TaskError>> {
    if row.get_ref(18)?.as_str_or_null()?.is_none() {
        return Ok(None);
    }
    let detail = row.get::<_, Option<String>>(19)?.unwrap_or_default();
    Ok(Some(TaskError { code: error_code(row, 18)?, detail }))
}

/// A later version may have known more codes.
pub(super) fn error_code(row: &Row<'_>, column: usize) -> rusqlite::Result<ErrorCode> {
    let slug = row.get_ref(column)?.as_str()?;
    Ok(ErrorCode::from_slug(slug).unwrap_or(ErrorCode::InternalError))
}

fn bytes(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Bytes>> {
    Ok(row.get_ref(column)?.as_blob_or_null()?.map(Bytes::copy_from_slice))
}

fn duration(millis: i64) -> Duration {
    Duration::from_millis(from_sql(millis))
}

pub(super) fn owner(number: i64) -> Owner {
    Owner(from_sql(number))
}

pub(super) fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_millis(from_sql(millis))
}

fn unreadable(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    let cause = FromSqlError::Other(Box::new(error));
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(cause))
}
