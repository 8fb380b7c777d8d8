//! Calls one HTTP/1.1 server over pooled connections, without a task of its own.
//!
//! - [`Pool`] keeps the idle connections of one address and sends requests.
//! - `connection` is one connection; whoever waits for its answer moves its bytes.
//! - `body` is an answer's body; it gives the connection back at its end, and closes it when it
//!   is dropped before, which is how a call is cancelled.
//!
//! Absent on purpose: TLS, HTTP/2 (`adapters`), retries and what an error means to a client.

mod body;
mod connection;
mod error;
mod pool;

pub use error::DialError;
pub use pool::Pool;
