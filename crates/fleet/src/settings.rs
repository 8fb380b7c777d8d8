//! Times and secrets.

use std::time::Duration;

/// Times and secrets of the fleet.
#[derive(Debug, Clone)]
pub struct FleetSettings {
    /// Time between heartbeats.
    pub heartbeat: Duration,
    /// A worker without a heartbeat for this long is lost.
    pub lease: Duration,
    /// What a worker must present to join.
    pub join_token: String,
    /// Tells this server's memory from that of an earlier one.
    pub epoch: u64,
}
