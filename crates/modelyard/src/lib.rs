//! The binary `modelyard`, as a library so that its parts can be tested.

pub mod config;
