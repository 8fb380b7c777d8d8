//! Tasks that outlive a server, a lease, or a disk that is full for a while.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use api::task::TaskState;
use async_trait::async_trait;
use store::{
    Cancelled, Cursor, Discarded, EndedTask, FailedAttempt, Fence, Finished, Lease, MemoryStore,
    ModelTasks, NewTask, Next, Notice, Outcome, Owner, Replayed, Restored, SqliteOptions,
    SqliteStore, StoreError, Submitted, Swept, TaskFilter, TaskList, TaskRecord, TaskStore,
    WholePage, WholeTask,
};
use tasks::TaskSettings;
use types::{ErrorCode, ModelName, TaskId, Timestamp};

use crate::house::{House, json, longest_wait, result, spec, until};

#[tokio::test]
async fn what_ran_when_the_server_was_killed_runs_again_at_once_and_what_had_ended_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions::new(folder.path().join("tasks.db"));
    let open = || Arc::new(SqliteStore::open(&options).unwrap());

    let store = Arc::new(Failing::new(open(), 0));
    let house = House::on(store.clone(), spec(), TaskSettings::default());
    let endpoint = house.declare(1, |seen| async move {
        if seen.body == "\"first\"" { Ok(json(200, "1")) } else { std::future::pending().await }
    });
    let mut ids = Vec::new();
    for payload in ["\"first\"", "\"second\"", "\"third\""] {
        let submission = tasks::Submission { payload: payload.into(), ..house.submission() };
        ids.push(house.submit_as(submission).await);
    }
    house.end(ids[0]).await;
    until("the second runs", || endpoint.calls() == 2).await;
    // From now on it writes nothing more, as a process that was killed.
    store.finishes_left.store(usize::MAX, Ordering::SeqCst);
    house.kill().await;

    // Its lease would have run for half a minute more.
    let house = House::on(open(), spec(), TaskSettings::default());
    let endpoint = house.declare_echo();
    for id in &ids {
        assert_eq!(house.end(*id).await.state, TaskState::Completed);
    }
    let mut seen: Vec<_> = endpoint
        .seen()
        .iter()
        .map(|seen| (seen.body.clone(), seen.header("x-attempt").to_owned()))
        .collect();
    seen.sort();
    assert_eq!(seen, [("\"second\"".into(), "2".into()), ("\"third\"".into(), "1".into())]);
    house.shut_down().await;
}

#[tokio::test]
async fn a_long_call_keeps_its_lease() {
    let lease = Duration::from_millis(90);
    let house = House::with(spec(), TaskSettings { lease, ..TaskSettings::default() });
    let endpoint = house.declare(2, move |_| async move {
        tokio::time::sleep(lease * 5).await;
        Ok(json(200, "1"))
    });
    let id = house.submit().await;
    let view = house.end(id).await;
    assert_eq!((view.state, view.attempt, endpoint.calls()), (TaskState::Completed, 1, 1));
}

#[tokio::test]
async fn an_attempt_that_lost_its_lease_is_dropped_and_the_next_one_answers() {
    let lease = Duration::from_millis(150);
    let house = House::with(spec(), TaskSettings { lease, ..TaskSettings::default() });
    let endpoint = house.declare(2, |seen| async move {
        match seen.header("x-attempt") {
            "1" => std::future::pending().await,
            _ => Ok(json(200, "2")),
        }
    });
    let id = house.submit().await;
    until("it runs", || endpoint.calls() == 1).await;
    // As if this server had slept through its lease and another look at the clock came first.
    let late = Timestamp::from(std::time::SystemTime::now()).after(lease * 2);
    assert_eq!(house.store.sweep(late, 10).await.unwrap().changed.len(), 1);
    until("the call is dropped", || endpoint.dropped() == 1).await;
    tokio::time::sleep(longest_wait()).await;
    house.submit().await;
    let view = house.end(id).await;
    assert_eq!((view.state, view.attempt, result(&view)), (TaskState::Completed, 2, "2"));
}

