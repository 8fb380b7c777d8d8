//! What always holds, whatever happens: each decision against random histories.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of tests fail like tests"
)]

mod batch;
mod breaker;
mod fair;
mod health;
mod lane;
mod task;
mod waits;

/// Whole histories are generated; these many are still a fraction of a second.
fn cases(cases: u32) -> proptest::test_runner::Config {
    proptest::test_runner::Config { cases, ..Default::default() }
}
