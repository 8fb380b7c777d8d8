//! The batcher: every item in exactly one batch, in order, within the bounds of size and wait.

use std::{
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use policy::batch::{BatchLimits, Batcher, Waiting};
use proptest::{prelude::*, sample::Index};

#[derive(Debug, Clone)]
enum Step {
    /// An item comes after this many microseconds.
    Push(u64),
    /// The caller of one that waits leaves.
    Remove(Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..400u64).prop_map(Step::Push),
        2 => (0..20_000u64).prop_map(Step::Push),
        1 => any::<Index>().prop_map(Step::Remove),
    ];
    prop::collection::vec(step, 0..100)
}

/// What became of the items, by number.
struct Run {
    batcher: Batcher<usize>,
    limits: BatchLimits,
    now: Instant,
    arrivals: Vec<Instant>,
    waiting: Vec<usize>,
}

impl Run {
    fn new(limits: BatchLimits, waiting: Waiting) -> Self {
        let batcher = Batcher::new(limits, waiting);
        Self { batcher, limits, now: Instant::now(), arrivals: vec![], waiting: vec![] }
    }

    /// Goes on in time, and asks for the batch at its deadline, as the owner of a batcher does.
    fn go_on(&mut self, until: Instant) {
        while let Some(deadline) = self.batcher.deadline().filter(|deadline| *deadline <= until) {
            if deadline > self.now {
                let just_before = deadline - Duration::from_nanos(1);
                assert_eq!(self.batcher.due(just_before.max(self.now)), None);
            }
            self.now = self.now.max(deadline);
            let batch = self.batcher.due(self.now);
            self.closed(batch.expect("a deadline gives a batch"));
        }
        self.now = until;
    }

    /// A batch is what waited, in its order, and nobody in it waited too long.
    fn closed(&mut self, batch: Vec<usize>) {
        assert!(!batch.is_empty() && batch.len() <= self.limits.size_max.get());
        assert_eq!(batch, std::mem::take(&mut self.waiting));
        for item in batch {
            assert!(self.now - self.arrivals[item] <= self.limits.wait_max);
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Push(after) => {
                self.go_on(self.now + Duration::from_micros(*after));
                let item = self.arrivals.len();
                self.arrivals.push(self.now);
                self.waiting.push(item);
                let batch = self.batcher.push(item, self.now);
                let is_full = self.waiting.len() == self.limits.size_max.get();
                assert_eq!(batch.is_some(), is_full);
                batch.into_iter().for_each(|batch| self.closed(batch));
            }
            Step::Remove(index) if !self.waiting.is_empty() => {
                let item = self.waiting.remove(index.index(self.waiting.len()));
                assert_eq!(self.batcher.remove(|waiting| *waiting == item), Some(item));
                assert_eq!(self.batcher.remove(|waiting| *waiting == item), None);
            }
            Step::Remove(_) => {}
        }
        assert_eq!(self.batcher.len(), self.waiting.len());
        let oldest = self.waiting.first().map(|&item| self.arrivals[item]);
        let latest = oldest.map(|oldest| oldest + self.limits.wait_max);
        assert_eq!(self.batcher.deadline().is_some(), latest.is_some());
        assert!(self.batcher.deadline() <= latest, "waits longer than it may");
    }
}

proptest! {
    #![proptest_config(crate::cases(256))]

    #[test]
    fn every_item_is_in_one_batch_and_bounds_are_kept(
        size_max in 1..8usize,
        wait_micros in 0..3000u64,
        is_adaptive in any::<bool>(),
        steps in steps(),
    ) {
        let size_max = NonZeroUsize::new(size_max).unwrap();
        let limits = BatchLimits { size_max, wait_max: Duration::from_micros(wait_micros) };
        let waiting = if is_adaptive { Waiting::Adaptive } else { Waiting::Fixed };
        let mut run = Run::new(limits, waiting);
        for step in &steps {
            run.take(step);
        }
        run.go_on(run.now + limits.wait_max);
        prop_assert!(run.waiting.is_empty() && run.batcher.is_empty(), "an item was lost");
    }

    #[test]
    fn a_fixed_wait_is_used_in_full(items in prop::collection::vec(0..900u64, 1..10)) {
        let size_max = NonZeroUsize::new(100).unwrap();
        let wait_max = Duration::from_millis(10);
        let mut batcher = Batcher::new(BatchLimits { size_max, wait_max }, Waiting::Fixed);
        let first = Instant::now();
        let mut now = first;
        for after in items {
            batcher.push((), now);
            prop_assert_eq!(batcher.deadline(), Some(first + wait_max));
            now += Duration::from_micros(after);
        }
    }
}
