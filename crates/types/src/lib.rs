//! The words that every other crate speaks: ids, names, units, limits and the error table.
//!
//! Nothing here does anything: no clock, no randomness, no I/O. A fresh id is made by the caller
//! (`TaskId::new(Uuid::now_v7())`), so that the pure crates above stay pure.

mod engine;
mod error;
mod ids;
mod model;
mod names;
mod nearest;
mod timestamp;
mod variables;

pub use engine::{EngineSpec, KvFormat, Quantize};
pub use error::{ErrorCode, Fault, Retry, chain};
pub use ids::{BadId, CallId, TaskId, WorkerId};
pub use model::{
    ConfigIssue, HttpMethod, ImageProfile, ModelKind, ModelSpec, Placement, RetrySpec, WebhookEvent,
};
pub use names::{BadName, ModelName, Priority, RequestId, Tenant};
pub use nearest::nearest;
pub use timestamp::Timestamp;
pub use variables::{BadText, interpolate};
