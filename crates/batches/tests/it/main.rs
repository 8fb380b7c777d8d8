//! Batches from their file to their results, on tasks that really run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that panics has failed"
)]

mod ends;
mod files;
mod house;
mod servers;
