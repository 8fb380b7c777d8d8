//! An IEOPS proxy: workers of the package `gmi-ieops` register here by themselves, again and again,
//! and each is a replica of the model that it names.
//!
//! - [`Proxy`] is the handle: what a worker said goes in, what it is told comes out.
//! - `announced` is a worker's word, checked.
//! - `roll` holds who is registered and decides; it is pure and takes `now` as an argument.
//! - `service` is the loop that owns the roll and does what it says.
//! - `usage` counts what workers say was used.
//! - `visit` asks a new worker what can be called; `routes` reads the answer.
//! - `endpoint` calls one worker, and tells when that failed.
//!
//! Absent on purpose: the socket and the shapes of answers (`gateway`), queues and placement
//! (`dispatch`). Nothing is stored: a restarted server learns its workers from their next beat.

mod announced;
mod endpoint;
mod pace;
mod proxy;
mod roll;
mod routes;
mod service;
mod usage;
mod visit;

pub use proxy::{Proxy, Registered};
pub use service::{ProxyService, nobody};
