//! The SDK with which workers are written.
//!
//! A worker is an HTTP/1.1 server that the gateway calls. This crate brings the server, so that a
//! handler sees nothing but its calls: it listens, joins the gateway and renews its lease, takes
//! calls up to its capacity and refuses the others, cancels those whose client left or whose time
//! is up, and leaves in good order.

mod answer_body;
mod builder;
pub mod builtin;
mod call;
mod connection;
mod control;
mod door;
mod error;
mod feed;
mod gateway_client;
mod handler;
pub mod json;
mod ledger;
mod lifeline;
mod listen;
mod membership;
pub mod ndjson;
mod outbox;
mod problem;
mod refusal;
mod request_body;
mod routes;
mod running;
mod serve;
mod server;
mod socket;
mod socket_life;
pub mod sse;
mod token;
mod upgrade;
mod warm_up;

pub use api::worker::{Route, RouteKind, WorkerLaunch};
pub use builder::{Worker, WorkerBuilder};
pub use error::WorkerError;
pub use feed::Gone;
pub use handler::{Answer, Handler, Incoming, SocketHandler, SocketLife};
pub use json::json_handler;
pub use lifeline::lifeline;
pub use problem::{FieldError, FieldErrors, problem_response};
pub use running::Running;
pub use serve::BoundWorker;
pub use socket::{Closed, Message, Socket, SocketSender};
