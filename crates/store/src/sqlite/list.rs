//! Pages of tasks, newest first.
//!
//! One index serves every filter: for each model and place that may match, its newest entries are
//! read in order, and the newest of all of them make the page. There are few models and nine places.

use rusqlite::{Connection, OptionalExtension, ToSql, params};
use types::{ErrorCode, ModelName};

use super::{
    ledger::{from_sql, to_sql},
    rows,
};
use crate::{Cursor, Next, Place, TaskFilter, TaskList};

pub(super) const PEEK: &str = "SELECT task.place, name.text FROM task \
     JOIN name ON name.id = task.tenant WHERE model = ?1 AND place <= ?2 ORDER BY place, seq LIMIT 1";

pub(super) const NEXT_MODEL: &str = "SELECT min(model) FROM task WHERE model > ?1";

pub(super) const NEWEST: &str = "SELECT seq FROM task WHERE model = ?1 AND place = ?2 \
     AND seq < ?3 AND (?4 IS NULL OR tenant = ?4) ORDER BY seq DESC LIMIT ?5";

pub(super) const NEWEST_WITH_ERROR: &str = "SELECT seq FROM task WHERE model = ?1 AND place = ?2 \
     AND seq < ?3 AND (?4 IS NULL OR tenant = ?4) AND error_code = ?6 ORDER BY seq DESC LIMIT ?5";

/// What the index is asked for; names as numbers.
struct Scan {
    models: Vec<i64>,
    places: Vec<Place>,
    tenant: Option<i64>,
    error: Option<ErrorCode>,
    /// Only older than this.
    before: i64,
    /// At most this many.
    limit: usize,
}

pub(super) fn page(
    connection: &Connection,
    filter: &TaskFilter,
    after: Option<Cursor>,
    limit: u32,
) -> rusqlite::Result<TaskList> {
    // One transaction, so that the page and its records are of one moment.
    let transaction = connection.unchecked_transaction()?;
    let limit = limit as usize;
    let before = after.map_or(i64::MAX, |cursor| to_sql(cursor.0));
    let mut found = match scan(&transaction, filter, before, limit + 1)? {
        Some(scan) => scan.run(&transaction)?,
        None => Vec::new(),
    };
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|seq| Cursor(from_sql(*seq)));
    let mut tasks = Vec::with_capacity(found.len());
    for seq in found {
        tasks.extend(rows::by_seq(&transaction, seq)?);
    }
    Ok(TaskList { tasks, next })
}

/// Whose turn it is in the queue of a model.
pub(super) fn next_ready(
    connection: &Connection,
    model: &ModelName,
) -> rusqlite::Result<Option<Next>> {
    let Some(model) = rows::name_id(connection, model.as_str())? else { return Ok(None) };
    connection
        .prepare_cached(PEEK)?
        .query_row(params![model, Place::READY_LAST.code()], |row| {
            Ok(Next { priority: rows::priority(row, 0)?, tenant: rows::parsed(row, 1)? })
        })
        .optional()
}

/// `None` if the filter names something that no task has.
fn scan(
    connection: &Connection,
    filter: &TaskFilter,
    before: i64,
    limit: usize,
) -> rusqlite::Result<Option<Scan>> {
    let models = match &filter.model {
        None => all_models(connection)?,
        Some(model) => match rows::name_id(connection, model.as_str())? {
            Some(id) => vec![id],
            None => return Ok(None),
        },
    };
    let tenant = match &filter.tenant {
        None => None,
        Some(tenant) => match rows::name_id(connection, tenant.as_str())? {
            Some(id) => Some(id),
            None => return Ok(None),
        },
    };
    let (places, error) = (filter.places(), filter.error_code);
    Ok(Some(Scan { models, places, tenant, error, before, limit }))
}

/// Steps from model to model through the index, however many tasks each has.
fn all_models(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    let mut next = connection.prepare_cached(NEXT_MODEL)?;
    let mut models = Vec::new();
    let mut last = i64::MIN;
    while let Some(model) = next.query_row(params![last], |row| row.get::<_, Option<i64>>(0))? {
        models.push(model);
        last = model;
    }
    Ok(models)
}

impl Scan {
    /// The numbers of the newest tasks that match, newest first.
    fn run(&self, connection: &Connection) -> rusqlite::Result<Vec<i64>> {
        let question = if self.error.is_some() { NEWEST_WITH_ERROR } else { NEWEST };
        let mut query = connection.prepare_cached(question)?;
        let mut found: Vec<i64> = Vec::new();
        for model in &self.models {
            for place in &self.places {
                let limit = to_sql(self.limit as u64);
                let all = params![model, place.code(), self.before, self.tenant, limit];
                let mut values = all.to_vec();
                let slug = self.error.map(ErrorCode::slug);
                values.extend(slug.iter().map(|slug| slug as &dyn ToSql));
                for seq in query.query_map(&*values, |row| row.get(0))? {
                    found.push(seq?);
                }
            }
            // Keeps the list at two pages, however many models there are.
            found.sort_unstable_by(|a, b| b.cmp(a));
            found.truncate(self.limit);
        }
        Ok(found)
    }
}