#[tokio::test]
async fn an_answer_outlives_a_store_that_fails_for_a_while() {
    let store = Arc::new(Failing::new(Arc::new(MemoryStore::new()), 1));
    let house = House::on(store.clone(), spec(), TaskSettings::default());
    let endpoint = house.declare_echo();
    let id = house.submit().await;
    assert_eq!(house.end(id).await.state, TaskState::Completed);
    assert_eq!(endpoint.calls(), 1, "the model must not be asked a second time");
    assert_eq!(store.finishes_left.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_answer_that_cannot_be_written_yet_keeps_its_lease() {
    let lease = Duration::from_millis(150);
    let store = Arc::new(Failing::new(Arc::new(MemoryStore::new()), 1));
    let house = House::on(store, spec(), TaskSettings { lease, ..TaskSettings::default() });
    let endpoint = house.declare_echo();
    // It is written a second later, which is many leases.
    let id = house.submit().await;
    let view = house.end(id).await;
    assert_eq!((view.state, view.attempt, endpoint.calls()), (TaskState::Completed, 1, 1));
}

#[tokio::test]
async fn a_closed_store_is_not_healthy() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions::new(folder.path().join("tasks.db"));
    let store = Arc::new(SqliteStore::open(&options).unwrap());
    let house = House::on(store, spec(), TaskSettings::default());
    house.tasks.check().await.unwrap();
    house.shut_down().await;
    assert_eq!(house.tasks.check().await.unwrap_err().code, ErrorCode::StoreUnavailable);
}

/// A store that cannot write the next few ends.
struct Failing {
    store: Arc<dyn TaskStore>,
    finishes_left: AtomicUsize,
}

impl Failing {
    fn new(store: Arc<dyn TaskStore>, finishes_left: usize) -> Self {
        Self { store, finishes_left: AtomicUsize::new(finishes_left) }
    }
}

#[async_trait]
impl TaskStore for Failing {
    async fn finish(
        &self,
        fence: Fence,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<Finished, StoreError> {
        let left = self.finishes_left.load(Ordering::SeqCst);
        if left > 0 {
            self.finishes_left.store(left - 1, Ordering::SeqCst);
            return Err(StoreError::Busy { waiting: 1 });
        }
        self.store.finish(fence, outcome, now).await
    }

    fn owner(&self) -> Owner {
        self.store.owner()
    }
    async fn submit(&self, task: NewTask) -> Result<Submitted, StoreError> {
        self.store.submit(task).await
    }
    async fn keep(&self, ended: EndedTask) -> Result<(), StoreError> {
        self.store.keep(ended).await
    }
    async fn peek(&self, model: &ModelName) -> Result<Option<Next>, StoreError> {
        self.store.peek(model).await
    }
    async fn claim(
        &self,
        model: &ModelName,
        limit: usize,
        lease_until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        self.store.claim(model, limit, lease_until, now).await
    }
    async fn renew(
        &self,
        fence: Fence,
        lease_until: Timestamp,
        progress: Option<f64>,
        now: Timestamp,
    ) -> Result<Lease, StoreError> {
        self.store.renew(fence, lease_until, progress, now).await
    }
    async fn cancel(&self, id: TaskId, now: Timestamp) -> Result<Cancelled, StoreError> {
        self.store.cancel(id, now).await
    }
    async fn replay(&self, id: TaskId, now: Timestamp) -> Result<Replayed, StoreError> {
        self.store.replay(id, now).await
    }
    async fn discard(&self, id: TaskId) -> Result<Discarded, StoreError> {
        self.store.discard(id).await
    }
    async fn attempts(&self, id: TaskId) -> Result<Vec<FailedAttempt>, StoreError> {
        self.store.attempts(id).await
    }
    async fn notices(&self, limit: u32) -> Result<Vec<Notice>, StoreError> {
        self.store.notices(limit).await
    }
    async fn forget_notice(&self, notice: Notice) -> Result<(), StoreError> {
        self.store.forget_notice(notice).await
    }
    async fn get(&self, id: TaskId) -> Result<Option<TaskRecord>, StoreError> {
        self.store.get(id).await
    }
    async fn list(
        &self,
        filter: &TaskFilter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<TaskList, StoreError> {
        self.store.list(filter, after, limit).await
    }
    async fn read_whole(&self, after: Option<Cursor>, limit: u32) -> Result<WholePage, StoreError> {
        self.store.read_whole(after, limit).await
    }
    async fn restore(
        &self,
        tasks: Vec<WholeTask>,
        now: Timestamp,
    ) -> Result<Vec<Restored>, StoreError> {
        self.store.restore(tasks, now).await
    }
    async fn recover(&self, now: Timestamp) -> Result<Swept, StoreError> {
        self.store.recover(now).await
    }
    async fn sweep(&self, now: Timestamp, limit: u32) -> Result<Swept, StoreError> {
        self.store.sweep(now, limit).await
    }
    async fn stats(&self) -> Result<Vec<ModelTasks>, StoreError> {
        self.store.stats().await
    }
    async fn check(&self) -> Result<(), StoreError> {
        self.store.check().await
    }
    async fn close(&self) {
        self.store.close().await;
    }
}
