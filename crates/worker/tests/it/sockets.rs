//! WebSockets.

use std::sync::Arc;

use api::worker::{Outcome, Report};
use futures_util::{SinkExt, StreamExt};
use http::StatusCode;
use tokio::net::UnixStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message as Frame, protocol::frame::coding::CloseCode},
};
use types::{ErrorCode, Fault};
use worker::{Closed, Incoming, Message, Route, RouteKind, Socket, SocketHandler, Worker};

use crate::support::{
    Served, client::call_id, eventually, gateway::Gateway, handlers::Census, soon, start,
    start_with,
};

pub(crate) type Peer = WebSocketStream<UnixStream>;

pub(crate) fn builder(handler: impl SocketHandler) -> worker::WorkerBuilder {
    let route = Route::new(RouteKind::Ws, "GET", "/ws");
    Worker::builder("test").websocket(route, Arc::new(handler))
}

pub(crate) async fn connect(worker: &Served) -> Peer {
    try_connect(worker).await.unwrap()
}

pub(crate) async fn try_connect(worker: &Served) -> Result<Peer, tungstenite::Error> {
    let stream = UnixStream::connect(worker.dir.path().join("worker.sock")).await.unwrap();
    let mut request =
        tungstenite::client::IntoClientRequest::into_client_request("ws://worker/ws")?;
    let id = call_id(7).to_string().parse().unwrap();
    request.headers_mut().insert("x-call-id", id);
    Ok(soon(client_async(request, stream)).await?.0)
}

pub(crate) async fn next(peer: &mut Peer) -> Frame {
    soon(peer.next()).await.unwrap().unwrap()
}

/// The code and the reason of the close frame that comes next.
pub(crate) async fn closed(peer: &mut Peer) -> (CloseCode, String) {
    match next(peer).await {
        Frame::Close(Some(close)) => (close.code, close.reason.to_string()),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn echo(_: Incoming, mut socket: Socket) -> Result<(), Fault> {
    while let Some(message) = socket.recv().await {
        if message == Message::Text("enough".into()) {
            return Ok(());
        }
        if message == Message::Text("fail".into()) {
            return Err(Fault::new(ErrorCode::HandlerFailed, "lost the thread"));
        }
        assert_ne!(message, Message::Text("panic".into()), "as asked");
        socket.send(message).await.unwrap();
    }
    Ok(())
}

#[tokio::test]
async fn text_and_bytes_go_both_ways_in_order() {
    let worker = start(builder(echo)).await;
    let mut peer = connect(&worker).await;
    for n in 0..100 {
        peer.send(Frame::text(n.to_string())).await.unwrap();
        peer.send(Frame::binary(vec![n])).await.unwrap();
        assert_eq!(next(&mut peer).await, Frame::text(n.to_string()));
        assert_eq!(next(&mut peer).await, Frame::binary(vec![n]));
    }
}

#[tokio::test]
async fn the_end_of_the_handler_closes_the_socket_and_says_how_it_went() {
    let worker = start(builder(echo)).await;
    for (word, code, reason) in [
        ("enough", CloseCode::Normal, ""),
        ("fail", CloseCode::Error, "lost the thread"),
        ("panic", CloseCode::Error, "the code of the model panicked"),
    ] {
        let mut peer = connect(&worker).await;
        peer.send(Frame::text(word)).await.unwrap();
        let (told_code, told_reason) = closed(&mut peer).await;
        assert_eq!(told_code, code);
        assert!(told_reason.starts_with(reason), "{told_reason}");
    }
}

#[tokio::test]
async fn a_handler_may_close_with_a_code_of_its_own_after_what_it_sent() {
    let worker = start(builder(|_: Incoming, socket: Socket| async move {
        socket.send(Message::Text("last words".into())).await.unwrap();
        socket.close(4_001, "ö".repeat(100)).await.unwrap();
        let mut socket = socket;
        assert_eq!(socket.recv().await, None, "the peer confirms");
        assert_eq!(socket.send(Message::Text("too late".into())).await, Err(Closed));
        Ok(())
    }))
    .await;
    let mut peer = connect(&worker).await;
    assert_eq!(next(&mut peer).await, Frame::text("last words"));
    let (code, reason) = closed(&mut peer).await;
    assert_eq!(code, CloseCode::from(4_001));
    assert_eq!(reason, "ö".repeat(61), "as much as a close frame can carry");
}

#[tokio::test]
async fn a_peer_that_closes_ends_the_messages_and_lets_the_handler_finish() {
    let finished = Census::default();
    let counted = finished.clone();
    let worker = start(builder(move |incoming: Incoming, mut socket: Socket| {
        let counted = counted.clone();
        async move {
            while socket.recv().await.is_some() {}
            assert!(!incoming.running.is_cancelled());
            std::mem::forget(counted.born());
            Ok(())
        }
    }))
    .await;
    let mut peer = connect(&worker).await;
    peer.close(None).await.unwrap();
    eventually(|| finished.count() == 1).await;
}

#[tokio::test]
async fn a_peer_that_vanishes_cancels_the_call() {
    let gateway = Gateway::start();
    let alive = Census::default();
    let counted = alive.clone();
    let handler = move |_: Incoming, _socket: Socket| {
        let counted = counted.clone();
        async move {
            let _alive = counted.born();
            std::future::pending().await
        }
    };
    let worker = start_with(builder(handler), |launch| gateway.admits(launch)).await;
    gateway.is_joined().await;
    let peer = connect(&worker).await;
    eventually(|| alive.count() == 1).await;
    assert_eq!(gateway.next_heartbeat().await[0].call_id, call_id(7));
    drop(peer);
    eventually(|| alive.count() == 0).await;
    gateway
        .is_told(|told| {
            matches!(told.reports[..], [Report::Ended { outcome: Outcome::Cancelled, .. }])
        })
        .await;
}

#[tokio::test]
async fn a_socket_holds_its_place_as_long_as_it_lives() {
    let worker = start(builder(echo).capacity(1)).await;
    let mut peer = connect(&worker).await;
    match try_connect(&worker).await {
        Err(tungstenite::Error::Http(refused)) => {
            assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(refused.headers()["x-not-begun"], "1");
        }
        other => panic!("{:?}", other.err()),
    }
    peer.close(None).await.unwrap();
    soon(async { while try_connect(&worker).await.is_err() {} }).await;
}

#[tokio::test]
async fn a_thread_can_send_into_a_socket() {
    let worker = start(builder(|_: Incoming, mut socket: Socket| async move {
        let sender = socket.sender();
        std::thread::spawn(move || {
            for n in 0..50 {
                sender.blocking_send(Message::Text(n.to_string())).unwrap();
            }
        });
        while socket.recv().await.is_some() {}
        Ok(())
    }))
    .await;
    let mut peer = connect(&worker).await;
    for n in 0..50 {
        assert_eq!(next(&mut peer).await, Frame::text(n.to_string()));
    }
}

#[tokio::test]
async fn a_plain_request_to_a_socket_is_told_what_to_ask_for() {
    let worker = start(builder(echo)).await;
    let answer = worker.client().await.get("/ws").await;
    answer.is_problem(400, "invalid_request", "`upgrade: websocket`");
}
