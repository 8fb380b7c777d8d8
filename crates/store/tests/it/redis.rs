//! What only the Redis store promises: several servers, faults of Redis, the keys of the seed.

use std::{collections::HashMap, sync::Arc, time::Duration};

use api::task::TaskState;
use futures_util::StreamExt;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use redis::AsyncTypedCommands;
use store::{
    Cancelled, CapWish, Changed, Finished, News, Outcome, Place, Progress, RedisOptions,
    RedisStore, StoreError, Submitted, TaskStore,
    conformance::{
        answered, at, begin, claim, keyed, model, new_task, raised, retries, state, submit,
    },
};
use tokio::time::timeout;
use types::Priority;

use crate::redis_server::{CutWay, RedisServer};

async fn open(server: &RedisServer, name: &str) -> RedisStore {
    RedisStore::open(&RedisOptions::new(server.url(), name)).await.unwrap()
}

async fn commands(server: &RedisServer) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(server.url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

#[tokio::test]
async fn two_servers_share_one_queue() {
    let server = RedisServer::start();
    let (one, two) = (open(&server, "one").await, open(&server, "two").await);
    assert_ne!(one.owner(), two.owner());
    let id = submit(&one, new_task()).await;
    let fence = begin(&two, at(1)).await;
    assert_eq!(fence.id, id);
    assert_eq!(claim(&one, at(1)).await, None);
    let stolen = store::Fence { owner: one.owner(), ..fence };
    assert_eq!(one.finish(stolen, answered("1"), at(2)).await.unwrap(), Finished::Fenced);
    // Neither takes what the other runs when it begins.
    assert_eq!(one.recover(at(3)).await.unwrap().changed, []);
    let done = Finished::Applied(TaskState::Completed);
    assert_eq!(two.finish(fence, answered("2"), at(4)).await.unwrap(), done);
    assert_eq!(one.get(id).await.unwrap(), two.get(id).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_sweep_at_once_take_each_step_once() {
    let server = RedisServer::start();
    let (one, two) = (open(&server, "one").await, open(&server, "two").await);
    for _ in 0..200 {
        submit(&one, new_task()).await;
        begin(&one, at(0)).await;
    }
    let (first, second) = tokio::join!(one.sweep(at(5000), 500), two.sweep(at(5000), 500));
    let (first, second) = (first.unwrap().changed, second.unwrap().changed);
    assert_eq!(first.len() + second.len(), 200);
    for task in one.list(&Default::default(), None, 500).await.unwrap().tasks {
        assert_eq!((task.state(), task.standing.failures), (TaskState::Queued, 1));
    }
}

#[tokio::test]
async fn a_server_that_ends_in_order_leaves_its_tasks_to_the_others_at_once() {
    let server = RedisServer::start();
    let (one, two) = (open(&server, "one").await, open(&server, "two").await);
    let id = submit(&one, new_task()).await;
    begin(&one, at(1)).await;
    one.close().await;
    let swept = two.recover(at(2)).await.unwrap();
    assert_eq!(swept.changed.iter().map(|changed| changed.id).collect::<Vec<_>>(), [id]);
}

#[tokio::test]
async fn a_server_that_was_killed_finds_its_tasks_when_it_comes_back_under_its_name() {
    let server = RedisServer::start();
    let (dead, other) = (open(&server, "one").await, open(&server, "two").await);
    let id = submit(&dead, new_task()).await;
    let fence = begin(&dead, at(1)).await;
    assert_eq!(other.recover(at(2)).await.unwrap().changed, []);
    let back = open(&server, "one").await;
    let swept = back.recover(at(3)).await.unwrap();
    assert_eq!(swept.changed.len(), 1);
    assert_eq!(state(&back, id).await, TaskState::Queued);
    assert_eq!(dead.finish(fence, answered("1"), at(4)).await.unwrap(), Finished::Fenced);
}

#[tokio::test]
async fn each_server_hears_what_the_other_does() {
    let server = RedisServer::start();
    let (one, two) = (open(&server, "one").await, open(&server, "two").await);
    let mut news = two.news();
    assert_eq!(news.next().await, Some(News::Missed), "it looks at everything first");
    let id = submit(&one, new_task()).await;
    let changed =
        |place, attempt| Some(News::Changed(Changed { id, model: model(), place, attempt }));
    assert_eq!(news.next().await, changed(Place::Ready(Priority::Normal), 0));
    begin(&one, at(1)).await;
    assert_eq!(news.next().await, changed(Place::Running, 1));
    assert_eq!(one.cancel(id, at(2)).await.unwrap(), Cancelled::Now);
    assert_eq!(news.next().await, changed(Place::Cancelled, 1));
}

#[tokio::test]
async fn progress_is_shown_to_the_others_for_as_long_as_its_attempt_lasts() {
    let server = RedisServer::start();
    let (one, two) = (open(&server, "one").await, open(&server, "two").await);
    let id = submit(&one, new_task()).await;
    let fence = begin(&one, at(1)).await;
    let mut news = two.news();
    assert_eq!(news.next().await, Some(News::Missed), "it looks at everything first");
    let half = Progress {
        fraction: Some(0.5),
        message: Some("half".into()),
        partial: Some("[1, 2]".into()),
    };
    one.show(fence, &half).await.unwrap();
    let place = Place::Running;
    let told = News::Changed(Changed { id, model: model(), place, attempt: 1 });
    assert_eq!(news.next().await, Some(told));
    assert_eq!(two.get(id).await.unwrap().unwrap().progress, half);

    // A message without a share leaves the share as it was.
    let message = Progress { message: Some("more".into()), ..Progress::default() };
    one.show(fence, &message).await.unwrap();
    let shown = two.get(id).await.unwrap().unwrap().progress;
    assert_eq!(shown, Progress { fraction: Some(0.5), ..message.clone() });

    let stale = store::Fence { attempt: 2, ..fence };
    one.show(stale, &half).await.unwrap();
    assert_eq!(two.get(id).await.unwrap().unwrap().progress, shown);
    one.finish(fence, Outcome::Retry(raised()), at(2)).await.unwrap();
    begin(&two, at(3)).await;
    assert_eq!(one.get(id).await.unwrap().unwrap().progress, Progress::default());
}

#[tokio::test]
async fn whatever_is_asked_again_because_the_answer_was_lost_happens_once() {
    let server = RedisServer::start();
    let way = CutWay::to(&server).await;
    let store = RedisStore::open(&RedisOptions::new(way.url(), "one")).await.unwrap();
    let task = keyed(new_task(), "k");
    way.cut_after(0);
    assert_eq!(store.submit(task.clone()).await.unwrap(), Submitted::New);
    submit(&store, new_task()).await;
    way.cut_after(0);
    let fence = begin(&store, at(1)).await;
    assert_eq!((fence.id, fence.attempt), (task.id, 1));
    let counts = store.stats().await.unwrap()[0].clone();
    assert_eq!((counts.count(TaskState::Queued), counts.count(TaskState::Running)), (1, 1));
    // The first answer is what it is decided on, the second that it was written.
    way.cut_after(1);
    let done = Finished::Applied(TaskState::Completed);
    assert_eq!(store.finish(fence, answered("1"), at(2)).await.unwrap(), done);
    let second = begin(&store, at(3)).await;
    way.cut_after(1);
    assert_eq!(store.cancel(second.id, at(4)).await.unwrap(), Cancelled::Now);
    assert_eq!(way.cuts(), 4);
}

#[tokio::test]
async fn a_redis_that_is_killed_loses_nothing_that_was_acknowledged() {
    let mut server = RedisServer::durable();
    let store = Arc::new(open(&server, "one").await);
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            let mut acknowledged = Vec::new();
            for number in 0..600 {
                let task = keyed(new_task(), &number.to_string());
                if matches!(store.submit(task.clone()).await, Ok(Submitted::New)) {
                    acknowledged.push(task.id);
                }
            }
            acknowledged
        }
    });
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(30)).await;
        server.kill();
        server.run();
    }
    let acknowledged = writer.await.unwrap();
    assert!(acknowledged.len() > 500, "{} of 600", acknowledged.len());
    for id in acknowledged {
        assert_eq!(state(&*store, id).await, TaskState::Queued);
    }
    assert_eq!(store.risks(), [""; 0]);
}

