//! The queue and the replicas of one model: who gets in, who is next, and where it goes.
//!
//! The caller's loop: [`Lane::arrive`] for each call; after every [`Lane::release`] and every
//! change of the replicas, [`Lane::next_grant`] until it gives `None`. Then nobody waits while a
//! place is free.
//!
//! Every grant holds one place until it is released, of the model and of its replica.

use types::{Placement, Priority, Tenant, WorkerId};

pub use crate::{
    order::OVERTAKES_MAX,
    placement::{ReplicaLoad, Wish},
};
use crate::{replicas::Replicas, waiters::Waiters};

/// How much one model may hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneLimits {
    /// Calls running at once over all replicas; `None`: as many as the replicas hold.
    pub concurrency_max: Option<u32>,
    /// Calls that may wait for a place.
    pub queue_max: u32,
}

/// A call that asks for a place.
#[derive(Debug)]
pub struct Arrival<T> {
    /// The caller's own handle; it comes back with the grant or the refusal.
    pub ticket: T,
    /// Whose call it is.
    pub tenant: Tenant,
    /// Its class.
    pub priority: Priority,
    /// What it wishes of its replica.
    pub wish: Wish,
}

/// The answer to an [`Arrival`].
#[derive(Debug)]
#[must_use = "a grant that is dropped holds its place for ever"]
pub enum Admission<T> {
    /// It may go now.
    Granted(Grant<T>),
    /// It waits; its ticket comes back from [`Lane::next_grant`].
    Queued(Place),
    /// It may not even wait.
    Refused {
        /// The caller's handle.
        ticket: T,
        /// Why not.
        refusal: Refusal,
    },
}

/// One place on one replica.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a grant that is dropped holds its place for ever"]
pub struct Grant<T> {
    /// Who got it.
    pub ticket: T,
    /// Where it goes; give it back with [`Lane::release`].
    pub replica: WorkerId,
}

/// Where a waiter stands; with it, it can leave the queue. Never used twice in one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place(pub(crate) u64);

/// Why a call may not wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// As many wait as may.
    QueueFull {
        /// How many wait.
        queued: u32,
    },
}

/// The queue and the replicas of one model.
#[derive(Debug)]
pub struct Lane<T> {
    limits: LaneLimits,
    replicas: Replicas,
    waiters: Waiters<T>,
    in_flight: u32,
}

impl<T> Lane<T> {
    /// A lane without replicas: calls wait until one joins. `seed` is for the draws of
    /// [`Placement::PowerOfTwo`].
    pub fn new(limits: LaneLimits, placement: Placement, seed: u64) -> Self {
        let replicas = Replicas::new(placement, seed);
        Self { limits, replicas, waiters: Waiters::new(), in_flight: 0 }
    }

    /// Grants a place, or a place in the queue. Nobody who waits is overtaken.
    pub fn arrive(&mut self, arrival: Arrival<T>) -> Admission<T> {
        if let Some(replica) = self.grant_at_once(&arrival.wish) {
            return Admission::Granted(Grant { ticket: arrival.ticket, replica });
        }
        let queued = self.queued();
        if queued >= self.limits.queue_max {
            let refusal = Refusal::QueueFull { queued };
            return Admission::Refused { ticket: arrival.ticket, refusal };
        }
        Admission::Queued(self.waiters.push(arrival))
    }

    /// Grants a place to a caller that has no ticket yet, if one is free and nobody waits. With
    /// it, the usual call needs no handle to wait with; after `None` comes [`Self::arrive`].
    #[must_use = "a grant that is dropped holds its place for ever"]
    pub fn grant_at_once(&mut self, wish: &Wish) -> Option<WorkerId> {
        if !self.waiters.is_empty() || !self.is_below_cap() {
            return None;
        }
        let free = self.replicas.free()?;
        self.in_flight += 1;
        Some(self.replicas.take(free, wish))
    }

    /// Takes an abandoned waiter out of the queue; `None` if it has been granted meanwhile (then
    /// its place must be released) or has left. Takes O(log n).
    pub fn leave(&mut self, place: Place) -> Option<T> {
        self.waiters.leave(place)
    }

    /// Grants the next free place to the waiter whose turn it is; `None`: no place, or nobody.
    pub fn next_grant(&mut self) -> Option<Grant<T>> {
        if !self.is_below_cap() {
            return None;
        }
        let free = self.replicas.free()?;
        let (ticket, wish) = self.waiters.pop()?;
        self.in_flight += 1;
        Some(Grant { ticket, replica: self.replicas.take(free, &wish) })
    }

