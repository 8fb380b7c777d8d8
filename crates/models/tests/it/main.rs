//! Small recorded checkpoints end to end: right logits, the same bits every way, clear refusals.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail by panicking")]

mod bad_input;
mod batches;
mod cache;
mod embeddings;
mod fixture;
mod identity;
mod logits;
mod runner;
