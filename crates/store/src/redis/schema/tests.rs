//! From version to version, on a real Redis.

#[path = "../../../tests/it/redis_server.rs"]
#[allow(dead_code, reason = "the integration tests use all of it")]
mod redis_server;

use redis_server::RedisServer;

use super::*;
use crate::RedisOptions;

const TWO_STEPS: &[&str] = &[
    "redis.call('SET', prefix .. 'a', 'x') redis.call('SET', prefix .. 'schema', 2)",
    "redis.call('RENAME', prefix .. 'a', prefix .. 'b') redis.call('SET', prefix .. 'schema', 3)",
];

async fn value(shared: &Shared, name: &str) -> Option<String> {
    let mut pipe = redis::Pipeline::new();
    pipe.get(shared.keys.named(name));
    let (value,) = shared.link.ask(Question::Pipe(&pipe)).await.unwrap();
    value
}

#[tokio::test]
async fn keys_of_an_older_version_are_brought_forward_step_by_step() {
    let server = RedisServer::start();
    let shared = Shared::new(&RedisOptions::new(server.url(), "one")).unwrap();
    shared.bring_forward(&[]).await.unwrap();
    assert_eq!(value(&shared, "schema").await.as_deref(), Some("1"));
    shared.bring_forward(TWO_STEPS).await.unwrap();
    assert_eq!(value(&shared, "schema").await.as_deref(), Some("3"));
    assert_eq!((value(&shared, "a").await, value(&shared, "b").await), (None, Some("x".into())));
    // Nothing is done twice.
    shared.bring_forward(TWO_STEPS).await.unwrap();
    let error = shared.bring_forward(&TWO_STEPS[..1]).await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 3, known: 2, .. }), "{error}");
}

#[tokio::test]
async fn a_step_that_fails_leaves_the_version_as_it_was() {
    let server = RedisServer::start();
    let shared = Shared::new(&RedisOptions::new(server.url(), "one")).unwrap();
    shared.bring_forward(&[]).await.unwrap();
    let broken = ["redis.call('RENAME', prefix .. 'nothing', prefix .. 'b')"];
    shared.bring_forward(&broken).await.unwrap_err();
    assert_eq!(value(&shared, "schema").await.as_deref(), Some("1"));
}