    /// Gives a granted place back. For a replica that is not known only the model's place is free
    /// again.
    pub fn release(&mut self, replica: WorkerId) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.replicas.release(replica);
    }

    /// A replica joins, also one that was drained or removed before, or its capacity changes. It
    /// may hold more than its new capacity; then it takes nothing until it holds less.
    pub fn set_replica(&mut self, replica: WorkerId, capacity: u32) {
        self.replicas.set(replica, capacity);
    }

    /// The replica gets `weight` calls for each one of a replica of weight 1, which all are that
    /// nobody weighs; 0 counts as 1.
    pub fn weigh_replica(&mut self, replica: WorkerId, weight: u32) {
        self.replicas.weigh(replica, weight);
    }

    /// Calls that the replica holds; `None` if it is not known.
    pub fn held_by(&self, replica: WorkerId) -> Option<u32> {
        self.replicas.held(replica)
    }

    /// The replica takes nothing new; what it holds stays counted.
    pub fn drain_replica(&mut self, replica: WorkerId) {
        self.replicas.drain(replica);
    }

    /// The replica is gone; the calls that it held stay counted for the model until released.
    pub fn remove_replica(&mut self, replica: WorkerId) {
        self.replicas.remove(replica);
    }

    /// Empties the queue, for example because the model became unavailable. First come first.
    pub fn drain_waiters(&mut self) -> Vec<T> {
        self.waiters.drain()
    }

    /// Other limits from now on. Nothing is thrown out: what is above a new bound goes down by
    /// itself.
    pub const fn set_limits(&mut self, limits: LaneLimits) {
        self.limits = limits;
    }

    /// Calls that wait.
    pub fn queued(&self) -> u32 {
        u32::try_from(self.waiters.len()).unwrap_or(u32::MAX)
    }

    /// Calls that hold a place, those on replicas that are gone too.
    pub const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Every replica that is known, draining ones too.
    pub fn replicas(&self) -> impl Iterator<Item = ReplicaLoad> {
        self.replicas.loads()
    }

    fn is_below_cap(&self) -> bool {
        self.limits.concurrency_max.is_none_or(|max| self.in_flight < max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: WorkerId = WorkerId::new(uuid::Uuid::from_u128(1));
    const TWO: WorkerId = WorkerId::new(uuid::Uuid::from_u128(2));

    /// A lane whose tickets are words.
    fn lane(limits: LaneLimits, replicas: &[(WorkerId, u32)]) -> Lane<&'static str> {
        let mut lane = Lane::new(limits, Placement::RoundRobin, 0);
        for &(replica, capacity) in replicas {
            lane.set_replica(replica, capacity);
        }
        lane
    }

    const ROOMY: LaneLimits = LaneLimits { concurrency_max: None, queue_max: 100 };

    fn arrival(ticket: &'static str, tenant: &str, priority: Priority) -> Arrival<&'static str> {
        Arrival { ticket, tenant: tenant.parse().unwrap(), priority, wish: Wish::default() }
    }

    fn normal(ticket: &'static str) -> Arrival<&'static str> {
        arrival(ticket, "t", Priority::Normal)
    }

    #[track_caller]
    fn queued(admission: Admission<&'static str>) -> Place {
        match admission {
            Admission::Queued(place) => place,
            other => panic!("not queued: {other:?}"),
        }
    }

    /// Runs the queue dry, one place at a time.
    fn served(lane: &mut Lane<&'static str>) -> Vec<&'static str> {
        let mut served = Vec::new();
        while let Some(grant) = lane.next_grant() {
            served.push(grant.ticket);
            lane.release(grant.replica);
        }
        served
    }

    #[test]
    fn a_call_goes_at_once_while_there_is_a_place_then_waits_then_is_refused() {
        let mut lane = lane(LaneLimits { concurrency_max: None, queue_max: 1 }, &[(ONE, 1)]);
        assert!(matches!(
            lane.arrive(normal("a")),
            Admission::Granted(Grant { ticket: "a", replica: ONE })
        ));
        queued(lane.arrive(normal("b")));
        let Admission::Refused { ticket, refusal } = lane.arrive(normal("c")) else { panic!() };
        assert_eq!((ticket, refusal), ("c", Refusal::QueueFull { queued: 1 }));

        assert_eq!(lane.next_grant(), None);
        lane.release(ONE);
        assert_eq!(lane.next_grant(), Some(Grant { ticket: "b", replica: ONE }));
        assert_eq!((lane.queued(), lane.in_flight()), (0, 1));
    }

    #[test]
    fn the_cap_of_the_model_holds_over_all_replicas() {
        let limits = LaneLimits { concurrency_max: Some(1), queue_max: 9 };
        let mut lane = lane(limits, &[(ONE, 8), (TWO, 8)]);
        assert_eq!(lane.grant_at_once(&Wish::default()), Some(ONE));
        queued(lane.arrive(normal("waits")));
        lane.remove_replica(ONE);
        assert_eq!(lane.next_grant(), None, "the call on the lost replica still counts");
        lane.release(ONE);
        assert_eq!(lane.next_grant(), Some(Grant { ticket: "waits", replica: TWO }));
    }

    #[test]
    fn calls_wait_for_the_first_replica_to_join() {
        let mut lane = lane(ROOMY, &[]);
        queued(lane.arrive(normal("early")));
        assert_eq!(lane.next_grant(), None);
        lane.set_replica(ONE, 1);
        assert_eq!(lane.next_grant(), Some(Grant { ticket: "early", replica: ONE }));
    }

    #[test]
    fn a_newcomer_does_not_overtake_a_waiter_even_when_a_place_is_free() {
        let mut lane = lane(ROOMY, &[(ONE, 1)]);
        assert_eq!(lane.grant_at_once(&Wish::default()), Some(ONE));
        queued(lane.arrive(normal("first")));
        lane.release(ONE);
        queued(lane.arrive(arrival("second", "other", Priority::Normal)));
        assert_eq!(served(&mut lane), ["first", "second"]);
    }

    #[test]
    fn classes_go_in_order_and_tenants_of_a_class_take_turns() {
        let mut lane = lane(ROOMY, &[]);
        for (ticket, tenant, priority) in [
            ("low", "a", Priority::Low),
            ("a1", "a", Priority::Normal),
            ("a2", "a", Priority::Normal),
            ("b1", "b", Priority::Normal),
            ("high", "b", Priority::High),
        ] {
            queued(lane.arrive(arrival(ticket, tenant, priority)));
        }
        lane.set_replica(ONE, 1);
        assert_eq!(served(&mut lane), ["high", "a1", "b1", "a2", "low"]);
    }

    #[test]
    fn a_flood_of_urgent_calls_does_not_starve_the_others() {
        let mut lane = lane(ROOMY, &[]);
        queued(lane.arrive(arrival("low", "a", Priority::Low)));
        queued(lane.arrive(arrival("normal", "a", Priority::Normal)));
        for _ in 0..20 {
            queued(lane.arrive(arrival("high", "b", Priority::High)));
        }
        lane.set_replica(ONE, 1);
        let served = served(&mut lane);
        let at = |ticket| served.iter().position(|served| *served == ticket).unwrap();
        // The one that came first goes first, and between them the flood goes on.
        assert_eq!((at("low"), at("normal")), (7, 15));
    }

    #[test]
    fn one_that_leaves_is_not_granted_and_frees_its_place_in_the_queue() {
        let mut lane = lane(LaneLimits { concurrency_max: None, queue_max: 1 }, &[]);
        let place = queued(lane.arrive(normal("gone")));
        assert_eq!(lane.leave(place), Some("gone"));
        assert_eq!(lane.leave(place), None);
        queued(lane.arrive(normal("stays")));
        lane.set_replica(ONE, 2);
        assert_eq!(served(&mut lane), ["stays"]);
    }

    #[test]
    fn a_shrunk_replica_takes_nothing_until_it_is_below_its_new_capacity() {
        let mut lane = lane(ROOMY, &[(ONE, 2)]);
        assert_eq!(
            (lane.grant_at_once(&Wish::default()), lane.grant_at_once(&Wish::default())),
            (Some(ONE), Some(ONE))
        );
        lane.set_replica(ONE, 1);
        queued(lane.arrive(normal("waits")));
        lane.release(ONE);
        assert_eq!(lane.next_grant(), None);
        lane.release(ONE);
        assert_eq!(served(&mut lane), ["waits"]);
    }

    #[test]
    fn a_replica_that_comes_back_still_holds_what_it_held() {
        let mut lane = lane(ROOMY, &[(ONE, 1)]);
        assert_eq!(lane.grant_at_once(&Wish::default()), Some(ONE));
        lane.remove_replica(ONE);
        assert_eq!(lane.replicas().count(), 0);
        lane.set_replica(ONE, 1);
        assert_eq!(lane.grant_at_once(&Wish::default()), None);
        lane.release(ONE);
        assert_eq!(lane.grant_at_once(&Wish::default()), Some(ONE));
    }

    #[test]
    fn the_whole_queue_can_be_sent_away_in_its_order() {
        let mut lane = lane(ROOMY, &[]);
        for (ticket, tenant) in [("1", "b"), ("2", "a"), ("3", "b")] {
            queued(lane.arrive(arrival(ticket, tenant, Priority::Normal)));
        }
        assert_eq!(lane.drain_waiters(), ["1", "2", "3"]);
        lane.set_replica(ONE, 1);
        assert_eq!((lane.next_grant(), lane.queued()), (None, 0));
    }
}
