//! Keeps the workers of local models running.
//!
//! - [`Control`] is the handle: which models should run, and when to restart them.
//! - [`plan`] decides what to do about one model; it is pure and takes `now` as an argument.
//! - [`ControlService`] is the loop: it compares what should run with what the deployer runs and
//!   what the fleet has registered, and performs the steps. It takes no other input, so that it
//!   misses nothing by looking away.
//!
//! Absent on purpose: processes (`deploy`), leases and health (`fleet`), the decision how many
//! workers a model should have (its configuration).

mod environment;
mod handle;
mod launch;
pub mod plan;
mod service;

pub use handle::{Control, ControlSettings, Stopped};
pub use service::ControlService;
