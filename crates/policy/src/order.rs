//! Who is next among all that wait: by class, then fairly by tenant, then by arrival.

use types::{Priority, Tenant};

use crate::fair::FairOrder;

/// How often in a row a higher class may go before a lower one that waits. The next turn then
/// goes to the lower class whose oldest waiter came first, so that no class waits for ever: under
/// a flood of urgent work the others still get one turn in eight.
pub const OVERTAKES_MAX: u32 = 7;

/// The order in which waiting items go. Like [`FairOrder`], it holds their numbers, given by the
/// caller and rising with arrival.
#[derive(Debug)]
pub struct Order {
    /// Most urgent first, as in [`Priority::URGENT_FIRST`].
    classes: [FairOrder<Tenant>; 3],
    /// Turns that passed over a lower class since a lower class last had one.
    overtakes: u32,
}

impl Order {
    /// `quantum` is the cost that one turn of a tenant is worth, see [`FairOrder::new`].
    pub fn new(quantum: u64) -> Self {
        Self { classes: [(); 3].map(|()| FairOrder::new(quantum)), overtakes: 0 }
    }

    /// Adds an item behind the others of its class and tenant that came before it.
    pub fn push(&mut self, priority: Priority, tenant: Tenant, number: u64, cost: u64) {
        self.classes[rank(priority)].push(tenant, number, cost);
    }

    /// The number of the item whose turn it is. It stays so until it is taken, or another comes
    /// or goes.
    pub fn peek(&mut self) -> Option<u64> {
        let (class, _) = self.next_class()?;
        self.classes[class].peek()
    }

    /// Takes the number of the item whose turn it is.
    pub fn pop(&mut self) -> Option<u64> {
        let (class, overtakes) = self.next_class()?;
        self.overtakes = overtakes;
        self.classes[class].pop()
    }

    /// Takes an item out of the order; false if it is not in it.
    pub fn remove(&mut self, priority: Priority, tenant: &Tenant, number: u64) -> bool {
        self.classes[rank(priority)].remove(tenant, number)
    }

    /// Forgets everything that waits.
    pub fn clear(&mut self) {
        self.classes.iter_mut().for_each(FairOrder::clear);
    }

    /// The most urgent class that waits, or now and then the lower one that waited longest; and
    /// the count of overtakes after its turn.
    fn next_class(&self) -> Option<(usize, u32)> {
        let urgent = self.classes.iter().position(|class| !class.is_empty())?;
        let lower = urgent + 1..self.classes.len();
        if lower.clone().all(|class| self.classes[class].is_empty()) {
            return Some((urgent, 0));
        }
        if self.overtakes < OVERTAKES_MAX {
            return Some((urgent, self.overtakes + 1));
        }
        let ages =
            lower.filter_map(|class| self.classes[class].oldest().map(|oldest| (oldest, class)));
        ages.min().map(|(_, class)| (class, 0))
    }
}

const fn rank(priority: Priority) -> usize {
    match priority {
        Priority::High => 0,
        Priority::Normal => 1,
        Priority::Low => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fair::COST_ONE;

    #[test]
    fn a_look_at_the_next_one_is_not_its_turn() {
        let mut order = Order::new(COST_ONE);
        order.push(Priority::Low, Tenant::default(), 0, COST_ONE);
        for number in 1..=8 {
            order.push(Priority::High, Tenant::default(), number, COST_ONE);
        }
        let mut turns = Vec::new();
        while let Some(next) = order.peek() {
            assert_eq!(order.peek(), Some(next));
            assert_eq!(order.pop(), Some(next));
            turns.push(next);
        }
        assert_eq!(turns, [1, 2, 3, 4, 5, 6, 7, 0, 8]);
    }
}
