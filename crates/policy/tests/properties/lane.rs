//! The lane against a bookkeeper that writes down every place and every waiter.

use std::collections::{BTreeMap, BTreeSet};

use policy::lane::{Admission, Arrival, Grant, Lane, LaneLimits, OVERTAKES_MAX, Place, Wish};
use proptest::{prelude::*, sample::Index};
use types::{Placement, Priority, Tenant, WorkerId};

fn worker(number: u8) -> WorkerId {
    WorkerId::new(uuid::Uuid::from_u128(number.into()))
}

fn tenant(number: u8) -> Tenant {
    format!("tenant-{number}").parse().unwrap()
}

#[derive(Debug, Clone)]
enum Step {
    Arrive { tenant: u8, priority: Priority, avoid: Option<u8> },
    Release(Index),
    Leave(Index),
    Set { replica: u8, capacity: u32 },
    Drain(u8),
    Remove(u8),
    DrainWaiters,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let priority = prop::sample::select(Priority::URGENT_FIRST.to_vec());
    let arrive = (0..3u8, priority, prop::option::of(0..4u8))
        .prop_map(|(tenant, priority, avoid)| Step::Arrive { tenant, priority, avoid });
    let step = prop_oneof![
        12 => arrive,
        6 => any::<Index>().prop_map(Step::Release),
        2 => any::<Index>().prop_map(Step::Leave),
        3 => (0..4u8, 0..4u32).prop_map(|(replica, capacity)| Step::Set { replica, capacity }),
        1 => (0..4u8).prop_map(Step::Drain),
        1 => (0..4u8).prop_map(Step::Remove),
        1 => Just(Step::DrainWaiters),
    ];
    prop::collection::vec(step, 0..120)
}

fn placements() -> impl Strategy<Value = Placement> {
    prop::sample::select(vec![
        Placement::RoundRobin,
        Placement::LeastLoaded,
        Placement::PowerOfTwo,
        Placement::Prefix,
    ])
}

struct Waiter {
    ticket: u32,
    flow: (u8, Priority),
    place: Place,
}

/// The lane, and what must be true of it.
struct Bookkeeper {
    lane: Lane<u32>,
    limits: LaneLimits,
    /// Capacity of those that take calls.
    open: BTreeMap<WorkerId, u32>,
    running: Vec<(u32, WorkerId)>,
    waiting: Vec<Waiter>,
    tickets: u32,
    /// Tickets that have come back, each once.
    ended: BTreeSet<u32>,
}

impl Bookkeeper {
    fn new(limits: LaneLimits, placement: Placement, seed: u64) -> Self {
        Self {
            lane: Lane::new(limits, placement, seed),
            limits,
            open: BTreeMap::new(),
            running: Vec::new(),
            waiting: Vec::new(),
            tickets: 0,
            ended: BTreeSet::new(),
        }
    }

    fn held_by(&self, replica: WorkerId) -> u32 {
        self.running.iter().filter(|(_, on)| *on == replica).count() as u32
    }

    fn has_place(&self) -> bool {
        let below_cap =
            self.limits.concurrency_max.is_none_or(|max| (self.running.len() as u32) < max);
        below_cap && self.open.iter().any(|(&replica, &capacity)| self.held_by(replica) < capacity)
    }

    /// A grant must be on an open replica with a free place, below the cap.
    fn begin(&mut self, ticket: u32, replica: WorkerId) {
        assert!(self.has_place(), "granted without a place");
        let capacity = *self.open.get(&replica).expect("granted on a closed replica");
        assert!(self.held_by(replica) < capacity, "granted on a full replica");
        self.running.push((ticket, replica));
    }

