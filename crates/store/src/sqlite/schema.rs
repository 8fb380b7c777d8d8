//! The tables, how they came to be, and how a connection to them is set up.

use std::{
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::{Connection, ErrorCode as SqliteCode, OpenFlags};

use crate::StoreError;

/// Each step takes the file from the version of its index to the next. Never change one that was
/// released; add another.
const STEPS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
];

/// `Mody` in ASCII: lets `file` and other tools know whose database it is.
const APPLICATION_ID: i32 = 0x4d6f_6479;

/// Statements that are kept prepared; more than this module has.
const STATEMENTS_MAX: usize = 64;

/// Opens the database for writing, creating and migrating it where needed.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    create_private(path)?;
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    set_up_writer(&connection).map_err(|error| fault(path, error))?;
    migrate(&mut connection, STEPS, path)?;
    Ok(connection)
}

/// Opens the database for reading.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// Opens one more connection that may write; for checkpoints.
pub(super) fn open_second(path: &Path) -> Result<Connection, StoreError> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

/// Tasks hold what clients sent: nobody but the owner of the process may read them. SQLite gives
/// its `-wal` and `-shm` files the mode of the database.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    open.map(drop).map_err(|error| StoreError::Unavailable {
        path: path.into(),
        remedy: "the file cannot be written; check its permissions and its disk",
        source: Some(Arc::new(error)),
    })
}

fn connect(path: &Path, mode: OpenFlags) -> Result<Connection, StoreError> {
    let set_up = || {
        // A connection is used by one thread at a time, so SQLite needs no lock of its own.
        let connection = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        // Somebody may look into the file with other tools; they hold it for moments only.
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.pragma_update(None, "cache_size", -2000)?;
        Ok(connection)
    };
    set_up().map_err(|error| fault(path, error))
}

fn set_up_writer(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    // Checkpoints have a thread of their own, so that no commit waits for one.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "cache_size", -8000)
}

/// The version of a file; 0 for one that is empty.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// The latest version.
pub(super) const fn known() -> i64 {
    STEPS.len() as i64
}

fn migrate(connection: &mut Connection, steps: &[&str], path: &Path) -> Result<(), StoreError> {
    let sqlite = |error| fault(path, error);
    let (found, known) = (version(connection).map_err(sqlite)?, steps.len() as i64);
    if found > known || found < 0 {
        return Err(StoreError::Newer { path: path.into(), found, known });
    }
    for (index, step) in steps.iter().enumerate().skip(found as usize) {
        let mut advance = || {
            let transaction = connection.transaction()?;
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", index as i64 + 1)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.commit()
        };
        advance().map_err(sqlite)?;
    }
    Ok(())
}

/// Says in our words what SQLite said in its own.
pub(super) fn fault(path: &Path, error: rusqlite::Error) -> StoreError {
    let path: PathBuf = path.into();
    let code = error.sqlite_error_code();
    let source = Some(Arc::new(error) as _);
    let remedy = match code {
        Some(SqliteCode::DatabaseCorrupt | SqliteCode::NotADatabase) => {
            return StoreError::Corrupt { path, source };
        }
        Some(SqliteCode::DiskFull) => "the disk is full; make room",
        Some(SqliteCode::ReadOnly | SqliteCode::PermissionDenied) => {
            "the file cannot be written; check its permissions and that its disk is not mounted \
             read-only"
        }
        Some(SqliteCode::CannotOpen) => {
            "the file cannot be opened; check its folder, permissions and free descriptors"
        }
        Some(SqliteCode::DatabaseBusy | SqliteCode::DatabaseLocked) => {
            "another program holds it locked; close that program"
        }
        Some(SqliteCode::SystemIoFailure) => "the disk failed; look into the system log",
        _ => "the database refused the operation",
    };
    StoreError::Unavailable { path, remedy, source }
}

#[cfg(test)]
mod tests {
    use types::ErrorCode;

    use super::*;
    use crate::{Outcome, SqliteOptions, SqliteStore, TaskFilter, TaskStore};

    const TWO_STEPS: &[&str] =
        &["CREATE TABLE a (x); INSERT INTO a VALUES (1);", "ALTER TABLE a ADD COLUMN y;"];

    fn migrated(file: &Path, steps: &[&str]) -> Result<Connection, StoreError> {
        let mut connection = Connection::open(file).unwrap();
        migrate(&mut connection, steps, file)?;
        Ok(connection)
    }

    #[test]
    fn a_file_of_an_older_version_is_brought_forward_with_its_rows() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.db");
        migrated(&file, &TWO_STEPS[..1]).unwrap();
        let connection = migrated(&file, TWO_STEPS).unwrap();
        let rows = connection.query_row("SELECT count(*), max(y) FROM a", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?))
        });
        assert_eq!(rows.unwrap(), (1, None));
    }

    #[test]
    fn a_step_that_fails_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.db");
        migrated(&file, &[TWO_STEPS[0], "CREATE TABLE b (x); CREATE TABLE a (x);"]).unwrap_err();
        migrated(&file, TWO_STEPS).unwrap();
    }

    #[tokio::test]
    async fn a_task_of_the_first_version_is_found_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(folder.path().join("t.db"));
        let old = migrated(&options.path, &STEPS[..1]).unwrap();
        // A task that had used up its attempts, as the first version wrote it.
        old.execute_batch(
            "INSERT INTO name VALUES (1, 'echo'), (2, 'default');
             INSERT INTO task VALUES (7, x'0198c0de7b1a7f0080003f1f6e0c2a11', 1, 2, 8, 1, 3, 3, 3, 0, 0,
                 1, 9000000000000, NULL, 1000, 5, 6, NULL, 'handler_failed', 'boom', NULL, NULL);
             INSERT INTO request VALUES (7, NULL, NULL, NULL, x'31');",
        )
        .unwrap();
        drop(old);
        let store = SqliteStore::open(&options).unwrap();
        let now = types::Timestamp::from_millis(10);
        let failed =
            TaskFilter { error_code: Some(ErrorCode::HandlerFailed), ..TaskFilter::default() };
        let found = store.list(&failed, None, 2).await.unwrap().tasks;
        let [dead] = &found[..] else { panic!("{found:?}") };
        assert_eq!(store.attempts(dead.id).await.unwrap(), []);
        store.replay(dead.id, now).await.unwrap();
        let again = store.claim(&dead.model, 1, now, now).await.unwrap().remove(0);
        let outcome = Outcome::Retry(dead.error.clone().unwrap());
        store.finish(again.fence().unwrap(), outcome, now).await.unwrap();
        assert_eq!(store.attempts(dead.id).await.unwrap()[0].attempt, 4);
        store.close().await;
    }

    #[test]
    fn a_file_of_a_newer_version_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.db");
        migrated(&file, TWO_STEPS).unwrap();
        let error = migrated(&file, &TWO_STEPS[..1]).unwrap_err();
        assert!(matches!(error, StoreError::Newer { found: 2, known: 1, .. }), "{error}");
    }
}
