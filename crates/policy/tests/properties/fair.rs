//! Deficit round robin: even shares, arrival order within a key, nothing lost.

use std::collections::BTreeMap;

use policy::fair::FairOrder;
use proptest::prelude::*;

const QUANTUM: u64 = 3;
const COST_MAX: u64 = 5;

/// What happens after an item was pushed.
#[derive(Debug, Clone, Copy)]
enum Then {
    Wait,
    Leave,
    Pop,
}

fn then() -> impl Strategy<Value = Then> {
    prop::sample::select(vec![Then::Wait, Then::Wait, Then::Leave, Then::Pop])
}

proptest! {
    #![proptest_config(crate::cases(256))]

    #[test]
    fn keys_with_a_backlog_are_served_the_same_cost(
        costs in prop::collection::vec(prop::collection::vec(1..=COST_MAX, 20), 2..5),
    ) {
        let mut order = FairOrder::new(QUANTUM);
        let mut costs_of = BTreeMap::new();
        for (key, costs) in costs.iter().enumerate() {
            for &cost in costs {
                let number = costs_of.len() as u64;
                order.push(key, number, cost);
                costs_of.insert(number, (key, cost));
            }
        }
        let mut served = vec![0; costs.len()];
        let mut left = vec![20; costs.len()];
        // Fairness is promised between keys that all still have something waiting.
        while left.iter().all(|&left| left > 0) {
            let (key, cost) = costs_of[&order.pop().unwrap()];
            served[key] += cost;
            left[key] -= 1;
            let apart = served.iter().max().unwrap() - served.iter().min().unwrap();
            prop_assert!(apart <= QUANTUM + 2 * COST_MAX, "{served:?}");
        }
    }

    #[test]
    fn every_item_comes_out_once_and_in_the_order_of_its_key(
        items in prop::collection::vec((0..4u8, 0..=COST_MAX, then()), 0..60),
    ) {
        let mut order = FairOrder::new(QUANTUM);
        let mut waiting: BTreeMap<u8, Vec<u64>> = BTreeMap::new();
        let mut keys = Vec::new();
        for (number, (key, cost, then)) in (0..).zip(items) {
            order.push(key, number, cost);
            keys.push(key);
            if matches!(then, Then::Leave) {
                prop_assert!(order.remove(&key, number));
                continue;
            }
            waiting.entry(key).or_default().push(number);
            if matches!(then, Then::Pop) {
                let number = order.pop().unwrap();
                prop_assert_eq!(waiting.get_mut(&keys[number as usize]).unwrap().remove(0), number);
            }
        }
        while let Some(number) = order.pop() {
            prop_assert_eq!(waiting.get_mut(&keys[number as usize]).unwrap().remove(0), number);
        }
        prop_assert!(waiting.values().all(Vec::is_empty) && order.is_empty());
    }
}
