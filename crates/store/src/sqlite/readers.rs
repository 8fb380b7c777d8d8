//! Reads: a few read-only connections, each used by one blocking thread at a time.

use std::{path::PathBuf, sync::Arc};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::{
    sync::Semaphore,
    task::{JoinSet, spawn_blocking},
};

use super::{SqliteOptions, schema};
use crate::StoreError;

/// The pool. Connections are opened when they are first needed.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    places: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    pub(super) fn new(options: &SqliteOptions) -> Self {
        let places = Arc::new(Semaphore::new(options.readers_max.max(1)));
        Self { path: options.path.clone(), places, idle: Arc::default() }
    }

    /// Runs `query` on a connection that sees everything that was answered before.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (places, idle, path) = (self.places.clone(), self.idle.clone(), self.path.clone());
        // On a task of its own, which ends with the caller: a caller that does something else before
        // it looks here again would keep a place that it was given, and others could wait for ever.
        let mut reading = JoinSet::new();
        reading.spawn(async move {
            let closed = || StoreError::closed(&path);
            let place = places.acquire_owned().await.map_err(|_| closed())?;
            let file = path.clone();
            let reading = spawn_blocking(move || {
                let kept = idle.lock().pop();
                let connection = match kept {
                    Some(connection) => connection,
                    None => schema::open_reader(&file)?,
                };
                let answer = query(&connection).map_err(|error| schema::fault(&file, error));
                idle.lock().push(connection);
                // Held until here even if the caller has left, so that the bound is kept.
                drop(place);
                answer
            });
            reading.await.map_err(|_| closed())?
        });
        let closed = || StoreError::closed(&self.path);
        reading.join_next().await.and_then(Result::ok).unwrap_or_else(|| Err(closed()))
    }

    /// Refuses further reads and closes what is idle.
    pub(super) fn close(&self) {
        self.places.close();
        self.idle.lock().clear();
    }
}
