//! The worker contract, tried over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking; clippy only exempts test functions"
)]

mod announcing;
mod batching;
mod builtin;
mod calls;
mod cancelling;
mod capacity;
mod draining;
mod failing;
mod joining;
mod lifelines;
mod listening;
mod reporting;
mod routes;
mod silence;
mod socket_doors;
mod socket_frames;
mod sockets;
mod streams;
mod support;
mod surfaces;
