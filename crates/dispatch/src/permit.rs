//! A place on a replica.

use std::sync::Arc;

use fleet::Replica;

use crate::lane::ModelLane;

/// A place for one call on one replica. Dropping it gives the place to whoever waits.
#[derive(Debug)]
pub struct Permit {
    replica: Arc<Replica>,
    lane: Arc<ModelLane>,
}

impl Permit {
    pub(crate) const fn new(replica: Arc<Replica>, lane: Arc<ModelLane>) -> Self {
        Self { replica, lane }
    }

    /// Where the call goes.
    pub const fn replica(&self) -> &Arc<Replica> {
        &self.replica
    }

    pub(crate) const fn lane(&self) -> &Arc<ModelLane> {
        &self.lane
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.lane.release(self.replica.id);
    }
}
