//! The worker behind `local-echo`.

use std::time::Duration;

use api::worker::Address;
use futures_util::{SinkExt, StreamExt};
use http::Method;
use serde_json::{Value, json};
use tokio_tungstenite::{client_async, tungstenite::Message as Frame};
use worker::{Worker, WorkerError, WorkerLaunch, builtin};

use crate::support::{
    Served,
    client::{Answered, request_to},
    handlers::ok,
    one_route, run, socket_in_temp_dir, soon,
};

fn launch(metadata: &Value) -> (WorkerLaunch, std::sync::Arc<tempfile::TempDir>) {
    let (dir, path) = socket_in_temp_dir();
    let any: Worker = one_route(ok).build().unwrap();
    let mut launch = any.standalone(Address::Unix(path));
    launch.model = "local-echo".parse().unwrap();
    launch.metadata = metadata.as_object().unwrap().clone();
    (launch, dir)
}

async fn echo(metadata: &Value) -> Served {
    let (launch, dir) = launch(metadata);
    let worker = builtin::by_name("echo").unwrap().worker(&launch).unwrap();
    run(worker, launch, dir).await
}

async fn post(worker: &Served, path: &str, body: &str) -> Answered {
    worker.client().await.send(request_to(Method::POST, path, 1, body.to_owned())).await
}

#[tokio::test]
async fn the_default_route_answers_as_the_document_says() {
    let worker = echo(&json!({})).await;
    let answer = post(&worker, "/echo", r#"{"payload":{"text":"hello"}}"#).await;
    assert_eq!(answer.text(), r#"{"model":"local-echo","echo":{"payload":{"text":"hello"}}}"#);
    assert_eq!(answer.header("content-type"), "application/json");
    let description = worker.client().await.get("/-/describe").await.json();
    assert_eq!(description["default_route"], "/echo");
}

#[tokio::test]
async fn the_body_comes_back_byte_by_byte() {
    let worker = echo(&json!({})).await;
    let odd = r#"{ "b" : 1.10, "a":12345678901234567890123, "a": "\u00e9é" }"#;
    let answer = post(&worker, "/echo", odd).await;
    assert_eq!(answer.text(), format!(r#"{{"model":"local-echo","echo":{odd}}}"#));
}

#[tokio::test]
async fn what_is_no_json_object_is_refused() {
    let worker = echo(&json!({})).await;
    for body in ["[1]", "7", "\"{}\"", " null"] {
        post(&worker, "/echo", body).await.is_problem(422, "invalid_input", "a JSON object");
    }
    for body in ["", "{", "{} {}", "{\"a\":1,}"] {
        post(&worker, "/echo", body).await.is_problem(422, "invalid_json", "not valid JSON");
    }
}

#[tokio::test]
async fn a_delay_holds_the_answer_back() {
    let worker = echo(&json!({"delay_ms": 50})).await;
    let asked = std::time::Instant::now();
    assert_eq!(post(&worker, "/echo", "{}").await.status(), 200);
    assert!(asked.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn a_delay_that_is_none_is_told() {
    let (launch, _dir) = launch(&json!({"delay_ms": "long"}));
    let error = builtin::by_name("echo").unwrap().worker(&launch).err();
    assert!(matches!(error, Some(WorkerError::Metadata { field: "delay_ms", .. })), "{error:?}");
}

#[tokio::test]
async fn words_come_as_events_and_as_lines() {
    let worker = echo(&json!({})).await;
    let body = r#"{"text":"to be","count":3,"interval_ms":1}"#;
    let events = post(&worker, "/stream", body).await;
    assert_eq!(events.header("content-type"), "text/event-stream");
    assert_eq!(
        events.text(),
        "data: {\"index\":0,\"word\":\"to\"}\n\n\
         data: {\"index\":1,\"word\":\"be\"}\n\n\
         data: {\"index\":2,\"word\":\"to\"}\n\n"
    );
    let lines = post(&worker, "/ndjson", body).await;
    assert_eq!(
        lines.text(),
        "{\"index\":0,\"word\":\"to\"}\n\
         {\"index\":1,\"word\":\"be\"}\n\
         {\"index\":2,\"word\":\"to\"}\n"
    );
    assert_eq!(post(&worker, "/ndjson", "{}").await.text().lines().count(), 3);
    assert_eq!(post(&worker, "/ndjson", r#"{"text":"","count":9}"#).await.text(), "");
    post(&worker, "/stream", r#"{"text":7}"#).await.is_problem(422, "invalid_input", "`text`");
}

#[tokio::test]
async fn raw_gives_anything_back() {
    let worker = echo(&json!({})).await;
    let mut client = worker.client().await;
    let picture = vec![0xff; 2_000_000];
    let mut put = request_to(Method::PUT, "/raw?x=1", 1, picture.clone());
    put.headers_mut().insert("content-type", "image/png".parse().unwrap());
    let answer = client.send(put).await;
    assert_eq!(answer.header("content-type"), "image/png");
    assert!(answer.response.body() == &picture);
    assert_eq!(client.get("/raw").await.text(), "");
}

#[tokio::test]
async fn the_socket_gives_every_message_back() {
    let worker = echo(&json!({})).await;
    let path = worker.dir.path().join("worker.sock");
    let stream = tokio::net::UnixStream::connect(path).await.unwrap();
    let (mut peer, _) = soon(client_async("ws://worker/ws", stream)).await.unwrap();
    peer.send(Frame::text("hello")).await.unwrap();
    assert_eq!(soon(peer.next()).await.unwrap().unwrap(), Frame::text("hello"));
}
