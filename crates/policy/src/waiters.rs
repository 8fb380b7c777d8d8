//! Those who wait for a place: by class, then fairly by tenant, then by arrival.

use std::collections::BTreeMap;

use types::{Priority, Tenant, WorkerId};

use crate::{
    fair::{COST_ONE, FairOrder},
    lane::{Arrival, OVERTAKES_MAX, Place},
};

#[derive(Debug)]
pub(crate) struct Waiters<T> {
    /// Most urgent first, as in [`Priority::URGENT_FIRST`].
    classes: [FairOrder<Tenant>; 3],
    waiting: BTreeMap<Place, Arrival<T>>,
    place_next: u64,
    /// Grants that passed over a lower class since a lower class last had one.
    overtakes: u32,
}

impl<T> Waiters<T> {
    pub(crate) fn new() -> Self {
        Self {
            classes: [(); 3].map(|()| FairOrder::new(COST_ONE)),
            waiting: BTreeMap::new(),
            place_next: 0,
            overtakes: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn push(&mut self, arrival: Arrival<T>) -> Place {
        let place = Place(self.place_next);
        self.place_next += 1;
        self.classes[rank(arrival.priority)].push(arrival.tenant.clone(), place.0, COST_ONE);
        self.waiting.insert(place, arrival);
        place
    }

    /// Takes the one whose turn it is: its ticket and the replica that it avoids.
    pub(crate) fn pop(&mut self) -> Option<(T, Option<WorkerId>)> {
        let class = self.next_class()?;
        let place = Place(self.classes[class].pop()?);
        self.waiting.remove(&place).map(|arrival| (arrival.ticket, arrival.avoid))
    }

    pub(crate) fn leave(&mut self, place: Place) -> Option<T> {
        let Arrival { ticket, tenant, priority, .. } = self.waiting.remove(&place)?;
        self.classes[rank(priority)].remove(&tenant, place.0);
        Some(ticket)
    }

    /// Everyone, in the order of their arrival.
    pub(crate) fn drain(&mut self) -> Vec<T> {
        self.classes.iter_mut().for_each(FairOrder::clear);
        std::mem::take(&mut self.waiting).into_values().map(|arrival| arrival.ticket).collect()
    }

    /// The most urgent class that waits, or now and then the lower one that waited longest.
    fn next_class(&mut self) -> Option<usize> {
        let urgent = self.classes.iter().position(|class| !class.is_empty())?;
        let lower = urgent + 1..self.classes.len();
        if lower.clone().all(|class| self.classes[class].is_empty()) {
            self.overtakes = 0;
            return Some(urgent);
        }
        if self.overtakes < OVERTAKES_MAX {
            self.overtakes += 1;
            return Some(urgent);
        }
        self.overtakes = 0;
        let ages =
            lower.filter_map(|class| self.classes[class].oldest().map(|oldest| (oldest, class)));
        ages.min().map(|(_, class)| class)
    }
}

const fn rank(priority: Priority) -> usize {
    match priority {
        Priority::High => 0,
        Priority::Normal => 1,
        Priority::Low => 2,
    }
}
