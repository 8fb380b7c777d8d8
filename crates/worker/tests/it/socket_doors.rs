//! WebSockets whose handlers decide who gets one, and peers that fall silent.

use std::{sync::Arc, time::Duration};

use api::Body;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, Response, StatusCode};
use tokio_tungstenite::tungstenite::{
    self, Message as Frame,
    protocol::{CloseFrame, frame::coding::CloseCode},
};
use types::{ErrorCode, Fault};
use worker::{Acceptance, Incoming, Message, Parting, Socket, SocketHandler, SocketLife};

use crate::{
    sockets::{Peer, builder, closed, connect, echo, next, try_connect},
    support::{Served, eventually, handlers::Census, soon, start},
};

/// Decides by itself, as the function says.
struct Decides<F>(F);

impl<F, A> SocketHandler for Decides<F>
where
    F: Fn(Incoming, Socket) -> A + Send + Sync + 'static,
    A: Future<Output = Result<(), Fault>> + Send + 'static,
{
    fn call(&self, incoming: Incoming, socket: Socket) -> SocketLife {
        Box::pin(self.0(incoming, socket))
    }

    fn accepts_itself(&self) -> bool {
        true
    }
}

/// The answer that came instead of a socket.
async fn refused(worker: &Served) -> Response<Option<Vec<u8>>> {
    match try_connect(worker).await {
        Err(tungstenite::Error::Http(answer)) => *answer,
        other => panic!("{:?}", other.map(drop)),
    }
}

#[tokio::test]
async fn a_handler_chooses_a_protocol_and_headers_when_it_accepts() {
    let handler = Decides(|incoming: Incoming, mut socket: Socket| async move {
        assert_eq!(incoming.request.uri().path(), "/ws");
        tokio::task::yield_now().await;
        let mut headers = HeaderMap::new();
        headers.insert("x-room", "7".parse().unwrap());
        socket.accept(Acceptance { subprotocol: Some("v2".into()), headers }).unwrap();
        socket.send(Message::Text("in".into())).await.unwrap();
        Ok(())
    });
    let worker = start(builder(handler)).await;
    let stream = tokio::net::UnixStream::connect(worker.dir.path().join("worker.sock"));
    let mut request =
        tungstenite::client::IntoClientRequest::into_client_request("ws://worker/ws").unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "v1, v2".parse().unwrap());
    let (mut peer, answer) =
        soon(tokio_tungstenite::client_async(request, stream.await.unwrap())).await.unwrap();
    assert_eq!(answer.headers()["sec-websocket-protocol"], "v2");
    assert_eq!(answer.headers()["x-room"], "7");
    assert_eq!(next(&mut peer).await, Frame::text("in"));
    assert_eq!(closed(&mut peer).await.0, CloseCode::Normal);
}

