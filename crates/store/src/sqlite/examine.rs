//! Looks at a whole file, without changing it.

use std::path::Path;

use api::task::TaskState;
use rusqlite::{Connection, params};
use types::TaskId;

use super::{
    SqliteOptions, SqliteStore,
    ledger::{attempts_of, from_sql},
    lock, rows, schema,
};
use crate::{Report, StoreError};

/// Tasks that are read in one transaction.
const PAGE: i64 = 1000;

const RESTORE: &str = "restore a copy of the file; or `modelyard store export` what can be read, and \
     import it into a new one";

/// Rows that belong to nothing, and tasks that lack what belongs to them.
const STRAYS: [(&str, &str); 5] = [
    ("request", "SELECT seq FROM request WHERE seq NOT IN (SELECT seq FROM task)"),
    ("answer", "SELECT seq FROM answer WHERE seq NOT IN (SELECT seq FROM task)"),
    ("attempt", "SELECT DISTINCT seq FROM attempt WHERE seq NOT IN (SELECT seq FROM task)"),
    ("notice", "SELECT DISTINCT seq FROM notice WHERE seq NOT IN (SELECT seq FROM task)"),
    // Stands last; it is about tasks.
    ("", "SELECT seq FROM task WHERE seq NOT IN (SELECT seq FROM request)"),
];

impl SqliteStore {
    /// Looks at every row of the file that nobody uses, and changes nothing. Blocks for as long as
    /// it takes to read it twice.
    ///
    /// # Errors
    /// [`StoreError::Owned`] if a server has it, [`StoreError::Newer`] if a later version of this
    /// program wrote it, [`StoreError::Corrupt`] if it is no database, [`StoreError::Unavailable`]
    /// if it cannot be read or is not there.
    pub fn examine(options: &SqliteOptions) -> Result<Report, StoreError> {
        let path = &options.path;
        must_exist(path)?;
        let _lock = lock::Lock::take(path)?;
        let connection = schema::open_reader(path)?;
        let sqlite = |error| schema::fault(path, error);
        let found = schema::version(&connection).map_err(sqlite)?;
        let known = schema::known();
        if found > known {
            return Err(StoreError::Newer { path: path.clone(), found, known });
        }
        let engine = format!("SQLite {}", rusqlite::version());
        let mut report = Report::new(path.display().to_string(), engine, found, known);
        if let Err(error) = integrity(&connection, &mut report) {
            report.found(None, format!("its own check failed: {error}"), RESTORE);
        }
        if found == known {
            if let Err(error) = contents(&connection, &mut report) {
                report.found(None, format!("it cannot be read to its end: {error}"), RESTORE);
            }
        } else {
            let problem = format!("it has schema {found}; its records were not read");
            let remedy = "`modelyard serve` and `modelyard store export` bring it forward";
            report.found(None, problem, remedy);
        }
        Ok(report)
    }
}

/// A database is made where there is none; somebody who looks for one wants to know instead.
pub(super) fn must_exist(path: &Path) -> Result<(), StoreError> {
    if path.exists() {
        return Ok(());
    }
    let remedy = "there is no such file; check `store.path` and MODELYARD_DATA_DIR";
    Err(StoreError::Unavailable { path: path.into(), remedy, source: None })
}

/// What SQLite itself can find.
fn integrity(connection: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    connection.pragma_query(None, "integrity_check", |row| {
        let said: String = row.get(0)?;
        if said != "ok" {
            report.found(None, said, RESTORE);
        }
        Ok(())
    })?;
    connection.pragma_query(None, "foreign_key_check", |row| {
        let table: String = row.get(0)?;
        report.found(None, format!("a row of `{table}` points to nothing"), RESTORE);
        Ok(())
    })
}

fn contents(connection: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    for (table, question) in STRAYS {
        let mut query = connection.prepare(question)?;
        for seq in query.query_map([], |row| row.get::<_, i64>(0))? {
            let seq = seq?;
            if table.is_empty() {
                let id = id_of(connection, seq);
                report.found(id, "its request is missing", delete(seq));
            } else {
                let problem =
                    format!("a row of `{table}` belongs to task number {seq}, which is not there");
                let remedy =
                    format!("stop the server and run DELETE FROM {table} WHERE seq = {seq}");
                report.found(None, problem, remedy);
            }
        }
    }
    let mut after = i64::MIN;
    loop {
        let page: Vec<i64> = connection
            .prepare_cached("SELECT seq FROM task WHERE seq > ?1 ORDER BY seq LIMIT ?2")?
            .query_map(params![after, PAGE], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let Some(last) = page.last() else { break };
        after = *last;
        for seq in page {
            task(connection, seq, report);
        }
    }
    let mut kinds = connection.prepare("SELECT kind, count(*) FROM document GROUP BY kind")?;
    for kind in kinds.query_map([], |row| Ok((row.get(0)?, from_sql(row.get(1)?))))? {
        let (kind, count) = kind?;
        report.documents.insert(kind, count);
    }
    Ok(())
}

fn task(connection: &Connection, seq: i64, report: &mut Report) {
    let read = rows::by_seq(connection, seq).and_then(|record| {
        let record = record.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        attempts_of(connection, record.id)?;
        Ok(record)
    });
    match read {
        Ok(record) => {
            report.count(record.state(), 1);
            if record.state() == TaskState::Completed && record.answer.is_none() {
                report.found(Some(record.id), "it is completed and has no answer", delete(seq));
            }
        }
        Err(error) => {
            let id = id_of(connection, seq);
            report.found(id, format!("its record cannot be read: {error}"), delete(seq));
        }
    }
}

fn id_of(connection: &Connection, seq: i64) -> Option<TaskId> {
    let read = |row: &rusqlite::Row<'_>| rows::id(row, 0);
    connection.query_row("SELECT id FROM task WHERE seq = ?1", params![seq], read).ok()
}

fn delete(seq: i64) -> String {
    format!(
        "restore a copy of the file; or stop the server and give the task up: DELETE FROM task WHERE seq = {seq}"
    )
}
