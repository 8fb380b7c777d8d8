//! A worker with a route of each kind: a typed function, a batch, events, lines, raw bytes and a
//! socket.
//!
//! Alone, and then called by anybody:
//!
//! ```sh
//! cargo run -p worker --example kinds -- tcp:127.0.0.1:9000
//! curl --json '{"n": 12}' http://127.0.0.1:9000/square
//! curl -N -X POST http://127.0.0.1:9000/count
//! ```
//!
//! Behind a gateway, which starts it, watches it and replaces it. The gateway tells it where to listen
//! and where to join in the environment, so no argument is needed:
//!
//! ```toml
//! [models.kinds]
//! kind = "command"
//! command = ["target/debug/examples/kinds"]
//! ```

use std::{error::Error, num::NonZeroUsize, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use worker::{
    BatchLimits, Body, ErrorCode, Fault, Incoming, Message, Response, Route, RouteKind, Socket,
    Waiting, Worker, WorkerError, batched, json_handler, ndjson, sse,
};

#[derive(Deserialize)]
struct Question {
    n: u64,
}

#[derive(Serialize)]
struct Reply {
    square: u64,
}

fn square_of(n: u64) -> Result<Reply, Fault> {
    let square = n.checked_mul(n);
    let square = square.ok_or_else(|| Fault::new(ErrorCode::InvalidInput, "`n`: is too large"))?;
    Ok(Reply { square })
}

/// JSON in, JSON out. A fault carries its status with it.
async fn square(question: Question) -> Result<Reply, Fault> {
    square_of(question.n)
}

/// Many calls at once, each with an answer of its own: what an accelerator likes.
async fn square_all(questions: Vec<Question>) -> Vec<Result<Reply, Fault>> {
    questions.into_iter().map(|question| square_of(question.n)).collect()
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

fn kinds() -> Result<Worker, WorkerError> {
    let limits = BatchLimits {
        size_max: NonZeroUsize::new(32).unwrap_or(NonZeroUsize::MIN),
        wait_max: Duration::from_millis(5),
    };
    let many = batched(limits, Waiting::Adaptive, square_all);
    Worker::builder("kinds")
        .route(Route::new(RouteKind::Api, "POST", "/square"), Arc::new(json_handler(square)))
        .route(Route::new(RouteKind::Api, "POST", "/square-many"), Arc::new(many))
        .route(Route::new(RouteKind::Sse, "POST", "/count"), Arc::new(count))
        .route(Route::new(RouteKind::Api, "GET", "/squares"), Arc::new(squares))
        .route(Route::new(RouteKind::Api, "ANY", "/raw"), Arc::new(raw))
        .websocket(Route::new(RouteKind::Ws, "GET", "/shout"), Arc::new(shout))
        .capacity(64)
        .build()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let worker = kinds()?;
    let stop = CancellationToken::new();
    let launch = match worker::launch()? {
        Some(launch) => launch,
        None => {
            let address = std::env::args().nth(1).unwrap_or("tcp:127.0.0.1:9000".into());
            worker.standalone(address.parse()?)
        }
    };
    let serving = worker.serve(launch, stop.clone());
    tokio::pin!(serving);
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = &mut serving => return Ok(outcome?),
        _ = terminated.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
        () = worker::lifeline() => {}
    }
    stop.cancel();
    Ok(serving.await?)
}
