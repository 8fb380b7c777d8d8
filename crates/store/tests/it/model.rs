//! Random work on each store and on the plain model gives the same answers.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use policy::{backoff::Backoff, task::TaskPolicy};
use proptest::prelude::*;
use store::{
    Fence, MemoryStore, NewTask, Notice, Outcome, RedisOptions, RedisStore, Submitted, TaskFilter,
    TaskRecord, TaskStore, Webhook,
    conformance::{Fixture, answered, at, keyed, new_task, raised},
};
use types::{Priority, TaskId, Timestamp};

use crate::{conformance::sqlite, redis_server::RedisServer};

/// Something that a caller may do. Small numbers pick among what exists, so that they meet often.
#[derive(Debug, Clone)]
enum Deed {
    Submit { class: usize, model: u8, key: Option<u8>, body: u8, delay: u64, deadline: Option<u64> },
    Claim { model: u8 },
    Finish { fence: usize, how: u8, delay: u64 },
    Renew { fence: usize, lease: u64 },
    Cancel { task: usize },
    Replay { task: usize },
    Discard { task: usize },
    Wait { ms: u64 },
    Restart,
}

fn deed() -> impl Strategy<Value = Deed> {
    let delay = prop_oneof![3 => Just(0), 1 => 1..200_u64];
    prop_oneof![
        6 => (
            0..3_usize,
            0..2_u8,
            prop::option::weighted(0.3, 0..3_u8),
            0..2_u8,
            delay.clone(),
            prop::option::weighted(0.3, 1..300_u64),
        )
            .prop_map(|(class, model, key, body, delay, deadline)| Deed::Submit {
                class, model, key, body, delay, deadline,
            }),
        6 => (0..2_u8).prop_map(|model| Deed::Claim { model }),
        6 => (any::<usize>(), 0..4_u8, delay)
            .prop_map(|(fence, how, delay)| Deed::Finish { fence, how, delay }),
        1 => (any::<usize>(), 1..300_u64).prop_map(|(fence, lease)| Deed::Renew { fence, lease }),
        1 => any::<usize>().prop_map(|task| Deed::Cancel { task }),
        1 => any::<usize>().prop_map(|task| Deed::Replay { task }),
        1 => any::<usize>().prop_map(|task| Deed::Discard { task }),
        3 => (1..150_u64).prop_map(|ms| Deed::Wait { ms }),
        1 => Just(Deed::Restart),
    ]
}

/// Both stores, and what a caller knows of them.
struct Pair<'a> {
    fixture: &'a dyn Fixture,
    store: Arc<dyn TaskStore>,
    memory: MemoryStore,
    tasks: Vec<TaskId>,
    fences: Vec<Fence>,
    now: Timestamp,
}

/// Asks both stores the same and demands the same answer.
macro_rules! both {
    ($pair:expr, $method:ident($($argument:expr),*)) => {{
        let expected = $pair.memory.$method($(Clone::clone(&$argument)),*).await.unwrap();
        let found = $pair.store.$method($(Clone::clone(&$argument)),*).await.unwrap();
        assert_eq!(found, expected, stringify!($method));
        found
    }};
}

