//! The default store: one SQLite file, owned by one server.
//!
//! Changes go to one writer thread that commits whatever waits as a group; reads go to a small pool
//! of read-only connections, which never wait for the writer (WAL).

mod checkpoint;
mod documents;
mod examine;
mod ledger;
mod list;
mod lock;
mod readers;
mod rows;
mod schema;
mod whole;
mod writer;

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use types::{ModelName, TaskId, Timestamp};

use self::{
    ledger::Ledger,
    readers::Readers,
    writer::{Durability, Writer},
};
use crate::{
    Cancelled, Cursor, Discarded, Document, DocumentQuery, DocumentStore, EndedTask, FailedAttempt,
    Fence, Finished, Lease, ModelTasks, NewTask, Next, Notice, Outcome, Owner, Replayed, Restored,
    StoreError, Submitted, Swept, TaskFilter, TaskList, TaskRecord, TaskStore, WholePage,
    WholeTask,
};

/// Where the file is, and how much may go on at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteOptions {
    /// The database; `-wal`, `-shm` and `.lock` files appear beside it.
    pub path: PathBuf,
    /// Changes that may wait for the writer; a submission beyond is refused.
    pub waiting_max: usize,
    /// Reads that run at once.
    pub readers_max: usize,
}

impl SqliteOptions {
    /// The usual numbers for a file. 4096 waiting changes are well under a second of work; four
    /// readers keep a few cores busy with status polls and lists.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), waiting_max: 4096, readers_max: 4 }
    }
}

/// Tasks in a SQLite file. Clones share it.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    owner: Owner,
    writer: Arc<Writer>,
    readers: Arc<Readers>,
}

impl SqliteStore {
    /// Opens the file, creates or migrates it where needed, and owns it until the store is closed
    /// or its last clone is dropped. Blocks while it reads the file.
    ///
    /// # Errors
    /// [`StoreError::Owned`] if another server has it, [`StoreError::Newer`] if a later version of
    /// this program wrote it, [`StoreError::Corrupt`] or [`StoreError::Unavailable`] otherwise.
    pub fn open(options: &SqliteOptions) -> Result<Self, StoreError> {
        let lock = lock::Lock::take(&options.path)?;
        let ledger = Ledger::open(&options.path)?;
        let owner = ledger.owner();
        let writer = Writer::start(ledger, lock, options)?;
        let readers = Readers::new(options);
        Ok(Self { owner, writer: Arc::new(writer), readers: Arc::new(readers) })
    }

    /// Opens a file that must be there; else like [`Self::open`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where there is none, and those of [`Self::open`].
    pub fn open_existing(options: &SqliteOptions) -> Result<Self, StoreError> {
        examine::must_exist(&options.path)?;
        Self::open(options)
    }
}

#[async_trait]
impl TaskStore for SqliteStore {
    fn owner(&self) -> Owner {
        self.owner
    }

    async fn submit(&self, task: NewTask) -> Result<Submitted, StoreError> {
        self.writer.offer(Durability::Synced, move |ledger| ledger.submit(&task)).await
    }

    async fn keep(&self, ended: EndedTask) -> Result<(), StoreError> {
        // A record that nobody was promised.
        self.writer.offer(Durability::Relaxed, move |ledger| ledger.keep(&ended)).await
    }

    async fn peek(&self, model: &ModelName) -> Result<Option<Next>, StoreError> {
        let model = model.clone();
        self.readers.read(move |connection| list::next_ready(connection, &model)).await
    }

    async fn claim(
        &self,
        model: &ModelName,
        limit: usize,
        lease_until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        let model = model.clone();
        let claim = move |ledger: &mut Ledger| ledger.claim(&model, limit, lease_until, now);
        self.writer.write(Durability::Relaxed, claim).await
    }

