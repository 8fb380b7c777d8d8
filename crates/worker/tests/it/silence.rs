//! Clients that stop in the middle of what they have to say.

use std::{sync::Arc, time::Duration};

use api::{Body, worker::Address};
use http::Response;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};
use types::Fault;
use worker::{Incoming, Worker};

use crate::support::{Served, handlers::ok, one_route, post, soon, start};

const BRIEF: Duration = Duration::from_millis(100);

async fn connected(worker: &Served) -> UnixStream {
    let Address::Unix(path) = &worker.address else { panic!("not on a unix socket") };
    UnixStream::connect(path).await.unwrap()
}

/// What comes until the worker closes, after these words.
async fn all_after(worker: &Served, words: &str) -> String {
    let mut stream = connected(worker).await;
    stream.write_all(words.as_bytes()).await.unwrap();
    let mut told = String::new();
    soon(stream.read_to_string(&mut told)).await.unwrap();
    told
}

/// Reads all and says how long it was.
async fn length(mut incoming: Incoming) -> Result<Response<Body>, Fault> {
    let body = incoming.read_body().await?;
    Ok(Response::new(Body::full(body.len().to_string())))
}

#[tokio::test]
async fn a_connection_on_which_no_request_comes_is_closed() {
    let worker = start(one_route(ok).head_wait_max(BRIEF)).await;
    for words in ["", "POST /call HTTP/1.1\r\nho"] {
        assert_eq!(all_after(&worker, words).await, "");
    }
    let once = "POST /call HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
    let told = all_after(&worker, once).await;
    assert!(told.starts_with("HTTP/1.1 200 "), "closed only once it was idle: {told}");
}

#[tokio::test]
async fn a_body_that_stops_midway_is_refused_and_gives_its_place_back() {
    let builder = Worker::builder("test").route(post("/call"), Arc::new(length));
    let worker = start(builder.capacity(1).body_silence_max(BRIEF)).await;
    for framing in ["content-length: 5", "content-length: 2000000", "transfer-encoding: chunked"] {
        let words = format!("POST /call HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n1\r\n");
        let told = all_after(&worker, &words).await;
        assert!(told.starts_with("HTTP/1.1 400 "), "{framing}: {told}");
        assert!(told.contains("nothing more of the body came for 100ms"), "{framing}: {told}");
    }
    assert_eq!(worker.client().await.post("12345").await.text(), "5");
}

#[tokio::test]
async fn a_body_that_comes_slowly_is_taken() {
    let builder = Worker::builder("test").route(post("/call"), Arc::new(length));
    let worker = start(builder.body_silence_max(Duration::from_secs(2))).await;
    let mut stream = connected(&worker).await;
    let head = "POST /call HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 60\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    // Together longer than one silence may be.
    for _ in 0..60 {
        stream.write_all(b"x").await.unwrap();
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    let mut told = String::new();
    soon(stream.read_to_string(&mut told)).await.unwrap();
    assert!(told.ends_with("\r\n\r\n60"), "{told}");
}