impl Pair<'_> {
    fn later(&self, ms: u64) -> Timestamp {
        self.now.after(Duration::from_millis(ms))
    }

    async fn act(&mut self, deed: Deed) {
        let now = self.now;
        match deed {
            Deed::Submit { class, model, key, body, delay, deadline } => {
                let wait = Duration::from_millis(80);
                let backoff = Backoff { base: wait, max: wait * 2 };
                let mut task = NewTask {
                    priority: Priority::URGENT_FIRST[class],
                    model: name(model),
                    not_before: (delay > 0).then(|| self.later(delay)),
                    deadline: deadline.map(|ms| self.later(ms)),
                    retry: TaskPolicy { attempts_max: 2, backoff },
                    keep_for: Duration::from_millis(400),
                    queued_max: 5,
                    created: now,
                    ..new_task()
                };
                task.webhook = (body == 1).then(|| Webhook { url: "u".into(), events: vec![] });
                task.request.body = vec![body].into();
                let task = key.map_or(task.clone(), |key| keyed(task, &key.to_string()));
                if both!(self, submit(task)) == Submitted::New {
                    self.tasks.push(task.id);
                }
            }
            Deed::Claim { model } => {
                let lease = self.later(100);
                let claimed = both!(self, claim(&name(model), 2_usize, lease, now));
                self.fences.extend(claimed.iter().filter_map(TaskRecord::fence));
            }
            Deed::Finish { fence, how, delay } => {
                let not_before = self.later(delay);
                let outcome = match how {
                    0 => answered("{}"),
                    1 => Outcome::Failed(raised()),
                    2 => Outcome::Retry(raised()),
                    _ => Outcome::NotBegun { error: raised(), not_before },
                };
                if let Some(fence) = pick(&self.fences, fence) {
                    both!(self, finish(fence, outcome, now));
                }
            }
            Deed::Renew { fence, lease } => {
                if let Some(fence) = pick(&self.fences, fence) {
                    let until = self.later(lease);
                    both!(self, renew(fence, until, Some(lease as f64 / 300.0), now));
                }
            }
            Deed::Cancel { task } => {
                if let Some(task) = pick(&self.tasks, task) {
                    both!(self, cancel(task, now));
                }
            }
            Deed::Replay { task } => {
                if let Some(task) = pick(&self.tasks, task) {
                    both!(self, replay(task, now));
                }
            }
            Deed::Discard { task } => {
                if let Some(task) = pick(&self.tasks, task) {
                    both!(self, discard(task));
                }
            }
            Deed::Wait { ms } => {
                self.now = self.later(ms);
                self.sweep().await;
            }
            Deed::Restart => self.restart().await,
        }
    }

    async fn sweep(&mut self) {
        let mut expected = self.memory.sweep(self.now, 1000).await.unwrap();
        let mut found = self.store.sweep(self.now, 1000).await.unwrap();
        // The order among tasks that are due together is nobody's business.
        expected.changed.sort_unstable();
        found.changed.sort_unstable();
        assert_eq!(found, expected);
    }

    async fn restart(&mut self) {
        self.store.close().await;
        self.store = self.fixture.open().await;
        self.memory = self.memory.restarted();
        assert_eq!(self.store.owner(), self.memory.owner());
        let mut expected = self.memory.recover(self.now).await.unwrap();
        let mut found = self.store.recover(self.now).await.unwrap();
        expected.changed.sort_unstable();
        found.changed.sort_unstable();
        assert_eq!(found, expected);
    }

    /// Compares all that can be seen.
    async fn compare(&self) {
        both!(self, stats());
        both!(self, list(&TaskFilter::default(), None, 1000));
        let order = |notice: &Notice| (notice.task, notice.attempt, notice.state.as_str());
        let mut expected = self.memory.notices(1000).await.unwrap();
        let mut found = self.store.notices(1000).await.unwrap();
        expected.sort_unstable_by_key(order);
        found.sort_unstable_by_key(order);
        assert_eq!(found, expected);
        for task in &self.tasks {
            both!(self, get(*task));
            both!(self, attempts(*task));
        }
    }
}

fn name(model: u8) -> types::ModelName {
    format!("model-{model}").parse().unwrap()
}

fn pick<T: Copy>(from: &[T], number: usize) -> Option<T> {
    (!from.is_empty()).then(|| from[number % from.len()])
}

/// Does everything on a fresh store and on the plain model.
fn run(deeds: Vec<Deed>, fixture: &dyn Fixture) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (store, memory) = (fixture.open().await, MemoryStore::new());
        let (tasks, fences) = (Vec::new(), Vec::new());
        let mut pair = Pair { fixture, store, memory, tasks, fences, now: at(0) };
        for deed in deeds {
            pair.act(deed).await;
        }
        pair.compare().await;
        pair.store.close().await;
    });
}

/// One Redis for all cases, each with keys of its own.
struct Prefixed<'a>(&'a RedisServer, String);

#[async_trait]
impl Fixture for Prefixed<'_> {
    async fn open(&self) -> Arc<dyn TaskStore> {
        let options =
            RedisOptions { prefix: self.1.clone(), ..RedisOptions::new(self.0.url(), "one") };
        Arc::new(RedisStore::open(&options).await.unwrap())
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 48, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_sqlite_store_does_what_the_plain_model_does(deeds in prop::collection::vec(deed(), 1..80)) {
        run(deeds, &sqlite());
    }
}

#[test]
fn the_redis_store_does_what_the_plain_model_does() {
    let server = RedisServer::start();
    proptest!(config(), |(deeds in prop::collection::vec(deed(), 1..80))| {
        run(deeds, &Prefixed(&server, format!("{}:", uuid::Uuid::now_v7())));
    });
}
