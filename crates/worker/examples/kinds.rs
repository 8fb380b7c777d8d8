//! A worker with a route of each kind: a typed function, events, lines, raw bytes and a socket.
//!
//! ```sh
//! cargo run -p worker --example kinds -- tcp:127.0.0.1:9000
//! curl -d '{"n": 12}' -H 'content-type: application/json' http://127.0.0.1:9000/square
//! curl -N -X POST http://127.0.0.1:9000/count
//! ```

use std::{error::Error, sync::Arc, time::Duration};

use api::Body;
use http::Response;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use types::{ErrorCode, Fault};
use worker::{Incoming, Message, Route, RouteKind, Socket, Worker, json_handler, ndjson, sse};

#[derive(Deserialize)]
struct Question {
    n: u64,
}

#[derive(Serialize)]
struct Reply {
    square: u64,
}

/// JSON in, JSON out. A fault carries its status with it.
async fn square(question: Question) -> Result<Reply, Fault> {
    let square = question.n.checked_mul(question.n);
    let square = square.ok_or_else(|| Fault::new(ErrorCode::InvalidInput, "`n`: is too large"))?;
    Ok(Reply { square })
}

/// Events. The future inside runs while the client reads, and is dropped when it leaves.
async fn count(incoming: Incoming) -> Result<Response<Body>, Fault> {
    let running = incoming.running.clone();
    Ok(sse::respond(16, |events| async move {
        for n in 1..=3_u32 {
            events.send(&sse::Event::data(n.to_string())).await?;
            running.progress(Some(f64::from(n) / 3.0), None, None);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }))
}

/// Lines of JSON.
async fn squares(_: Incoming) -> Result<Response<Body>, Fault> {
    Ok(ndjson::respond(16, |lines| async move {
        for n in 1..=3 {
            lines.send(&Reply { square: n * n }).await?;
        }
        Ok(())
    }))
}

/// Bytes in, bytes out, as they come.
async fn raw(incoming: Incoming) -> Result<Response<Body>, Fault> {
    Ok(Response::new(incoming.request.into_body()))
}

/// A socket that shouts back.
async fn shout(_: Incoming, mut socket: Socket) -> Result<(), Fault> {
    while let Some(message) = socket.recv().await {
        let shouted = match message {
            Message::Text(text) => Message::Text(text.to_uppercase()),
            binary @ Message::Binary(_) => binary,
        };
        if socket.send(shouted).await.is_err() {
            break;
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or("tcp:127.0.0.1:9000".into()).parse()?;
    let worker = Worker::builder("kinds")
        .route(Route::new(RouteKind::Api, "POST", "/square"), Arc::new(json_handler(square)))
        .route(Route::new(RouteKind::Sse, "POST", "/count"), Arc::new(count))
        .route(Route::new(RouteKind::Api, "GET", "/squares"), Arc::new(squares))
        .route(Route::new(RouteKind::Api, "ANY", "/raw"), Arc::new(raw))
        .websocket(Route::new(RouteKind::Ws, "GET", "/shout"), Arc::new(shout))
        .build()?;

    let stop = CancellationToken::new();
    let serving = worker.serve_standalone(address, stop.clone());
    tokio::pin!(serving);
    tokio::select! {
        outcome = &mut serving => return Ok(outcome?),
        _ = tokio::signal::ctrl_c() => stop.cancel(),
    }
    Ok(serving.await?)
}