    fn end(&mut self, ticket: u32) {
        assert!(self.ended.insert(ticket), "ticket {ticket} came back twice");
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Arrive { tenant, priority, avoid } => self.arrive(tenant, priority, avoid),
            Step::Release(index) if !self.running.is_empty() => {
                let (ticket, replica) = self.running.remove(index.index(self.running.len()));
                self.lane.release(replica);
                self.end(ticket);
            }
            Step::Leave(index) if !self.waiting.is_empty() => {
                let waiter = self.waiting.remove(index.index(self.waiting.len()));
                assert_eq!(self.lane.leave(waiter.place), Some(waiter.ticket));
                assert_eq!(self.lane.leave(waiter.place), None);
                self.end(waiter.ticket);
            }
            Step::Release(_) | Step::Leave(_) => {}
            Step::Set { replica, capacity } => {
                self.lane.set_replica(worker(replica), capacity);
                self.open.insert(worker(replica), capacity);
            }
            Step::Drain(replica) => {
                self.lane.drain_replica(worker(replica));
                self.open.remove(&worker(replica));
            }
            Step::Remove(replica) => {
                self.lane.remove_replica(worker(replica));
                self.open.remove(&worker(replica));
            }
            Step::DrainWaiters => {
                let expected: Vec<_> = self.waiting.drain(..).map(|waiter| waiter.ticket).collect();
                assert_eq!(self.lane.drain_waiters(), expected);
                expected.into_iter().for_each(|ticket| self.end(ticket));
            }
        }
        self.grant_all();
    }

    fn arrive(&mut self, from: u8, priority: Priority, avoid: Option<u8>) {
        let ticket = self.tickets;
        self.tickets += 1;
        let avoid = avoid.map(worker);
        let other_has_place = self.open.iter().any(|(&replica, &capacity)| {
            Some(replica) != avoid && self.held_by(replica) < capacity
        });
        let wish = Wish { avoid, ..Wish::default() };
        match self.lane.arrive(Arrival { ticket, tenant: tenant(from), priority, wish }) {
            Admission::Granted(Grant { ticket: granted, replica }) => {
                assert_eq!(granted, ticket);
                assert!(self.waiting.is_empty(), "overtook a waiter");
                assert!(Some(replica) != avoid || !other_has_place, "took the avoided replica");
                self.begin(ticket, replica);
            }
            Admission::Queued(place) => {
                assert!(!self.has_place(), "waits beside a free place");
                assert!((self.waiting.len() as u32) < self.limits.queue_max);
                self.waiting.push(Waiter { ticket, flow: (from, priority), place });
            }
            Admission::Refused { ticket: refused, .. } => {
                assert_eq!(self.waiting.len() as u32, self.limits.queue_max);
                self.end(refused);
            }
        }
    }

    fn grant_all(&mut self) {
        while let Some(Grant { ticket, replica }) = self.lane.next_grant() {
            let index = self.waiting.iter().position(|waiter| waiter.ticket == ticket).unwrap();
            let waiter = self.waiting.remove(index);
            let overtaken = self.waiting[..index].iter().any(|other| other.flow == waiter.flow);
            assert!(!overtaken, "overtook one of its own tenant and class");
            self.begin(ticket, replica);
        }
        assert!(self.waiting.is_empty() || !self.has_place(), "a place was left free");
        assert_eq!(self.lane.queued(), self.waiting.len() as u32);
        assert_eq!(self.lane.in_flight(), self.running.len() as u32);
        for load in self.lane.replicas() {
            assert_eq!(load.in_flight, self.held_by(load.replica));
            assert_eq!(load.draining, !self.open.contains_key(&load.replica));
        }
    }

    /// Places free up until nobody waits and nothing runs; then every ticket has come back.
    fn finish(mut self) {
        self.take(&Step::Set { replica: 0, capacity: 1 });
        while let Some(&(ticket, replica)) = self.running.first() {
            self.running.remove(0);
            self.lane.release(replica);
            self.end(ticket);
            self.grant_all();
        }
        assert!(self.waiting.is_empty(), "a waiter was forgotten");
        assert_eq!(self.ended.len() as u32, self.tickets, "a ticket was lost");
    }
}

fn queue<T: std::fmt::Debug>(lane: &mut Lane<T>, ticket: T, from: u8, priority: Priority) {
    let arrival = Arrival { ticket, tenant: tenant(from), priority, wish: Wish::default() };
    assert!(matches!(lane.arrive(arrival), Admission::Queued(_)));
}

proptest! {
    #![proptest_config(crate::cases(512))]

    #[test]
    fn bounds_are_kept_and_every_ticket_comes_back_once(
        concurrency_max in prop::option::of(1..6u32),
        queue_max in 0..8u32,
        placement in placements(),
        seed in any::<u64>(),
        steps in steps(),
    ) {
        let limits = LaneLimits { concurrency_max, queue_max };
        let mut book = Bookkeeper::new(limits, placement, seed);
        for step in &steps {
            book.take(step);
        }
        book.finish();
    }

    #[test]
    fn tenants_with_a_backlog_are_served_evenly(arrivals in prop::collection::vec(0..4u8, 1..80)) {
        let limits = LaneLimits { concurrency_max: None, queue_max: 80 };
        let mut lane = Lane::new(limits, Placement::default(), 0);
        let mut left = BTreeMap::new();
        for &from in &arrivals {
            queue(&mut lane, from, from, Priority::Normal);
            *left.entry(from).or_insert(0u32) += 1;
        }
        lane.set_replica(worker(0), u32::MAX);
        let mut served: BTreeMap<u8, u32> = left.keys().map(|&from| (from, 0)).collect();
        while left.values().all(|&left| left > 0) {
            let from = lane.next_grant().unwrap().ticket;
            *served.get_mut(&from).unwrap() += 1;
            *left.get_mut(&from).unwrap() -= 1;
            prop_assert!(served.values().max().unwrap() - served.values().min().unwrap() <= 1);
        }
    }

    #[test]
    fn however_long_the_flood_the_waiters_of_lower_classes_are_served(
        lower in prop::collection::vec((0..3u8, any::<bool>()), 1..20),
    ) {
        const FLOOD: u32 = u32::MAX;
        let limits = LaneLimits { concurrency_max: None, queue_max: 100 };
        let mut lane = Lane::new(limits, Placement::default(), 0);
        let mut waiting = BTreeSet::new();
        for (ticket, &(from, is_low)) in (0..).zip(&lower) {
            let priority = if is_low { Priority::Low } else { Priority::Normal };
            queue(&mut lane, ticket, from, priority);
            waiting.insert(ticket);
        }
        lane.set_replica(worker(0), u32::MAX);
        // Before each grant an urgent call arrives, and so one always waits.
        let mut grants = 0;
        while !waiting.is_empty() {
            lane.set_replica(worker(0), 0);
            queue(&mut lane, FLOOD, 9, Priority::High);
            lane.set_replica(worker(0), u32::MAX);
            waiting.remove(&lane.next_grant().unwrap().ticket);
            grants += 1;
            prop_assert!(grants <= (OVERTAKES_MAX + 1) * lower.len() as u32, "{waiting:?}");
        }
        prop_assert_eq!(grants, (OVERTAKES_MAX + 1) * lower.len() as u32);
    }
}
