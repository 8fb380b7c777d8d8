//! The replicas of one model and the calls that each of them holds.

use types::{Placement, WorkerId};

use crate::placement::{Placer, ReplicaLoad, Wish};

#[derive(Debug)]
pub(crate) struct Replicas {
    loads: Vec<ReplicaLoad>,
    /// Removed ones that still hold calls: should one join again, its calls are not forgotten.
    gone: Vec<ReplicaLoad>,
    placer: Placer,
}

impl Replicas {
    pub(crate) fn new(placement: Placement, seed: u64) -> Self {
        Self { loads: Vec::new(), gone: Vec::new(), placer: Placer::new(placement, seed) }
    }

    /// Some free place, if there is one.
    pub(crate) fn free(&self) -> Option<FreePlace> {
        self.loads.iter().position(ReplicaLoad::has_place).map(FreePlace)
    }

    /// Takes a place by the policy; `free` proves that there is one.
    pub(crate) fn take(&mut self, free: FreePlace, wish: &Wish) -> WorkerId {
        let index = self.placer.choose(&self.loads, wish).unwrap_or(free.0);
        let load = &mut self.loads[index];
        load.in_flight += 1;
        load.replica
    }

    pub(crate) fn release(&mut self, replica: WorkerId) {
        if let Some(load) = self.loads.iter_mut().find(|load| load.replica == replica) {
            load.in_flight = load.in_flight.saturating_sub(1);
        } else if let Some(index) = position(&self.gone, replica) {
            self.gone[index].in_flight -= 1;
            if self.gone[index].in_flight == 0 {
                self.gone.swap_remove(index);
            }
        }
    }

    pub(crate) fn set(&mut self, replica: WorkerId, capacity: u32) {
        let index = match (position(&self.loads, replica), position(&self.gone, replica)) {
            (Some(index), _) => index,
            (None, gone) => {
                let new =
                    ReplicaLoad { replica, capacity, in_flight: 0, draining: false, weight: 1 };
                self.loads.push(gone.map_or(new, |index| self.gone.swap_remove(index)));
                self.loads.len() - 1
            }
        };
        self.loads[index].capacity = capacity;
        self.loads[index].draining = false;
    }

    pub(crate) fn weigh(&mut self, replica: WorkerId, weight: u32) {
        if let Some(index) = position(&self.loads, replica) {
            self.loads[index].weight = weight.max(1);
        }
    }

    /// Calls that a replica holds, if it is known.
    pub(crate) fn held(&self, replica: WorkerId) -> Option<u32> {
        position(&self.loads, replica).map(|index| self.loads[index].in_flight)
    }

    pub(crate) fn drain(&mut self, replica: WorkerId) {
        if let Some(index) = position(&self.loads, replica) {
            self.loads[index].draining = true;
        }
    }

    pub(crate) fn remove(&mut self, replica: WorkerId) {
        let Some(index) = position(&self.loads, replica) else { return };
        let load = self.loads.remove(index);
        self.placer.forget(index);
        if load.in_flight > 0 {
            self.gone.push(load);
        }
    }

    pub(crate) fn loads(&self) -> impl Iterator<Item = ReplicaLoad> {
        self.loads.iter().copied()
    }
}

/// Proof that a replica has a free place; good until the replicas change.
#[derive(Clone, Copy)]
pub(crate) struct FreePlace(usize);

fn position(loads: &[ReplicaLoad], replica: WorkerId) -> Option<usize> {
    loads.iter().position(|load| load.replica == replica)
}