#[tokio::test]
async fn a_caller_that_nobody_looks_after_does_not_keep_others_from_a_new_connection() {
    let mut server = RedisServer::durable();
    let store = open(&server, "one").await;
    let id = submit(&store, new_task()).await;
    server.kill();
    server.run();
    let pid = Pid::from_raw(server.pid() as i32);
    kill(pid, Signal::SIGSTOP).unwrap();
    let mut first = store.get(id);
    assert!(timeout(Duration::from_secs(1), &mut first).await.is_err(), "it connects");
    kill(pid, Signal::SIGCONT).unwrap();
    // Its caller does something else first.
    assert!(store.get(id).await.unwrap().is_some());
    assert!(first.await.unwrap().is_some());
}

#[tokio::test]
async fn a_redis_that_stands_still_for_a_while_is_waited_for() {
    let server = RedisServer::start();
    let store = Arc::new(open(&server, "one").await);
    let pid = Pid::from_raw(server.pid() as i32);
    kill(pid, Signal::SIGSTOP).unwrap();
    let task = new_task();
    let (id, waiting) = (task.id, store.clone());
    let submission = tokio::spawn(async move { waiting.submit(task).await });
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!submission.is_finished());
    kill(pid, Signal::SIGCONT).unwrap();
    assert_eq!(submission.await.unwrap().unwrap(), Submitted::New);
    assert_eq!(state(&*store, id).await, TaskState::Queued);
}

