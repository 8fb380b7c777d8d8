//! The engine worker from outside: its step loop over a toy model, its routes over toy and real ones.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking; clippy only exempts test functions"
)]

mod client;
mod embedding;
mod gateway;
mod http_stories;
mod loop_stories;
mod real_models;
mod toy;
