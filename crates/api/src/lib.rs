//! Shapes on the wire, and the one call trait that every backend implements.
//!
//! Pure: no socket, no clock, no runtime. Who serves or sends these shapes lives above.

pub mod body;
pub mod endpoint;
pub mod headers;
pub mod ieops;
pub mod inference;
pub mod openai;
pub mod problem;
pub mod task;
pub mod worker;

pub use body::{Body, broken_off};
pub use endpoint::{Begun, Endpoint, EndpointError, Sent};
pub use problem::Problem;

/// The error type of streamed bodies.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
