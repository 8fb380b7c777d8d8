//! Which replica takes a call: one function for each policy.
//!
//! Each sees all replicas and may choose those that `fits` accepts; each gives the index of its
//! choice, or `None` if nothing fits.

use types::{Placement, WorkerId};

use crate::{
    prefix::{Prefix, PrefixMemory},
    random::SplitMix64,
};

/// One replica as placement sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaLoad {
    /// The worker behind it.
    pub replica: WorkerId,
    /// Calls that it may hold at once.
    pub capacity: u32,
    /// Calls that it holds. Above `capacity` for a while after the capacity shrank.
    pub in_flight: u32,
    /// It finishes what it holds and takes nothing new.
    pub draining: bool,
    /// How many calls it should get for one of a replica of weight 1; at least 1.
    pub weight: u32,
}

impl ReplicaLoad {
    /// Whether it can take one more call.
    pub const fn has_place(&self) -> bool {
        !self.draining && self.in_flight < self.capacity
    }

    /// Whether a smaller share of its capacity is in use than of the other's; one of weight 2 may
    /// hold twice as much for that.
    const fn is_freer_than(&self, other: &Self) -> bool {
        // a/b < c/d as a*d < c*b: exact, and no division by a capacity of zero.
        (self.in_flight as u128) * other.room() < (other.in_flight as u128) * self.room()
    }

    const fn room(&self) -> u128 {
        self.capacity as u128 * self.weight as u128
    }
}

/// What a call wishes of its replica. It goes elsewhere rather than wait.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// A replica that just refused it, used again only if no other has a place.
    pub avoid: Option<WorkerId>,
    /// What its prompt begins with, for [`Placement::Prefix`].
    pub prefix: Prefix,
}

/// Each in turn: the first that fits at or after `turn`, which then moves behind the choice.
pub fn round_robin(
    loads: &[ReplicaLoad],
    turn: &mut usize,
    fits: impl Fn(&ReplicaLoad) -> bool,
) -> Option<usize> {
    let chosen = from_turn(loads, *turn).find(|&index| fits(&loads[index]))?;
    *turn = chosen + 1;
    Some(chosen)
}

/// As many turns as its weight for each, spread evenly: of two with the weights 2 and 1 the first,
/// the second, the first. `credits` are the turns that each of `loads` has saved up.
///
/// # Source
/// The smooth weighted round robin that nginx introduced in 2012.
pub fn weighted_round_robin(
    loads: &[ReplicaLoad],
    credits: &mut Vec<i64>,
    fits: impl Fn(&ReplicaLoad) -> bool,
) -> Option<usize> {
    credits.resize(loads.len(), 0);
    let mut total = 0;
    let mut chosen: Option<usize> = None;
    for (index, load) in loads.iter().enumerate().filter(|(_, load)| fits(load)) {
        total += i64::from(load.weight);
        credits[index] += i64::from(load.weight);
        if chosen.is_none_or(|best| credits[index] > credits[best]) {
            chosen = Some(index);
        }
    }
    credits[chosen?] -= total;
    chosen
}

/// The one with the smallest share of its capacity in use; equals take turns.
pub fn least_loaded(
    loads: &[ReplicaLoad],
    turn: &mut usize,
    fits: impl Fn(&ReplicaLoad) -> bool,
) -> Option<usize> {
    let chosen =
        from_turn(loads, *turn).filter(|&index| fits(&loads[index])).reduce(|best, index| {
            if loads[index].is_freer_than(&loads[best]) { index } else { best }
        })?;
    *turn = chosen + 1;
    Some(chosen)
}

/// The less loaded of two different ones drawn at random. Nearly as even as the least loaded, and
/// several gateways that see the same loads do not all run to the same replica.
///
/// # Source
/// Mitzenmacher 2001, *The Power of Two Choices in Randomized Load Balancing*.
pub fn power_of_two(
    loads: &[ReplicaLoad],
    random: &mut SplitMix64,
    fits: impl Fn(&ReplicaLoad) -> bool,
) -> Option<usize> {
    let fitting = || (0..loads.len()).filter(|&index| fits(&loads[index]));
    let count = fitting().count() as u64;
    if count < 2 {
        return fitting().next();
    }
    let first = random.below(count);
    // Drawn among the others, so that the two always differ.
    let other = random.below(count - 1);
    let second = if other < first { other } else { other + 1 };
    let first = fitting().nth(first as usize)?;
    let second = fitting().nth(second as usize)?;
    Some(if loads[second].is_freer_than(&loads[first]) { second } else { first })
}

/// Every index once, starting at `turn`.
fn from_turn(loads: &[ReplicaLoad], turn: usize) -> impl Iterator<Item = usize> {
    let start = if turn < loads.len() { turn } else { 0 };
    (start..loads.len()).chain(0..start)
}

