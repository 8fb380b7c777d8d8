//! Calls over real sockets to peers that behave well, and to peers that do not.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail by panicking")]

mod peer;

use std::time::Duration;

use api::{Begun, Body, worker::Address};
use dial::{DialError, Pool};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::peer::Peer;

const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

fn post(body: &'static str) -> Request<Body> {
    Request::post("/echo").body(Body::full(body)).unwrap()
}

async fn text(response: http::Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn one_connection_serves_many_calls() {
    let mut peer = Peer::listen();
    let pool = peer.pool();
    let served = tokio::spawn(async move {
        let mut socket = peer.accept().await;
        for _ in 0..3 {
            socket.read_request().await;
            socket.write(HELLO).await;
        }
        peer
    });
    for _ in 0..3 {
        let response = pool.send(post("hi")).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(text(response).await, "hello");
    }
    served.await.unwrap();
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_replaced_without_a_word() {
    let mut peer = Peer::listen();
    let pool = peer.pool();
    let served = tokio::spawn(async move {
        for _ in 0..2 {
            let mut socket = peer.accept().await;
            socket.read_request().await;
            socket.write(HELLO).await;
        }
    });
    for _ in 0..2 {
        assert_eq!(text(pool.send(post("hi")).await.unwrap()).await, "hello");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    served.await.unwrap();
}

#[tokio::test]
async fn dropping_a_pending_call_closes_its_socket() {
    let mut peer = Peer::listen();
    let pool = peer.pool();
    let call = tokio::spawn(async move { pool.send(post("hi")).await.map(drop) });
    let mut socket = peer.accept().await;
    socket.read_request().await;
    call.abort();
    assert!(socket.closed_within(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn dropping_the_answer_in_the_middle_closes_its_socket() {
    let mut peer = Peer::listen();
    let pool = peer.pool();
    let serve = async {
        let mut socket = peer.accept().await;
        socket.read_request().await;
        socket.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n").await;
        socket
    };
    let (response, mut socket) = tokio::join!(pool.send(post("hi")), serve);
    let mut body = response.unwrap().into_body();
    let frame = body.frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "hi");
    drop(body);
    assert!(socket.closed_within(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn a_peer_that_is_not_there_has_begun_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let pool = Pool::new(Address::Unix(folder.path().join("none")));
    let error = pool.send(post("hi")).await.err().unwrap();
    assert!(matches!(error, DialError::Unreachable { .. }));
    assert_eq!(error.begun(), Begun::No);
}

#[tokio::test]
async fn garbage_and_sudden_death_are_told_apart() {
    for (answer, is_garbage) in [(&b"\x00\xffwhat?\r\n\r\n"[..], true), (&b""[..], false)] {
        let mut peer = Peer::listen();
        let pool = peer.pool();
        let serve = async {
            let mut socket = peer.accept().await;
            socket.read_request().await;
            socket.write(answer).await;
        };
        let (answer, ()) = tokio::join!(pool.send(post("hi")), serve);
        let error = answer.err().unwrap();
        let DialError::Broken { begun, source, .. } = error else { panic!("{error}") };
        assert_eq!((begun, source.is_parse()), (Begun::Maybe, is_garbage));
    }
}

#[tokio::test]
async fn a_switch_of_protocols_hands_over_the_socket() {
    let mut peer = Peer::listen();
    let pool = peer.pool();
    let serve = async {
        let mut socket = peer.accept().await;
        socket.read_request().await;
        socket.write(b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n").await;
        socket
    };
    let request = Request::get("/ws").header("connection", "upgrade").header("upgrade", "x");
    let request = request.body(Body::empty()).unwrap();
    let (response, mut socket) = tokio::join!(pool.send(request), serve);
    let mut upgraded =
        hyper_util::rt::TokioIo::new(hyper::upgrade::on(response.unwrap()).await.unwrap());
    upgraded.write_all(b"ping").await.unwrap();
    assert_eq!(socket.read_exact(4).await, b"ping");
    socket.write(b"pong").await;
    let mut answer = [0; 4];
    upgraded.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"pong");
}
