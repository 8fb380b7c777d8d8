//! Who is next among those who share something: deficit round robin.
//!
//! Each key (a tenant) takes turns; a turn is worth one quantum of cost, and what a turn leaves
//! over is kept for the next while the key has more waiting. So every key that waits gets the same
//! share of the cost served, however much it asks for, and its own items go in their order.
//!
//! # Source
//! Shreedhar, Varghese 1996, *Efficient Fair Queuing Using Deficit Round-Robin*.

use std::collections::BTreeMap;

/// The cost of an item where all count the same.
pub const COST_ONE: u64 = 1;

/// The order in which waiting items go. It holds their numbers, given by the caller and rising
/// with arrival; the items themselves lie elsewhere. Push, pop and remove take O(log n).
#[derive(Debug)]
pub struct FairOrder<K> {
    flows: BTreeMap<K, Flow>,
    /// Keys that have something waiting, in the order of their turns.
    turns: BTreeMap<u64, K>,
    turn_next: u64,
    quantum: u64,
}

/// What one key has waiting.
#[derive(Debug)]
struct Flow {
    /// Number to cost.
    items: BTreeMap<u64, u64>,
    /// Cost that it may still spend before its turn passes on.
    credit: u64,
    turn: u64,
}

impl<K: Ord + Clone> FairOrder<K> {
    /// `quantum` is the cost that one turn is worth; at least 1 is used. A pop walks around the
    /// keys up to cost / quantum times, so choose it near the cost of a usual item.
    pub fn new(quantum: u64) -> Self {
        let quantum = quantum.max(1);
        Self { flows: BTreeMap::new(), turns: BTreeMap::new(), turn_next: 0, quantum }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Adds an item behind the others of its key. A cost of 0 counts as 1: else one key could
    /// keep the turn for ever.
    pub fn push(&mut self, key: K, number: u64, cost: u64) {
        let Self { flows, turns, turn_next, quantum } = self;
        let flow = flows.entry(key).or_insert_with_key(|key| {
            let turn = take_next(turn_next);
            turns.insert(turn, key.clone());
            Flow { items: BTreeMap::new(), credit: *quantum, turn }
        });
        flow.items.insert(number, cost.max(1));
    }

    /// The number of the item whose turn it is. It stays so until it is taken, or another comes
    /// or goes.
    pub fn peek(&mut self) -> Option<u64> {
        loop {
            let turn = self.turns.first_entry()?;
            let flow = self.flows.get_mut(turn.get())?;
            let (&number, &cost) = flow.items.first_key_value()?;
            if cost <= flow.credit {
                return Some(number);
            }
            flow.credit += self.quantum;
            flow.turn = take_next(&mut self.turn_next);
            let (passed_to, key) = (flow.turn, turn.remove());
            self.turns.insert(passed_to, key);
        }
    }

    /// Takes the number of the item whose turn it is.
    pub fn pop(&mut self) -> Option<u64> {
        self.peek()?;
        let turn = self.turns.first_entry()?;
        let flow = self.flows.get_mut(turn.get())?;
        let (number, cost) = flow.items.pop_first()?;
        flow.credit = flow.credit.saturating_sub(cost);
        if flow.items.is_empty() {
            self.flows.remove(&turn.remove());
        }
        Some(number)
    }

    /// Takes an item out of the order; false if it is not in it.
    pub fn remove(&mut self, key: &K, number: u64) -> bool {
        let Some(flow) = self.flows.get_mut(key) else { return false };
        let found = flow.items.remove(&number).is_some();
        if flow.items.is_empty() {
            self.turns.remove(&flow.turn);
            self.flows.remove(key);
        }
        found
    }

    /// The smallest number that waits. Takes O(keys).
    pub fn oldest(&self) -> Option<u64> {
        self.flows.values().filter_map(|flow| flow.items.keys().next().copied()).min()
    }

    /// Forgets everything that waits.
    pub fn clear(&mut self) {
        self.flows.clear();
        self.turns.clear();
    }
}

const fn take_next(counter: &mut u64) -> u64 {
    let taken = *counter;
    *counter += 1;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes `(key, cost)` numbered from 0, then pops everything.
    fn order(quantum: u64, items: &[(&str, u64)]) -> Vec<u64> {
        let mut fair = FairOrder::new(quantum);
        for (number, &(key, cost)) in (0..).zip(items) {
            fair.push(key.to_owned(), number, cost);
        }
        std::iter::from_fn(|| fair.pop()).collect()
    }

    #[test]
    fn a_burst_of_one_tenant_does_not_delay_another() {
        assert_eq!(order(1, &[("a", 1), ("a", 1), ("a", 1), ("b", 1)]), [0, 3, 1, 2]);
    }

    #[test]
    fn shares_are_measured_in_cost() {
        // Two items of b cost as much as one of a.
        let items = [("a", 2), ("a", 2), ("b", 1), ("b", 1), ("b", 1), ("b", 1)];
        assert_eq!(order(2, &items), [0, 2, 3, 1, 4, 5]);
    }

    #[test]
    fn an_item_dearer_than_a_turn_saves_up_for_it() {
        assert_eq!(order(1, &[("a", 3), ("b", 1), ("b", 1), ("b", 1)]), [1, 2, 0, 3]);
    }

    #[test]
    fn a_tenant_that_left_has_no_turn() {
        let mut fair = FairOrder::new(1);
        fair.push("a", 0, COST_ONE);
        fair.push("b", 1, COST_ONE);
        assert!(fair.remove(&"a", 0));
        assert!(!fair.remove(&"a", 0));
        assert_eq!((fair.oldest(), fair.pop(), fair.pop()), (Some(1), Some(1), None));
        assert!(fair.is_empty());
    }
}
