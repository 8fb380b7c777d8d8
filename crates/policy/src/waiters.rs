//! Those who wait for a place, in their order.

use std::collections::BTreeMap;

use crate::{
    fair::COST_ONE,
    lane::{Arrival, Place},
    order::Order,
    placement::Wish,
};

#[derive(Debug)]
pub(crate) struct Waiters<T> {
    order: Order,
    waiting: BTreeMap<Place, Arrival<T>>,
    place_next: u64,
}

impl<T> Waiters<T> {
    pub(crate) fn new() -> Self {
        Self { order: Order::new(COST_ONE), waiting: BTreeMap::new(), place_next: 0 }
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
        self.order.push(arrival.priority, arrival.tenant.clone(), place.0, COST_ONE);
        self.waiting.insert(place, arrival);
        place
    }

    /// Takes the one whose turn it is: its ticket and what it wishes of its replica.
    pub(crate) fn pop(&mut self) -> Option<(T, Wish)> {
        let place = Place(self.order.pop()?);
        self.waiting.remove(&place).map(|arrival| (arrival.ticket, arrival.wish))
    }

    pub(crate) fn leave(&mut self, place: Place) -> Option<T> {
        let Arrival { ticket, tenant, priority, .. } = self.waiting.remove(&place)?;
        self.order.remove(priority, &tenant, place.0);
        Some(ticket)
    }

    /// Everyone, in the order of their arrival.
    pub(crate) fn drain(&mut self) -> Vec<T> {
        self.order.clear();
        std::mem::take(&mut self.waiting).into_values().map(|arrival| arrival.ticket).collect()
    }
}
