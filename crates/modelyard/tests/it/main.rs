//! The integration tests of the binary: each runs it as a person would.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod background;
mod client;
mod config;
mod desk;
mod e2e;
mod help;
mod keys;
mod provider;
mod serve;
mod store;
mod worker;
