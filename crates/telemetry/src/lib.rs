//! What the program tells about itself: numbers for Prometheus and lines for a log.
//!
//! Both are made for the hot path. A counter is an atomic behind a handle that the caller keeps;
//! a log line is formatted into a buffer that a thread of its own writes out.

pub mod log;
pub mod metrics;
pub mod names;

pub use metrics::{Breaker, Metrics, ModelMetrics, Outcome, ReplicaState, RouteMetrics};
