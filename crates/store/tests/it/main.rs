//! The stores, from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests, also outside of test functions"
)]

mod conformance;
mod crash;
mod model;
mod moves;
mod redis;
mod redis_server;
mod sentinel;
mod simulation;
mod sqlite;
