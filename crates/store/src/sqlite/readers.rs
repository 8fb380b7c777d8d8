//! Reads: a few read-only connections, each used by one blocking thread at a time.

use std::{path::PathBuf, sync::Arc};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;

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
        let closed = || StoreError::closed(&self.path);
        let place = self.places.clone().acquire_owned().await.map_err(|_| closed())?;
        let (idle, path) = (self.idle.clone(), self.path.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let kept = idle.lock().pop();
            let connection = match kept {
                Some(connection) => connection,
                None => schema::open_reader(&path)?,
            };
            let answer = query(&connection).map_err(|error| schema::fault(&path, error));
            idle.lock().push(connection);
            // Held until here even if the caller has left, so that the bound is kept.
            drop(place);
            answer
        });
        reading.await.map_err(|_| closed())?
    }

    /// Refuses further reads and closes what is idle.
    pub(super) fn close(&self) {
        self.places.close();
        self.idle.lock().clear();
    }
}
