//! One thing that can be called on behalf of a model.

use std::{fmt, sync::Arc};

use api::{Endpoint, worker::Description};
use types::{ModelName, WorkerId};

/// How a replica came to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It registered: it holds a lease, and reports when a cancelled call has really ended.
    Registered,
    /// It registered by a protocol in which it says no more than that it lives; a cancelled call
    /// counts as ended at once. Who hears it says when it is gone.
    Enlisted,
    /// It was declared and does not know us; a cancelled call counts as ended at once.
    Declared,
}

/// One running copy of a model.
pub struct Replica {
    /// Its id; a restarted process is another replica.
    pub id: WorkerId,
    /// The model that it serves.
    pub model: ModelName,
    /// The deployer's name of its process; empty if nobody of ours started it.
    pub launch_id: String,
    /// Calls it may hold at once.
    pub capacity: u32,
    /// Calls that it should get for each one of a replica of weight 1.
    pub weight: u32,
    /// Calls that it said it holds, those of others included; 0 if it says nothing of that.
    pub busy: u32,
    /// How it came to us.
    pub manner: Manner,
    /// What it says of itself; declared endpoints say little.
    pub description: Description,
    /// The way to call it.
    pub endpoint: Arc<dyn Endpoint>,
}

/// What an enlisted worker offers; it may change while it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Calls it may hold at once.
    pub capacity: u32,
    /// Calls that it should get for each one of a replica of weight 1.
    pub weight: u32,
    /// Calls that it says it holds, those of others included.
    pub busy: u32,
    /// Whether it takes new calls.
    pub takes_calls: bool,
}

impl Replica {
    /// The same replica with another offer.
    pub(crate) fn offering(&self, offer: &Offer) -> Self {
        Self {
            id: self.id,
            model: self.model.clone(),
            launch_id: self.launch_id.clone(),
            capacity: offer.capacity,
            weight: offer.weight,
            busy: offer.busy,
            manner: self.manner,
            description: self.description.clone(),
            endpoint: self.endpoint.clone(),
        }
    }
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replica")
            .field("id", &self.id)
            .field("model", &self.model)
            .field("launch_id", &self.launch_id)
            .field("capacity", &self.capacity)
            .field("manner", &self.manner)
            .finish_non_exhaustive()
    }
}