/// A policy with what it remembers between two choices.
#[derive(Debug)]
pub(crate) struct Placer {
    policy: Placement,
    turn: usize,
    /// For replicas of different weights only.
    credits: Vec<i64>,
    random: SplitMix64,
    seen: PrefixMemory,
}

impl Placer {
    pub(crate) fn new(policy: Placement, seed: u64) -> Self {
        let (random, seen) = (SplitMix64::new(seed), PrefixMemory::default());
        Self { policy, turn: 0, credits: Vec::new(), random, seen }
    }

    /// A replica with a free place; the avoided one only if no other has one.
    pub(crate) fn choose(&mut self, loads: &[ReplicaLoad], wish: &Wish) -> Option<usize> {
        let preferred = wish.avoid.and_then(|avoid| {
            let fits = |load: &ReplicaLoad| load.has_place() && load.replica != avoid;
            self.choose_where(loads, &wish.prefix, fits)
        });
        preferred.or_else(|| self.choose_where(loads, &wish.prefix, ReplicaLoad::has_place))
    }

    /// Keeps the turn where it was after the replica at `index` was taken out of the list.
    pub(crate) fn forget(&mut self, index: usize) {
        if index < self.turn {
            self.turn -= 1;
        }
        if index < self.credits.len() {
            self.credits.remove(index);
        }
    }

    fn choose_where(
        &mut self,
        loads: &[ReplicaLoad],
        prefix: &Prefix,
        fits: impl Fn(&ReplicaLoad) -> bool,
    ) -> Option<usize> {
        match self.policy {
            Placement::RoundRobin if loads.iter().any(|load| load.weight != 1) => {
                weighted_round_robin(loads, &mut self.credits, fits)
            }
            Placement::RoundRobin => round_robin(loads, &mut self.turn, fits),
            Placement::LeastLoaded => least_loaded(loads, &mut self.turn, fits),
            Placement::PowerOfTwo => power_of_two(loads, &mut self.random, fits),
            Placement::Prefix => self.by_prefix(loads, prefix, fits),
        }
    }

    /// Who has seen the most of the prompt, unless that costs more waiting than it saves computing.
    fn by_prefix(
        &mut self,
        loads: &[ReplicaLoad],
        prefix: &Prefix,
        fits: impl Fn(&ReplicaLoad) -> bool,
    ) -> Option<usize> {
        let freest = least_loaded(loads, &mut self.turn, &fits)?;
        let holder = self.seen.holders(prefix).find_map(|replica| {
            let index = loads.iter().position(|load| load.replica == replica)?;
            let worth_it = fits(&loads[index]) && !is_much_busier(&loads[index], &loads[freest]);
            worth_it.then_some(index)
        });
        let chosen = holder.unwrap_or(freest);
        self.seen.remember(prefix, loads[chosen].replica);
        Some(chosen)
    }
}