#[tokio::test]
async fn a_handler_that_returns_undecided_has_refused() {
    let handler = Decides(|_: Incoming, _: Socket| async { Ok(()) });
    let worker = start(builder(handler).capacity(1)).await;
    for _ in 0..3 {
        assert_eq!(refused(&worker).await.status(), StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn a_handler_refuses_with_an_answer_of_its_own() {
    let handler = Decides(|_: Incoming, mut socket: Socket| async move {
        let mut answer = Response::new(Body::full("not you"));
        *answer.status_mut() = StatusCode::PAYMENT_REQUIRED;
        socket.refuse(answer).unwrap();
        std::future::pending().await
    });
    let worker = start(builder(handler).capacity(1)).await;
    for _ in 0..3 {
        assert_eq!(refused(&worker).await.status(), StatusCode::PAYMENT_REQUIRED);
    }
}

#[tokio::test]
async fn a_handler_that_fails_undecided_answers_with_its_fault() {
    let handler = Decides(|_: Incoming, _: Socket| async {
        Err(Fault::new(ErrorCode::InvalidInput, "no such room"))
    });
    let worker = start(builder(handler)).await;
    assert_eq!(refused(&worker).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_client_that_does_not_wait_for_the_decision_cancels_the_call() {
    let alive = Census::default();
    let counted = alive.clone();
    let handler = Decides(move |_: Incoming, _socket: Socket| {
        let alive = counted.born();
        async move {
            let _alive = alive;
            std::future::pending().await
        }
    });
    let worker = start(builder(handler)).await;
    let waiting = tokio::spawn(async move {
        let _ = try_connect(&worker).await;
    });
    eventually(|| alive.count() == 1).await;
    waiting.abort();
    eventually(|| alive.count() == 0).await;
}

#[tokio::test]
async fn what_the_peer_said_when_it_closed_is_told() {
    let (told, mut parting) = tokio::sync::mpsc::channel(1);
    let handler = move |_: Incoming, mut socket: Socket| {
        let told = told.clone();
        async move {
            while socket.recv().await.is_some() {}
            told.send(socket.parting().cloned()).await.unwrap();
            Ok(())
        }
    };
    let worker = start(builder(handler)).await;
    for (frame, code, reason) in [
        (Some(CloseFrame { code: CloseCode::Away, reason: "bye".into() }), 1001, "bye"),
        (Some(CloseFrame { code: CloseCode::Library(4_000), reason: "".into() }), 4_000, ""),
        (None, 1005, ""),
    ] {
        let mut peer = connect(&worker).await;
        peer.close(frame).await.unwrap();
        let told = soon(parting.recv()).await.unwrap();
        assert_eq!(told, Some(Parting { code, reason: reason.into() }));
    }
}

fn pinging(alive: &Census, interval: Duration) -> worker::WorkerBuilder {
    let counted = alive.clone();
    let handler = move |incoming: Incoming, socket: Socket| {
        let alive = counted.born();
        async move {
            let _alive = alive;
            echo(incoming, socket).await
        }
    };
    builder(handler).ping_interval(interval)
}

#[tokio::test]
async fn a_silent_peer_is_asked_and_stays_if_it_answers() {
    let alive = Census::default();
    // Long enough for a busy machine to answer in.
    let worker = start(pinging(&alive, Duration::from_millis(400))).await;
    let mut peer: Peer = connect(&worker).await;
    // Reading answers the pings.
    for _ in 0..3 {
        assert!(matches!(next(&mut peer).await, Frame::Ping(_)));
    }
    assert_eq!(alive.count(), 1);
    peer.send(Frame::text("still here")).await.unwrap();
    let answered = async {
        loop {
            match peer.next().await {
                Some(Ok(Frame::Ping(_))) => {}
                other => return other,
            }
        }
    };
    assert_eq!(soon(answered).await.unwrap().unwrap(), Frame::text("still here"));
}

#[tokio::test]
async fn a_peer_that_does_not_answer_is_gone() {
    let alive = Census::default();
    let worker = start(pinging(&alive, Duration::from_millis(50))).await;
    let peer = connect(&worker).await;
    eventually(|| alive.count() == 1).await;
    // Nobody reads, so nobody answers.
    eventually(|| alive.count() == 0).await;
    drop(peer);
}

#[tokio::test]
async fn a_peer_that_vanishes_while_its_messages_wait_is_noticed() {
    let alive = Census::default();
    let counted = alive.clone();
    let handler = move |_: Incoming, _socket: Socket| {
        let alive = counted.born();
        async move {
            let _alive = alive;
            std::future::pending().await
        }
    };
    let worker = start(builder(handler).ping_interval(Duration::from_millis(50))).await;
    let mut peer = connect(&worker).await;
    for n in 0..100 {
        peer.send(Frame::text(n.to_string())).await.unwrap();
    }
    eventually(|| alive.count() == 1).await;
    drop(peer);
    eventually(|| alive.count() == 0).await;
}

#[tokio::test]
async fn a_peer_whose_messages_wait_for_the_handler_is_not_gone() {
    let go = Arc::new(tokio::sync::Notify::new());
    let gate = Arc::clone(&go);
    let handler = move |_: Incoming, mut socket: Socket| {
        let gate = Arc::clone(&gate);
        async move {
            gate.notified().await;
            let mut count = 0;
            while let Some(Message::Text(_)) = socket.recv().await {
                count += 1;
                if count == 100 {
                    break;
                }
            }
            Ok(())
        }
    };
    let worker = start(builder(handler).ping_interval(Duration::from_millis(20))).await;
    let mut peer = connect(&worker).await;
    for n in 0..100 {
        peer.send(Frame::text(n.to_string())).await.unwrap();
    }
    // Ten intervals, in which nobody listens to the peer.
    tokio::time::sleep(Duration::from_millis(200)).await;
    go.notify_one();
    let end = async {
        loop {
            match peer.next().await {
                Some(Ok(Frame::Close(frame))) => return frame,
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    assert_eq!(soon(end).await.map(|frame| frame.code), Some(CloseCode::Normal));
}