    async fn finish(
        &self,
        fence: Fence,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<Finished, StoreError> {
        let durability = match outcome {
            Outcome::Completed(_) | Outcome::Failed(_) => Durability::Synced,
            // May be the last attempt, and is rare enough to be synced when it is not.
            Outcome::Retry(_) => Durability::Synced,
            Outcome::NotBegun { .. } => Durability::Relaxed,
        };
        self.writer.write(durability, move |ledger| ledger.finish(&fence, &outcome, now)).await
    }

    async fn renew(
        &self,
        fence: Fence,
        lease_until: Timestamp,
        progress: Option<f64>,
        now: Timestamp,
    ) -> Result<Lease, StoreError> {
        let renew = move |ledger: &mut Ledger| ledger.renew(&fence, lease_until, progress, now);
        self.writer.write(Durability::Relaxed, renew).await
    }

    async fn cancel(&self, id: TaskId, now: Timestamp) -> Result<Cancelled, StoreError> {
        self.writer.write(Durability::Synced, move |ledger| ledger.cancel(id, now)).await
    }

    async fn replay(&self, id: TaskId, now: Timestamp) -> Result<Replayed, StoreError> {
        self.writer.write(Durability::Synced, move |ledger| ledger.replay(id, now)).await
    }

    async fn discard(&self, id: TaskId) -> Result<Discarded, StoreError> {
        self.writer.write(Durability::Synced, move |ledger| ledger.discard(id)).await
    }

    async fn attempts(&self, id: TaskId) -> Result<Vec<FailedAttempt>, StoreError> {
        self.readers.read(move |connection| ledger::attempts_of(connection, id)).await
    }

    async fn notices(&self, limit: u32) -> Result<Vec<Notice>, StoreError> {
        self.readers.read(move |connection| ledger::notices(connection, limit)).await
    }

    async fn forget_notice(&self, notice: Notice) -> Result<(), StoreError> {
        self.writer.write(Durability::Relaxed, move |ledger| ledger.forget_notice(notice)).await
    }

    async fn get(&self, id: TaskId) -> Result<Option<TaskRecord>, StoreError> {
        self.readers.read(move |connection| rows::by_id(connection, id)).await
    }

    async fn list(
        &self,
        filter: &TaskFilter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<TaskList, StoreError> {
        let filter = filter.clone();
        self.readers.read(move |connection| list::page(connection, &filter, after, limit)).await
    }

    async fn read_whole(&self, after: Option<Cursor>, limit: u32) -> Result<WholePage, StoreError> {
        self.readers.read(move |connection| whole::page(connection, after, limit)).await
    }

    async fn restore(
        &self,
        tasks: Vec<WholeTask>,
        now: Timestamp,
    ) -> Result<Vec<Restored>, StoreError> {
        let tasks: Vec<_> = tasks.into_iter().map(|whole| whole.put_back(now)).collect();
        let restore =
            move |ledger: &mut Ledger| tasks.iter().map(|it| ledger.restore(it)).collect();
        self.writer.write(Durability::Synced, restore).await
    }

    async fn recover(&self, now: Timestamp) -> Result<Swept, StoreError> {
        self.writer.write(Durability::Synced, move |ledger| ledger.recover(now)).await
    }

    async fn sweep(&self, now: Timestamp, limit: u32) -> Result<Swept, StoreError> {
        // A sweep that changes nothing writes no page, so its commit costs no sync.
        self.writer.write(Durability::Synced, move |ledger| ledger.sweep(now, limit)).await
    }

    async fn stats(&self) -> Result<Vec<ModelTasks>, StoreError> {
        self.writer.write(Durability::Relaxed, Ledger::stats).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.writer.write(Durability::Relaxed, Ledger::check).await
    }

    async fn close(&self) {
        self.readers.close();
        self.writer.close().await;
    }
}

#[async_trait]
impl DocumentStore for SqliteStore {
    async fn put_document(
        &self,
        kind: &'static str,
        document: Document,
    ) -> Result<Option<u64>, StoreError> {
        let put = move |ledger: &mut Ledger| ledger.put_document(kind, &document);
        self.writer.write(Durability::Synced, put).await
    }

    async fn document(&self, kind: &'static str, id: &str) -> Result<Option<Document>, StoreError> {
        let id = id.to_owned();
        self.readers.read(move |connection| documents::by_id(connection, kind, &id)).await
    }

    async fn documents(&self, query: DocumentQuery) -> Result<Vec<Document>, StoreError> {
        self.readers.read(move |connection| documents::page(connection, &query)).await
    }

    async fn remove_document(
        &self,
        kind: &'static str,
        id: &str,
        revision: u64,
    ) -> Result<bool, StoreError> {
        let id = id.to_owned();
        let remove = move |ledger: &mut Ledger| ledger.remove_document(kind, &id, revision);
        self.writer.write(Durability::Synced, remove).await
    }
}
