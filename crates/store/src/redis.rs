//! A store that several servers share: Redis 6.2 or newer, or Valkey.
//!
//! A record is a hash; each model and place has a sorted set in the order of submission, and each
//! place one by the moment at which time alone changes a task. Scripts move tasks between them, one
//! atomic step each. `Standing` decides every step, on one revision of a record, and a script
//! writes it only on that revision; so any number of servers may try at once.

mod address;
mod attempts;
mod caps;
mod clock;
mod documents;
mod examine;
mod fields;
mod held;
mod inspect;
mod keys;
mod life;
mod link;
mod list;
mod news;
mod notices;
mod queue;
mod schema;
mod scripts;
mod whole;

use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use parking_lot::Mutex;
use types::{ModelName, TaskId, Timestamp};

use self::{
    address::Address, caps::Others, held::Held, keys::Keys, life::Life, link::Link,
    scripts::Scripts,
};
use crate::{
    Cancelled, CapWish, Cursor, Discarded, Document, DocumentQuery, DocumentStore, EndedTask,
    FailedAttempt, Fence, Finished, Lease, ModelTasks, NewTask, News, Next, Notice, Outcome, Owner,
    Progress, Replayed, Restored, StoreError, Submitted, Swept, TaskFilter, TaskList, TaskRecord,
    TaskStore, WholePage, WholeTask,
};

/// Where Redis is, and who we are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisOptions {
    /// `redis://[user:password@]host[:port][/db]`, `unix:///path`, or
    /// `redis-sentinel://[user:password@]host[:port],…/name[/db]`.
    pub url: String,
    /// What every key begins with.
    pub prefix: String,
    /// Names this server among those that share the store. One that comes back under its name
    /// finds what it ran; two at a time must not have the same.
    pub name: String,
    /// Between two heartbeats of this server.
    pub heartbeat: Duration,
}

impl RedisOptions {
    /// The keys and the times of the seed.
    pub fn new(url: impl Into<String>, name: impl Into<String>) -> Self {
        let (url, name) = (url.into(), name.into());
        Self { url, prefix: "ray_service:".into(), name, heartbeat: Duration::from_secs(10) }
    }
}

/// Tasks in Redis. Clones share the connection.
#[derive(Clone)]
pub struct RedisStore {
    shared: Arc<Shared>,
    /// `None` for a visitor.
    life: Option<Arc<Life>>,
}

/// What every part of the store needs.
struct Shared {
    link: Link,
    keys: Keys,
    scripts: Scripts,
    owner: Owner,
    /// Between two heartbeats.
    heartbeat: Duration,
    operations: AtomicU64,
    others: Others,
    held: Held,
    /// Attempts whose end was said, and perhaps not heard.
    doubtful: Mutex<HashSet<Fence>>,
}

impl RedisStore {
    /// Reaches Redis, checks that it can be trusted with tasks, and begins a life of this server.
    ///
    /// # Errors
    /// [`StoreError::Unfit`] for a wrong address, an old version, a cluster or a replica;
    /// [`StoreError::Newer`] where a later version of this program keeps tasks;
    /// [`StoreError::Unreachable`] otherwise.
    ///
    /// # Cancel safety
    /// A life that was begun is over once three heartbeats are missing.
    pub async fn open(options: &RedisOptions) -> Result<Self, StoreError> {
        let mut shared = Shared::new(options)?;
        // Boxed, or the futures of callers become too deep for the compiler.
        Box::pin(shared.migrate()).await?;
        shared.owner = life::begin(&shared, &options.name).await?;
        let shared = Arc::new(shared);
        let life = Arc::new(Life::keep(shared.clone(), options.name.clone()));
        life.beat().await?;
        Ok(Self { shared, life: Some(life) })
    }

    /// Reaches Redis like [`Self::open`], without being one of the servers: nothing may be claimed,
    /// and nobody counts on it. Nothing is written.
    ///
    /// # Errors
    /// Those of [`Self::open`].
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn visit(options: &RedisOptions) -> Result<Self, StoreError> {
        let shared = Shared::new(options)?;
        let (found, known) = (shared.schema().await?, schema::known());
        if found > known {
            return Err(shared.link.newer(found, known));
        }
        Ok(Self { shared: Arc::new(shared), life: None })
    }
}

impl Shared {
    fn new(options: &RedisOptions) -> Result<Self, StoreError> {
        let shown = address::shown(&options.url);
        let address = Address::parse(&options.url)
            .map_err(|reason| StoreError::Unfit { server: shown.as_str().into(), reason })?;
        Ok(Self {
            link: Link::new(address, shown),
            keys: Keys(options.prefix.clone()),
            scripts: Scripts::new(),
            owner: Owner::default(),
            heartbeat: options.heartbeat,
            operations: AtomicU64::new(0),
            others: Others::default(),
            held: Held::default(),
            doubtful: Mutex::default(),
        })
    }

    const fn owner(&self) -> Owner {
        self.owner
    }