#[tokio::test]
async fn the_keys_of_the_seed_can_be_read() {
    let server = RedisServer::start();
    let store = open(&server, "gateway-1").await;
    let id = submit(&store, new_task()).await;
    let fence = begin(&store, at(1)).await;
    store.finish(fence, answered(r#"{"echo":1}"#), at(2500)).await.unwrap();
    store.check().await.unwrap();

    let mut redis = commands(&server).await;
    let hash = redis.hgetall(format!("ray_service:task:{id}")).await.unwrap();
    let field = |name: &str| hash[name].as_str();
    assert_eq!(field("task_id"), id.to_string());
    assert_eq!((field("model"), field("status")), ("echo", "completed"));
    assert_eq!((field("payload"), field("result")), (r#"{"text":"hello"}"#, r#"{"echo":1}"#));
    assert_eq!(field("ts"), "1800000002.500");

    let log: Vec<(String, HashMap<String, String>)> = redis::cmd("XRANGE")
        .arg(&["ray_service:tasks", "-", "+"])
        .query_async(&mut redis)
        .await
        .unwrap();
    assert_eq!(log.len(), 1);
    assert_eq!((&log[0].1["task_id"], &*log[0].1["status"]), (&id.to_string(), "queued"));
    for key in ["ray_service:heartbeat:gateway-1", "heartbeat:gateway-1"] {
        let beat: u64 = redis.get(key).await.unwrap().expect(key).parse().unwrap();
        assert!(beat > 1_700_000_000, "{beat}");
    }
    store.close().await;
    assert_eq!(redis.get("heartbeat:gateway-1").await.unwrap(), None);
}

#[tokio::test]
async fn the_error_of_a_failed_task_reads_as_the_seed_wrote_it() {
    let server = RedisServer::start();
    let store = open(&server, "one").await;
    let id = submit(&store, new_task()).await;
    let fence = begin(&store, at(1)).await;
    store.finish(fence, Outcome::Failed(raised()), at(2)).await.unwrap();
    let mut redis = commands(&server).await;
    let result = redis.hget(format!("ray_service:task:{id}"), "result").await.unwrap();
    assert_eq!(result.as_deref(), Some(r#"{"error":"boom"}"#));
}

#[tokio::test]
async fn nothing_is_left_of_tasks_whose_time_is_over() {
    let server = RedisServer::start();
    let store = open(&server, "one").await;
    for number in 0..5 {
        submit(&store, keyed(new_task(), &number.to_string())).await;
        let fence = begin(&store, at(1)).await;
        store.finish(fence, answered("1"), at(2)).await.unwrap();
    }
    assert_eq!(store.sweep(at(3_600_002), 100).await.unwrap().removed, 5);
    let mut redis = commands(&server).await;
    let mut left: Vec<String> = redis.keys("ray_service:*").await.unwrap();
    left.retain(|key| !key.starts_with("ray_service:heartbeat"));
    left.sort();
    let fixed = ["lives", "models", "names", "schema", "seq", "servers", "tasks"];
    assert_eq!(left, fixed.map(|name| format!("ray_service:{name}")));
}

#[tokio::test]
async fn what_may_lose_tasks_is_told_and_what_cannot_hold_them_is_refused() {
    let forgetful = RedisServer::start();
    let risks = open(&forgetful, "one").await.risks();
    assert!(risks.len() == 1 && risks[0].contains("appendonly yes"), "{risks:?}");

    let cluster = RedisServer::with(&["--cluster-enabled", "yes"]);
    let error = RedisStore::open(&RedisOptions::new(cluster.url(), "one")).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Unfit { reason, .. } if reason.contains("cluster")),
        "{error}"
    );

    let replica = RedisServer::with(&["--replicaof", "127.0.0.1", "1"]);
    let error = RedisStore::open(&RedisOptions::new(replica.url(), "one")).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Unfit { reason, .. } if reason.contains("replica")),
        "{error}"
    );
}

#[tokio::test]
async fn a_redis_with_a_password_wants_the_right_one() {
    let server = RedisServer::with(&["--requirepass", "secret"]);
    let wrong = format!("{}?pass=wrong", server.url());
    let error = RedisStore::open(&RedisOptions::new(wrong, "one")).await.unwrap_err();
    assert!(error.to_string().contains("password is wrong"), "{error}");
    let right = format!("{}?pass=secret", server.url());
    RedisStore::open(&RedisOptions::new(right, "one")).await.unwrap();
}

#[tokio::test]
async fn the_end_of_a_server_is_not_held_against_its_tasks() {
    let server = RedisServer::start();
    let brief = async |name: &str| {
        let heartbeat = Duration::from_millis(50);
        let options = RedisOptions { heartbeat, ..RedisOptions::new(server.url(), name) };
        RedisStore::open(&options).await.unwrap()
    };
    let (dead, heir) = (brief("one").await, brief("two").await);
    let task = store::NewTask { retry: retries(1), ..new_task() };
    let id = submit(&dead, task).await;
    begin(&dead, at(0)).await;
    // No heart beats any more, as after a kill.
    drop(dead);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(heir.sweep(at(999), 100).await.unwrap().changed, []);
    assert_eq!(heir.sweep(at(1000), 100).await.unwrap().changed.len(), 1);
    let found = heir.get(id).await.unwrap().unwrap();
    assert_eq!((found.state(), found.standing.failures), (TaskState::Queued, 0));
    assert_eq!(begin(&heir, at(1000)).await.attempt, 2);
}

#[tokio::test]
async fn whoever_shares_the_store_is_named() {
    let server = RedisServer::start();
    let (one, two) = (open(&server, "one").await, open(&server, "two").await);
    let seen = one.servers().await.unwrap();
    assert_eq!(seen.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    assert!(seen.iter().all(|(_, silent)| *silent < Duration::from_secs(60)), "{seen:?}");
    two.close().await;
    assert_eq!(one.servers().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_cap_is_shared_by_who_wants_it() {
    let server = RedisServer::start();
    let (one, two) = (open(&server, "one").await, open(&server, "two").await);
    let wish = |running, wanted| [CapWish { model: model(), cap: 6, running, wanted }];
    let share = async |store: &RedisStore, wish: [CapWish; 1]| {
        store.share(&wish).await.unwrap().unwrap()[0]
    };
    assert_eq!(share(&one, wish(0, 0)).await, 6, "alone, it may run all");
    assert_eq!(share(&one, wish(6, 6)).await, 6);
    assert_eq!(share(&two, wish(0, 9)).await, 0, "nothing is taken from what runs");
    assert_eq!(share(&one, wish(6, 6)).await, 6, "it learns of the other");
    assert_eq!(share(&one, wish(6, 6)).await, 3, "and may begin no more, though all of it runs");
    assert_eq!(share(&two, wish(0, 6)).await, 0, "until something has ended");
    assert_eq!(share(&one, wish(5, 6)).await, 3);
    assert_eq!(share(&two, wish(0, 6)).await, 1);
    assert_eq!(share(&one, wish(2, 6)).await, 3);
    assert_eq!(share(&two, wish(1, 6)).await, 3);
    assert_eq!(share(&two, wish(0, 0)).await, 1, "one place is kept for who may come");
    assert_eq!(share(&one, wish(3, 6)).await, 3, "it learns of that");
    assert_eq!(share(&one, wish(3, 6)).await, 5);
}
