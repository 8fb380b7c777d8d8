//! Handlers that fail.

use std::{io, sync::Arc, time::Duration};

use api::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body::Frame;
use http_body_util::BodyExt;
use types::{ErrorCode, Fault};
use worker::{Incoming, Worker, ndjson, sse};

use crate::support::{client::request, handlers::ok, one_route, post, soon, start};

#[tokio::test]
async fn a_fault_is_told_with_status_code_and_request_id_and_without_its_cause() {
    let worker = start(one_route(|_: Incoming| async {
        let fault = Fault::new(ErrorCode::ProviderFailed, "the provider said no");
        Err(fault.caused_by(io::Error::other("password=1234")))
    }))
    .await;
    let mut request = request(1, "");
    request.headers_mut().insert("x-request-id", "r-77".parse().unwrap());
    let answer = worker.client().await.send(request).await;
    answer.is_problem(500, "provider_failed", "the provider said no");
    assert_eq!(answer.json()["request_id"], "r-77");
    assert_eq!(answer.header("x-request-id"), "r-77");
    assert!(!answer.text().contains("1234"));
    assert_eq!(answer.header("x-not-begun"), "", "its code has run");
}

#[tokio::test]
async fn a_panic_is_answered_and_the_worker_lives_on() {
    let worker = start(
        Worker::builder("test")
            .route(post("/call"), Arc::new(ok))
            .route(
                post("/later"),
                Arc::new(|_: Incoming| async {
                    tokio::task::yield_now().await;
                    panic!("no more {}", "ideas")
                }),
            )
            .route(post("/at-once"), Arc::new(PanicsAtOnce)),
    )
    .await;
    let mut client = worker.client().await;
    for (path, words) in [("/later", "panicked: no more ideas"), ("/at-once", "panicked: at once")]
    {
        let mut request = request(1, "");
        *request.uri_mut() = path.parse().unwrap();
        client.send(request).await.is_problem(500, "handler_failed", words);
        assert_eq!(client.post("").await.text(), "ok", "on the same connection");
    }
}

struct PanicsAtOnce;

impl worker::Handler for PanicsAtOnce {
    fn call(&self, _: Incoming) -> worker::Answer {
        panic!("at once")
    }
}

#[tokio::test]
async fn a_stream_that_panics_is_cut_and_the_worker_lives_on() {
    let worker = start(one_route(|_: Incoming| async {
        Ok(sse::respond(4, |events| async move {
            events.send(&sse::Event::data("first")).await?;
            // By now the first event is on its way.
            tokio::time::sleep(Duration::from_millis(20)).await;
            panic!("in the middle")
        }))
    }))
    .await;
    let mut client = worker.client().await;
    let answer = client.begin(request(1, "")).await;
    assert!(soon(answer.into_body().collect()).await.is_err());
    assert_eq!(worker.client().await.get("/-/live").await.status(), 200);
}

#[tokio::test]
async fn a_stream_that_fails_tells_its_fault_last() {
    let fail = || Fault::new(ErrorCode::HandlerFailed, "out of words");
    let worker = start(
        Worker::builder("test")
            .route(
                post("/call"),
                Arc::new(move |_: Incoming| async move {
                    Ok(sse::respond(4, |events| async move {
                        events.send(&sse::Event::data("first")).await?;
                        Err(fail())
                    }))
                }),
            )
            .route(
                post("/lines"),
                Arc::new(move |_: Incoming| async move {
                    Ok(ndjson::respond(4, |lines| async move {
                        lines.send(&"first").await?;
                        Err(fail())
                    }))
                }),
            ),
    )
    .await;
    let mut client = worker.client().await;
    let events = client.post("").await;
    let (first, last) = events.text().split_once("\n\n").unwrap();
    assert_eq!(first, "data: first");
    assert!(last.starts_with("event: error\ndata: {"), "{last}");
    assert!(last.contains("handler_failed") && last.contains("out of words"), "{last}");

    let mut request = request(1, "");
    *request.uri_mut() = "/lines".parse().unwrap();
    let lines = client.send(request).await;
    let lines: Vec<serde_json::Value> =
        lines.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], "first");
    assert_eq!(lines[1]["error"]["code"], "handler_failed");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_whole_answer() {
    let worker = start(one_route(|_: Incoming| async {
        let half = stream::iter([Ok(Frame::data(Bytes::from_static(b"half")))]);
        let rest = stream::once(async {
            // By now the first half is on its way.
            tokio::time::sleep(Duration::from_millis(20)).await;
            Err(io::Error::other("the file is gone"))
        });
        let body = http_body_util::StreamBody::new(half.chain(rest));
        Ok(http::Response::new(Body::stream(body)))
    }))
    .await;
    let answer = worker.client().await.begin(request(1, "")).await;
    assert!(soon(answer.into_body().collect()).await.is_err());
}

#[tokio::test]
async fn garbage_on_a_connection_hurts_nobody_else() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let worker = start(one_route(ok)).await;
    let path = worker.dir.path().join("worker.sock");
    let mut raw = tokio::net::UnixStream::connect(path).await.unwrap();
    raw.write_all(b"\x16\x03\x01 this is not http\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    soon(raw.read_to_end(&mut said)).await.unwrap();
    assert!(said.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&said));
    assert_eq!(worker.client().await.post("").await.text(), "ok");
}
