//! Moves what was committed from the log (`-wal`) into the database, beside the writer, so that no
//! commit waits for it.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError, SyncSender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rusqlite::Connection;

use super::{ledger::Ledger, schema};
use crate::StoreError;

/// Time between checkpoints while there is something to move: long enough that a page which changes
/// often is moved once, short enough that the log stays within some ten megabytes.
const PAUSE: Duration = Duration::from_secs(1);

/// Pages in the log (4 KiB each, so 64 MiB) from which the writer must stand still for a moment. The
/// log starts anew only when all of it was moved, and beside a busy writer that never happens.
const LOG_PAGES_MAX: i64 = 16_384;

/// The checkpoint thread, seen from the writer.
pub(super) struct Checkpointer {
    flags: Arc<Flags>,
    // Dropped to end the thread.
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Flags {
    /// Something was committed since the last checkpoint.
    wrote: AtomicBool,
    /// The log must start anew.
    too_long: AtomicBool,
}

impl Checkpointer {
    pub(super) fn start(path: &Path) -> Result<Self, StoreError> {
        let connection = schema::open_second(path)?;
        let (stop, stopped) = mpsc::sync_channel(0);
        let flags = Arc::new(Flags::default());
        let seen = flags.clone();
        let thread = thread::Builder::new()
            .name("store-checkpoint".into())
            .spawn(move || run(&connection, &stopped, &seen))
            .map_err(|error| no_thread(path, error))?;
        Ok(Self { flags, stop: Some(stop), thread: Some(thread) })
    }

    /// To be called after every commit.
    pub(super) fn wrote(&self, ledger: &Ledger) {
        self.flags.wrote.store(true, Ordering::Relaxed);
        if self.flags.too_long.swap(false, Ordering::Relaxed) {
            // Nearly all of it was just moved; this moves the rest while nothing is added.
            if let Err(error) = ledger.checkpoint() {
                tracing::warn!(error = %error, "the task store's log could not be emptied");
            }
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(connection: &Connection, stopped: &mpsc::Receiver<()>, flags: &Flags) {
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(PAUSE) {
        if !flags.wrote.swap(false, Ordering::Relaxed) {
            continue;
        }
        match checkpoint(connection) {
            Ok(log) if log.pages > LOG_PAGES_MAX => flags.too_long.store(true, Ordering::Relaxed),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(error = %error, "the task store could not be checkpointed");
            }
        }
    }
}

/// How far a checkpoint came.
pub(super) struct Log {
    /// Pages in the log, moved ones included.
    pages: i64,
}

/// Moves what no reader needs any more, without waiting for anybody.
pub(super) fn checkpoint(connection: &Connection) -> rusqlite::Result<Log> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok(Log { pages: row.get(1)? }))
}

pub(super) fn no_thread(path: &Path, error: io::Error) -> StoreError {
    StoreError::Unavailable {
        path: path.into(),
        remedy: "no thread could be started; raise the limit of processes",
        source: Some(Arc::new(error)),
    }
}
