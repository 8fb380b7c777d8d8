//! The SDK with which workers are written.
//!
//! A worker is an HTTP/1.1 server that the gateway calls. This crate brings the server, so that a
//! handler sees nothing but its calls: it listens, joins the gateway and renews its lease, takes
//! calls up to its capacity and refuses the others, cancels those whose client left or whose time
//! is up, and leaves in good order.
//!
//! # A worker
//!
//! A route has a kind, a method, a path and a handler. Everything that a handler needs stands in this
//! crate; it is plain async Rust, and runs on the runtime of the caller.
//!
//! ```no_run
//! use std::{num::NonZeroUsize, sync::Arc, time::Duration};
//!
//! use tokio_util::sync::CancellationToken;
//! use worker::{
//!     BatchLimits, Incoming, Response, Route, RouteKind, Socket, Waiting, Worker, batched,
//!     json_handler, ndjson, sse,
//! };
//!
//! # async fn main_() -> Result<(), Box<dyn std::error::Error>> {
//! // JSON in, JSON out; what does not fit the types is answered with 422.
//! let square = json_handler(|n: u32| async move { Ok(u64::from(n) * u64::from(n)) });
//! // Many calls at once, each with an answer of its own.
//! let limits = BatchLimits { size_max: NonZeroUsize::MIN, wait_max: Duration::from_millis(5) };
//! let many = batched(limits, Waiting::Adaptive, |all: Vec<u32>| async move {
//!     all.into_iter().map(|n| Ok(u64::from(n) * u64::from(n))).collect()
//! });
//! // Server-sent events, made while the client reads.
//! let count = |_: Incoming| async {
//!     Ok(sse::respond(16, |events| async move {
//!         for n in 1..=3 {
//!             events.send(&sse::Event::data(n.to_string())).await?;
//!         }
//!         Ok(())
//!     }))
//! };
//! // Lines of JSON, likewise.
//! let squares = |_: Incoming| async {
//!     Ok(ndjson::respond(16, |lines| async move {
//!         for n in 1..=3 {
//!             lines.send(&(n * n)).await?;
//!         }
//!         Ok(())
//!     }))
//! };
//! // Any bytes of any type, streamed in and out.
//! let raw = |call: Incoming| async { Ok(Response::new(call.request.into_body())) };
//! // A WebSocket.
//! let parrot = |_: Incoming, mut socket: Socket| async move {
//!     while let Some(message) = socket.recv().await {
//!         if socket.send(message).await.is_err() {
//!             break;
//!         }
//!     }
//!     Ok(())
//! };
//!
//! let worker = Worker::builder("kinds")
//!     .route(Route::new(RouteKind::Api, "POST", "/square"), Arc::new(square))
//!     .route(Route::new(RouteKind::Api, "POST", "/square-many"), Arc::new(many))
//!     .route(Route::new(RouteKind::Sse, "POST", "/count"), Arc::new(count))
//!     .route(Route::new(RouteKind::Api, "GET", "/squares"), Arc::new(squares))
//!     .route(Route::new(RouteKind::Api, "ANY", "/raw"), Arc::new(raw))
//!     .websocket(Route::new(RouteKind::Ws, "GET", "/parrot"), Arc::new(parrot))
//!     .capacity(64)
//!     .build()?;
//!
//! // Started by a gateway, it knows where to listen and where to join; alone, you say where.
//! let launch = match worker::launch()? {
//!     Some(launch) => launch,
//!     None => worker.standalone("tcp:127.0.0.1:9000".parse()?),
//! };
//! tokio::select! {
//!     outcome = worker.serve(launch, CancellationToken::new()) => outcome?,
//!     () = worker::lifeline() => {}
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What it does for you, and what you must not do
//!
//! - **Capacity.** More calls than [`WorkerBuilder::capacity`] are refused with 503 before their
//!   handler begins, and the gateway sends them elsewhere. A [`batched`] route counts those that wait.
//! - **Cancelling.** A client that leaves, or a deadline, drops the handler's future, and with it
//!   all that it owns. Code that must clean up does so in `Drop`. What blocks a thread cannot be
//!   dropped: give it to [`tokio::task::spawn_blocking`] and ask [`Running::is_cancelled`] now and then.
//! - **Back-pressure.** Streams are made as fast as they are read: `send(..).await` waits.
//! - **Errors.** A handler returns a [`Fault`]: a code, which is also the status, and a detail for the
//!   caller; what caused it goes to the log only. A panic is `handler_failed`, and ends that call alone.
//! - **Progress.** [`Running::progress`] tells the gateway that a long call is alive, and its caller
//!   how far it is.
//! - **The end.** `stop` refuses what is new, waits for what runs ([`WorkerBuilder::drain_max`]), and
//!   says goodbye.
//!
//! # Where it runs
//!
//! - Behind a gateway that starts it: `kind = "command"` and `command = ["./my-worker"]` in `[models.NAME]`.
//! - Behind a gateway elsewhere: a [`WorkerLaunch`] of your own, with the gateway's address and its join token.
//! - Behind an IEOPS proxy, beside `serve`: [`ieops::keep_registered`].
//! - Alone: [`Worker::serve_standalone`].
//!
//! The whole program is `examples/kinds.rs`; docs/worker-rust.md is the guide to it.

mod answer_body;
mod batched;
mod builder;
pub mod builtin;
mod call;
mod connection;
mod control;
mod cors;
mod door;
mod error;
mod feed;
mod gateway_client;
mod handler;
pub mod ieops;
pub mod json;
mod last_word;
mod launch;
mod ledger;
mod lifeline;
mod listen;
mod membership;
pub mod ndjson;
mod outbox;
mod path_template;
mod problem;
mod refusal;
mod request_body;
mod routes;
mod running;
mod serve;
mod server;
mod socket;
mod socket_call;
mod socket_life;
mod socket_pulse;
pub mod sse;
mod surface;
mod token;
mod upgrade;
mod warm_up;

pub use api::{
    Body,
    worker::{Route, RouteKind, WorkerLaunch},
};
pub use batched::batched;
pub use builder::{Worker, WorkerBuilder};
pub use cors::Cors;
pub use error::WorkerError;
pub use feed::Gone;
pub use handler::{Answer, Handler, Incoming, SocketHandler, SocketLife};
pub use http::Response;
pub use json::json_handler;
pub use launch::launch;
pub use ledger::Load;
pub use lifeline::lifeline;
pub use path_template::{ParamKind, PathParam};
pub use policy::batch::{BatchLimits, Waiting};
pub use problem::{FieldError, FieldErrors, problem_response};
pub use running::Running;
pub use serve::BoundWorker;
pub use socket::{Acceptance, Closed, Message, Parting, Socket, SocketSender};
pub use surface::{Failure, Page, Surface};
pub use types::{ErrorCode, Fault};
