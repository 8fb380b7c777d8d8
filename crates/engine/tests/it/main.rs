//! Whole generations with a model that is a toy and a KV memory that is not: stories, and what
//! holds whatever happens.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of tests fail like tests"
)]

mod memory;
mod order;
mod properties;
mod sampling;
mod stage;
mod toy;
mod trouble;
