//! A primary that dies, and a replica that Sentinel puts in its place.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use api::task::TaskState;
use store::{
    RedisOptions, RedisStore, Submitted, TaskStore,
    conformance::{new_task, state, submit},
};
use tokio::time::sleep;

use crate::redis_server::RedisServer;

fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

/// What a command answers on a port, as text.
async fn ask(port: &str, command: &[&str]) -> String {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
    let Ok(mut connection) = client.get_multiplexed_async_connection().await else {
        return String::new();
    };
    let answer: redis::RedisResult<redis::Value> =
        redis::cmd(command[0]).arg(&command[1..]).query_async(&mut connection).await;
    match answer {
        Ok(redis::Value::BulkString(text)) => String::from_utf8_lossy(&text).into_owned(),
        other => format!("{other:?}"),
    }
}

async fn until(port: &str, command: &[&str], word: &str) {
    let begun = Instant::now();
    loop {
        let answer = ask(port, command).await;
        if answer.contains(word) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "no `{word}` in {answer}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn work_goes_on_at_the_primary_that_sentinel_names() {
    let (first, second, watch) = (free_port(), free_port(), free_port());
    let settings = ["--bind", "127.0.0.1", "--appendonly", "yes", "--save", ""];
    let at = |port| [&["--port", port][..], &settings].concat();
    let mut primary = RedisServer::with(&at(&first));
    let _replica =
        RedisServer::with(&[&at(&second)[..], &["--replicaof", "127.0.0.1", &first]].concat());
    until(&second, &["INFO", "replication"], "master_link_status:up").await;
    let _sentinel = RedisServer::sentinel(&format!(
        "port {watch}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {first} 1\n\
         sentinel down-after-milliseconds main 300\nsentinel failover-timeout main 3000\n"
    ));
    until(&watch, &["SENTINEL", "replicas", "main"], &second).await;

    let url = format!("redis-sentinel://127.0.0.1:{watch}/main");
    let store = RedisStore::open(&RedisOptions::new(url, "one")).await.unwrap();
    let before = submit(&store, new_task()).await;
    until(&second, &["EXISTS", &format!("ray_service:task:{before}")], "1").await;
    primary.kill();

    let after = new_task();
    let begun = Instant::now();
    // One question has less patience than a failover may take.
    while !matches!(store.submit(after.clone()).await, Ok(Submitted::New)) {
        assert!(begun.elapsed() < Duration::from_secs(60), "no primary took over");
    }
    for id in [before, after.id] {
        assert_eq!(state(&store, id).await, TaskState::Queued);
    }
}
