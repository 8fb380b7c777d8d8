//! The SDK with which workers are written.
//!
//! A worker is an HTTP/1.1 server that the gateway calls. This crate brings the server, so that a
//! handler sees nothing but its calls: it listens, joins the gateway and renews its lease, takes
//! calls up to its capacity and refuses the others, cancels those whose client left or whose time
//! is up, and leaves in good order.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use api::Body;
//! use http::Response;
//! use tokio_util::sync::CancellationToken;
//! use worker::{Incoming, Route, RouteKind, Socket, Worker, json_handler, ndjson, sse};
//!
//! # async fn main_() -> Result<(), Box<dyn std::error::Error>> {
//! let launch = serde_json::from_str(&std::env::var(api::worker::LAUNCH_ENV)?)?;
//!
//! // JSON in, JSON out; what does not fit the types is answered with 422.
//! let square = json_handler(|n: u32| async move { Ok(u64::from(n) * u64::from(n)) });
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
//!     .route(Route::new(RouteKind::Sse, "POST", "/count"), Arc::new(count))
//!     .route(Route::new(RouteKind::Api, "GET", "/squares"), Arc::new(squares))
//!     .route(Route::new(RouteKind::Api, "ANY", "/raw"), Arc::new(raw))
//!     .websocket(Route::new(RouteKind::Ws, "GET", "/parrot"), Arc::new(parrot))
//!     .capacity(64)
//!     .build()?;
//! tokio::select! {
//!     outcome = worker.serve(launch, CancellationToken::new()) => outcome?,
//!     () = worker::lifeline() => {}
//! }
//! # Ok(())
//! # }
//! ```

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

pub use api::worker::{Route, RouteKind, WorkerLaunch};
pub use batched::batched;
pub use builder::{Worker, WorkerBuilder};
pub use cors::Cors;
pub use error::WorkerError;
pub use feed::Gone;
pub use handler::{Answer, Handler, Incoming, SocketHandler, SocketLife};
pub use json::json_handler;
pub use ledger::Load;
pub use lifeline::lifeline;
pub use path_template::{ParamKind, PathParam};
pub use problem::{FieldError, FieldErrors, problem_response};
pub use running::Running;
pub use serve::BoundWorker;
pub use socket::{Acceptance, Closed, Message, Parting, Socket, SocketSender};
pub use surface::{Failure, Page, Surface};
