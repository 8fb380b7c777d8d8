//! A model that the loop keeps.

use std::sync::Arc;

use fleet::{Availability, Fleet};
use types::{ModelName, ModelSpec};

use crate::plan::{Keeper, Outlook, Wanted};

/// A model, its keeper, and what was last said about it.
pub(super) struct Kept {
    pub(super) spec: Arc<ModelSpec>,
    pub(super) keeper: Keeper,
    /// The model was removed; its workers are on their way out.
    pub(super) is_leaving: bool,
    announced: Option<Outlook>,
}

impl Kept {
    pub(super) fn new(name: &ModelName, spec: Arc<ModelSpec>, fleet: &Fleet) -> Self {
        let keeper = Keeper::new(name.clone(), wanted(&spec, 1, fleet));
        Self { spec, keeper, is_leaving: false, announced: None }
    }

    /// Another spec from now on, and with it other workers.
    pub(super) fn change(&mut self, spec: Arc<ModelSpec>, fleet: &Fleet) {
        self.spec = spec;
        self.is_leaving = false;
        self.next_generation(fleet);
    }

    /// All workers are to be replaced.
    pub(super) fn next_generation(&mut self, fleet: &Fleet) {
        let generation = self.keeper.wanted().generation + 1;
        self.keeper.want(wanted(&self.spec, generation, fleet));
    }

    /// All workers are to go.
    pub(super) fn leave(&mut self) {
        self.is_leaving = true;
        self.announced = None;
        let wanted = Wanted { workers: 0, ..self.keeper.wanted().clone() };
        self.keeper.want(wanted);
    }

    /// Whether callers should still wait for its first worker.
    pub(super) const fn is_loading(&self) -> bool {
        !self.is_leaving && !self.keeper.first_load_is_over()
    }

    /// Tells the fleet how it stands with the model, if that is news. Of a model that leaves
    /// others speak.
    pub(super) fn announce(&mut self, name: &ModelName, outlook: Outlook, fleet: &Fleet) {
        if self.is_leaving || self.announced.as_ref() == Some(&outlook) {
            return;
        }
        let availability = match &outlook {
            Outlook::Starting => Availability::Starting,
            Outlook::Ready => Availability::Ready,
            Outlook::Failing { reason } => {
                tracing::warn!(model = %name, reason, "the model is failing");
                Availability::Failing { reason: reason.clone() }
            }
        };
        fleet.set_availability(name, availability);
        self.announced = Some(outlook);
    }
}

fn wanted(spec: &ModelSpec, generation: u64, fleet: &Fleet) -> Wanted {
    Wanted {
        workers: spec.num_workers,
        generation,
        start_timeout: spec.start_timeout(),
        // A living worker learns with its next heartbeat that it must register again.
        rejoin_timeout: fleet.settings().heartbeat,
        // No call may last longer.
        drain_grace: spec.timeout(),
    }
}