/// Whether it holds more than the other by a quarter of what it can hold.
const fn is_much_busier(load: &ReplicaLoad, other: &ReplicaLoad) -> bool {
    load.in_flight > other.in_flight.saturating_add(load.capacity / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Placement; 4] =
        [Placement::RoundRobin, Placement::LeastLoaded, Placement::PowerOfTwo, Placement::Prefix];

    /// Replicas from `(in_flight, capacity)`.
    fn loads(of: &[(u32, u32)]) -> Vec<ReplicaLoad> {
        let load = |(index, &(in_flight, capacity)): (usize, &(u32, u32))| ReplicaLoad {
            replica: WorkerId::new(uuid::Uuid::from_u128(index as u128)),
            capacity,
            in_flight,
            draining: false,
            weight: 1,
        };
        of.iter().enumerate().map(load).collect()
    }

    #[test]
    fn round_robin_goes_around_and_skips_the_full() {
        let loads = loads(&[(0, 1), (1, 1), (0, 1)]);
        let mut turn = 0;
        let chosen: Vec<_> =
            (0..4).map(|_| round_robin(&loads, &mut turn, ReplicaLoad::has_place)).collect();
        assert_eq!(chosen, [Some(0), Some(2), Some(0), Some(2)]);
    }

    #[test]
    fn turns_go_by_weight_and_are_spread_evenly() {
        let mut loads = loads(&[(0, 1), (0, 1), (0, 1)]);
        loads[0].weight = 3;
        let mut credits = Vec::new();
        let mut turn = |loads: &[ReplicaLoad]| {
            weighted_round_robin(loads, &mut credits, ReplicaLoad::has_place).unwrap()
        };
        let chosen: Vec<_> = (0..10).map(|_| turn(&loads)).collect();
        assert_eq!(chosen, [0, 1, 0, 2, 0, 0, 1, 0, 2, 0]);
        loads[0].in_flight = 1;
        let chosen: Vec<_> = (0..4).map(|_| turn(&loads)).collect();
        assert_eq!(chosen, [1, 2, 1, 2], "a full one is passed over");
    }

    #[test]
    fn one_of_twice_the_weight_may_hold_twice_as_much() {
        let mut loads = loads(&[(3, 8), (2, 8)]);
        loads[0].weight = 2;
        let mut turn = 0;
        assert_eq!(least_loaded(&loads, &mut turn, ReplicaLoad::has_place), Some(0));
    }

    #[test]
    fn the_least_loaded_is_measured_by_share_not_by_count() {
        // 3 of 8 is less than 1 of 2.
        let loads = loads(&[(1, 2), (3, 8), (4, 4)]);
        assert_eq!(least_loaded(&loads, &mut 0, ReplicaLoad::has_place), Some(1));
    }

    #[test]
    fn equally_loaded_replicas_take_turns() {
        let loads = loads(&[(0, 2), (0, 4), (0, 2)]);
        let mut turn = 0;
        let chosen: Vec<_> =
            (0..4).map(|_| least_loaded(&loads, &mut turn, ReplicaLoad::has_place)).collect();
        assert_eq!(chosen, [Some(0), Some(1), Some(2), Some(0)]);
    }

    #[test]
    fn power_of_two_never_takes_the_most_loaded_and_reaches_all_others() {
        let loads = loads(&[(9, 10), (0, 10), (1, 10), (2, 10)]);
        let mut random = SplitMix64::new(1);
        let mut taken = [0; 4];
        for _ in 0..300 {
            taken[power_of_two(&loads, &mut random, ReplicaLoad::has_place).unwrap()] += 1;
        }
        assert_eq!(taken[0], 0);
        assert!(taken[1] > taken[2] && taken[2] > taken[3] && taken[3] > 0, "{taken:?}");
    }

    #[test]
    fn the_same_seed_makes_the_same_choices() {
        let loads = loads(&[(0, 9), (1, 9), (2, 9)]);
        let choices = |seed| {
            let mut placer = Placer::new(Placement::PowerOfTwo, seed);
            (0..32).map(|_| placer.choose(&loads, &Wish::default())).collect::<Vec<_>>()
        };
        assert_eq!(choices(5), choices(5));
        assert_ne!(choices(5), choices(6));
    }

    #[test]
    fn nothing_fits_where_all_are_full_or_drain() {
        let mut loads = loads(&[(1, 1), (0, 1), (0, 0)]);
        loads[1].draining = true;
        for policy in ALL {
            assert_eq!(Placer::new(policy, 0).choose(&loads, &Wish::default()), None, "{policy:?}");
        }
    }

    #[test]
    fn the_avoided_replica_is_the_last_resort() {
        let mut loads = loads(&[(0, 1), (0, 1)]);
        let avoid = Wish { avoid: Some(loads[0].replica), ..Wish::default() };
        for policy in ALL {
            loads[1].in_flight = 0;
            assert_eq!(Placer::new(policy, 0).choose(&loads, &avoid), Some(1), "{policy:?}");
            loads[1].in_flight = 1;
            assert_eq!(Placer::new(policy, 0).choose(&loads, &avoid), Some(0), "{policy:?}");
        }
    }

    #[test]
    fn a_conversation_stays_where_its_beginning_was_seen() {
        let mut loads = loads(&[(0, 8), (0, 8), (0, 8)]);
        let mut placer = Placer::new(Placement::Prefix, 0);
        let wish = |text: &str| Wish { prefix: Prefix::of(text.as_bytes()), ..Wish::default() };
        let first_turn = "You are a helpful assistant. ".repeat(20);
        let first = placer.choose(&loads, &wish(&first_turn)).unwrap();
        loads[first].in_flight = 2;
        let second_turn = format!("{first_turn}And then?");
        assert_eq!(placer.choose(&loads, &wish(&second_turn)), Some(first));
        assert_ne!(placer.choose(&loads, &wish(&"Something else. ".repeat(40))), Some(first));
    }

    #[test]
    fn a_conversation_leaves_a_replica_that_is_much_busier() {
        let mut loads = loads(&[(0, 8), (0, 8)]);
        let mut placer = Placer::new(Placement::Prefix, 0);
        let wish = Wish { prefix: Prefix::of(&[b'x'; 1024]), ..Wish::default() };
        let first = placer.choose(&loads, &wish).unwrap();
        loads[first].in_flight = 3;
        let second = placer.choose(&loads, &wish).unwrap();
        assert_ne!(second, first);
        loads[first].in_flight = 0;
        assert_eq!(placer.choose(&loads, &wish), Some(second), "the last one has it now");
    }
}
