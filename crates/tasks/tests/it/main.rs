//! Tasks from submission to end, through a real dispatcher, a real fleet and both stores.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests, also outside of test functions"
)]

mod asking;
mod dead_letters;
mod house;
mod lives;
mod progress;
mod recent;
mod results;
mod running;
mod stopping;
mod webhooks;
