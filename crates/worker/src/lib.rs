//! The SDK with which workers are written.
//!
//! A worker is an HTTP/1.1 server that the gateway calls. This crate brings the server, so that a
//! handler sees nothing but its calls: it listens, joins the gateway and renews its lease, takes
//! calls up to its capacity and refuses the others, cancels those whose client left or whose time
//! is up, and leaves in good order.

mod builder;
mod error;
mod handler;
mod ledger;
mod outbox;
mod problem;
mod routes;
mod running;
mod socket;

pub use api::worker::{Route, RouteKind, WorkerLaunch};
pub use builder::{Worker, WorkerBuilder};
pub use error::WorkerError;
pub use handler::{Answer, Handler, Incoming, SocketHandler, SocketLife};
pub use problem::{FieldError, FieldErrors, problem_response};
pub use running::Running;
pub use socket::{Closed, Message, Socket, SocketSender};
