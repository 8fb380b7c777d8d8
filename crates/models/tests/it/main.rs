//! Small recorded checkpoints end to end: right logits, the same bits every way, clear refusals.

mod bad_input;
mod cache;
mod embeddings;
mod fixture;
mod identity;
mod logits;
mod runner;