    /// A name for one change, never used twice.
    fn operation(&self) -> String {
        format!("{} {}", self.owner.0, self.operations.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("owner", &self.shared.owner).finish_non_exhaustive()
    }
}

#[async_trait]
impl TaskStore for RedisStore {
    fn owner(&self) -> Owner {
        self.shared.owner
    }

    async fn submit(&self, task: NewTask) -> Result<Submitted, StoreError> {
        self.shared.submit(&task).await
    }

    async fn keep(&self, ended: EndedTask) -> Result<(), StoreError> {
        self.shared.keep(ended).await
    }

    async fn peek(&self, model: &ModelName) -> Result<Option<Next>, StoreError> {
        self.shared.peek(model).await
    }

    async fn claim(
        &self,
        model: &ModelName,
        limit: usize,
        lease_until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        self.shared.claim(model, limit, lease_until, now).await
    }

    async fn finish(
        &self,
        fence: Fence,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<Finished, StoreError> {
        self.shared.finish(fence, &outcome, now).await
    }

    async fn renew(
        &self,
        fence: Fence,
        lease_until: Timestamp,
        progress: Option<f64>,
        _now: Timestamp,
    ) -> Result<Lease, StoreError> {
        self.shared.renew(fence, lease_until, progress).await
    }

    async fn cancel(&self, id: TaskId, now: Timestamp) -> Result<Cancelled, StoreError> {
        self.shared.cancel(id, now).await
    }

    async fn replay(&self, id: TaskId, now: Timestamp) -> Result<Replayed, StoreError> {
        self.shared.replay(id, now).await
    }

    async fn discard(&self, id: TaskId) -> Result<Discarded, StoreError> {
        self.shared.discard(id).await
    }

    async fn attempts(&self, id: TaskId) -> Result<Vec<FailedAttempt>, StoreError> {
        self.shared.attempts(id).await
    }

    async fn notices(&self, limit: u32) -> Result<Vec<Notice>, StoreError> {
        self.shared.notices(limit).await
    }

    async fn forget_notice(&self, notice: Notice) -> Result<(), StoreError> {
        self.shared.forget_notice(notice).await
    }

    async fn get(&self, id: TaskId) -> Result<Option<TaskRecord>, StoreError> {
        self.shared.get(id).await
    }

    async fn list(
        &self,
        filter: &TaskFilter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<TaskList, StoreError> {
        self.shared.list(filter, after, limit).await
    }

    async fn read_whole(&self, after: Option<Cursor>, limit: u32) -> Result<WholePage, StoreError> {
        self.shared.read_whole(after, limit).await
    }

    async fn restore(
        &self,
        tasks: Vec<WholeTask>,
        now: Timestamp,
    ) -> Result<Vec<Restored>, StoreError> {
        self.shared.restore(tasks, now).await
    }

    async fn recover(&self, now: Timestamp) -> Result<Swept, StoreError> {
        self.shared.recover(now).await
    }

    async fn sweep(&self, now: Timestamp, limit: u32) -> Result<Swept, StoreError> {
        self.shared.sweep(now, limit).await
    }

    async fn stats(&self) -> Result<Vec<ModelTasks>, StoreError> {
        self.shared.stats().await
    }

    async fn check(&self) -> Result<(), StoreError> {
        match &self.life {
            Some(life) => life.beat().await,
            None => self.shared.schema().await.map(drop),
        }
    }

    async fn share(&self, wishes: &[CapWish]) -> Result<Option<Vec<u32>>, StoreError> {
        self.shared.share(wishes).await.map(Some)
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn show(&self, fence: Fence, progress: &Progress) -> Result<(), StoreError> {
        self.shared.show(fence, progress).await
    }

    async fn servers(&self) -> Result<Vec<(String, Duration)>, StoreError> {
        self.shared.servers().await
    }

    fn news(&self) -> BoxStream<'static, News> {
        news::follow(self.shared.clone())
    }

    fn risks(&self) -> Vec<String> {
        self.shared.link.risks().iter().map(ToString::to_string).collect()
    }

    async fn close(&self) {
        if let Some(life) = &self.life {
            life.end().await;
        }
        self.shared.link.close();
    }
}

#[async_trait]
impl DocumentStore for RedisStore {
    async fn put_document(
        &self,
        kind: &'static str,
        document: Document,
    ) -> Result<Option<u64>, StoreError> {
        self.shared.put_document(kind, &document).await
    }

    async fn document(&self, kind: &'static str, id: &str) -> Result<Option<Document>, StoreError> {
        Ok(self.shared.documents_named(kind, vec![id.to_owned()]).await?.pop())
    }

    async fn documents(&self, query: DocumentQuery) -> Result<Vec<Document>, StoreError> {
        self.shared.documents(&query).await
    }

    async fn remove_document(
        &self,
        kind: &'static str,
        id: &str,
        revision: u64,
    ) -> Result<bool, StoreError> {
        self.shared.remove_document(kind, id, revision).await
    }
}
