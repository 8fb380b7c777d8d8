//! The places that run processes.
//!
//! A [`Deployer`] starts and stops worker processes and lists those that it started; it knows
//! nothing of calls, leases or restarts. [`local`] runs child processes on this machine.
//! [`gpus`] hands out devices, [`python`] finds an interpreter that can run a Python worker.

mod deployer;
mod exit;
pub mod gpus;
pub mod local;
pub mod python;

pub use deployer::{DeployError, Deployer, LaunchId, Process, ProcessSpec, ProcessState};
pub use exit::{Again, Exit, ExitCause};
pub use local::{Local, LocalService};

#[cfg(test)]
mod conformance;
