//! What the fleet tells others.

use api::worker::Report;
use types::{CallId, ModelName, WorkerId};

/// Why a worker is no longer part of the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// It said good-bye.
    Left,
    /// Its process ended.
    ProcessEnded,
    /// Its lease ran out.
    Lost,
}

/// Something that changed; for the supervisor. Whoever needs the present state instead of the
/// changes follows [`crate::ModelView`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FleetEvent {
    /// A worker registered and takes work from now on.
    Joined {
        /// The worker.
        worker: WorkerId,
        /// The deployer's name of its process; empty if nobody of ours started it.
        launch_id: String,
        /// What it serves.
        model: ModelName,
    },
    /// A call of this worker neither ended in its time nor stopped when cancelled. The worker
    /// takes no more work and should be replaced.
    Stuck {
        /// The worker.
        worker: WorkerId,
        /// The deployer's name of its process.
        launch_id: String,
        /// What it serves.
        model: ModelName,
        /// The call.
        call: CallId,
    },
    /// A worker is gone; calls that ran on it have failed.
    Gone {
        /// The worker.
        worker: WorkerId,
        /// The deployer's name of its process.
        launch_id: String,
        /// What it served.
        model: ModelName,
        /// Why.
        departure: Departure,
    },
}

/// Hears every report of every worker, for example to store the progress of a task.
pub trait ReportListener: Send + Sync {
    /// Must return quickly; it runs in the worker's request.
    fn on_report(&self, call: CallId, report: &Report);
}
