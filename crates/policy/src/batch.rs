//! Which calls are given to the code together.
//!
//! The first item starts the clock; a batch closes when it is full or when its oldest item has
//! waited long enough. The caller asks [`Batcher::due`] after each push and at the
//! [`Batcher::deadline`]; it may ask later, when the code is still busy with the batch before, and
//! meanwhile the next batch fills up.

use std::{
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use crate::pace::Pace;

/// When a batch closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Items in a full batch.
    pub size_max: NonZeroUsize,
    /// Longest wait of an item for company.
    pub wait_max: Duration,
}

/// How long a part-filled batch waits, within the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// Always as long as it may.
    Fixed,
    /// As long as company is to be expected, by the observed arrival rate: not at all if the next
    /// item would come too late, and no longer once the stream of items has paused.
    Adaptive,
}

/// Gathers items into batches.
#[derive(Debug)]
pub struct Batcher<T> {
    limits: BatchLimits,
    /// How fast items arrive; watched only where it is used.
    pace: Option<Pace>,
    items: Vec<T>,
    /// When each of the items came.
    arrivals: Vec<Instant>,
}

impl<T> Batcher<T> {
    /// An empty batcher.
    pub fn new(limits: BatchLimits, waiting: Waiting) -> Self {
        let pace = match waiting {
            Waiting::Fixed => None,
            Waiting::Adaptive => Some(Pace::new(limits.wait_max)),
        };
        Self { limits, pace, items: Vec::new(), arrivals: Vec::new() }
    }

    /// Adds an item; gives the batch if that filled it.
    pub fn push(&mut self, item: T, now: Instant) -> Option<Vec<T>> {
        if let Some(pace) = &mut self.pace {
            pace.arrived(now);
        }
        self.items.push(item);
        self.arrivals.push(now);
        (self.items.len() >= self.limits.size_max.get()).then(|| self.take())
    }

    /// Gives the part-filled batch if its time has come.
    pub fn due(&mut self, now: Instant) -> Option<Vec<T>> {
        self.deadline().is_some_and(|deadline| deadline <= now).then(|| self.take())
    }

    /// When [`Self::due`] will give a batch. It moves with every push and removal; `None` while
    /// there is nothing to wait for.
    pub fn deadline(&self) -> Option<Instant> {
        let limit = self.arrivals.first()?.checked_add(self.limits.wait_max)?;
        match &self.pace {
            None => Some(limit),
            Some(pace) => pace.worth_waiting_until(limit),
        }
    }

    /// Takes out the first item that `is_it` recognises, because its caller left. The clock is
    /// then that of the oldest item that stays.
    pub fn remove(&mut self, is_it: impl FnMut(&T) -> bool) -> Option<T> {
        let index = self.items.iter().position(is_it)?;
        self.arrivals.remove(index);
        Some(self.items.remove(index))
    }

    /// Everything that waits, as it is; for a worker that drains.
    pub fn take(&mut self) -> Vec<T> {
        self.arrivals.clear();
        std::mem::take(&mut self.items)
    }

    /// Items that wait.
    pub const fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether nothing waits.
    pub const fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn batcher(size_max: usize, waiting: Waiting) -> Batcher<char> {
        let size_max = NonZeroUsize::new(size_max).unwrap();
        Batcher::new(BatchLimits { size_max, wait_max: ms(10) }, waiting)
    }

    #[test]
    fn the_wait_is_counted_from_the_first_item_not_the_last() {
        let start = Instant::now();
        let mut batcher = batcher(8, Waiting::Fixed);
        assert_eq!(batcher.deadline(), None);
        assert_eq!(batcher.push('a', start), None);
        assert_eq!(batcher.push('b', start + ms(9)), None);
        assert_eq!(batcher.due(start + ms(9)), None);
        assert_eq!(batcher.due(start + ms(10)), Some(vec!['a', 'b']));
        assert_eq!(batcher.deadline(), None);
    }

    #[test]
    fn a_full_batch_goes_at_once() {
        let start = Instant::now();
        let mut batcher = batcher(2, Waiting::Fixed);
        assert_eq!(batcher.push('a', start), None);
        assert_eq!(batcher.push('b', start), Some(vec!['a', 'b']));
        assert!(batcher.is_empty());
    }

    #[test]
    fn when_the_oldest_leaves_the_clock_is_that_of_the_next() {
        let start = Instant::now();
        let mut batcher = batcher(8, Waiting::Fixed);
        for (item, at) in [('a', 0), ('b', 3), ('c', 4)] {
            batcher.push(item, start + ms(at));
        }
        assert_eq!(batcher.remove(|item| *item == 'a'), Some('a'));
        assert_eq!(batcher.remove(|item| *item == 'a'), None);
        assert_eq!(batcher.deadline(), Some(start + ms(13)));
        assert_eq!(batcher.remove(|item| *item == 'c'), Some('c'));
        assert_eq!(batcher.due(start + ms(13)), Some(vec!['b']));
    }

    #[test]
    fn a_lonely_caller_does_not_wait_for_company_that_never_comes() {
        let start = Instant::now();
        let mut batcher = batcher(8, Waiting::Adaptive);
        for call in 0..5 {
            let now = start + ms(50) * call;
            assert_eq!(batcher.push('a', now), None);
            assert_eq!(batcher.due(now), Some(vec!['a']), "call {call}");
        }
    }

    #[test]
    fn in_a_steady_stream_the_batch_fills_until_the_limit() {
        let start = Instant::now();
        let mut batcher = batcher(100, Waiting::Adaptive);
        let mut sizes = Vec::new();
        for call in 0..60 {
            let now = start + ms(2) * call;
            sizes.extend(batcher.due(now).map(|batch| batch.len()));
            batcher.push('a', now);
            sizes.extend(batcher.due(now).map(|batch| batch.len()));
        }
        // The first two learn the pace; from then on each batch spans ten milliseconds.
        assert_eq!(sizes.pop(), Some(5), "{sizes:?}");
        assert!(sizes[2..].iter().all(|&size| size == 5), "{sizes:?}");
    }

    #[test]
    fn a_burst_that_has_ended_is_not_waited_for() {
        let start = Instant::now();
        let mut batcher = batcher(100, Waiting::Adaptive);
        // Bursts of five, 100 microseconds apart, every 30 milliseconds.
        for burst in 0..9 {
            for item in 0..5 {
                batcher.push('a', start + ms(30) * burst + Duration::from_micros(100) * item);
            }
            batcher.take();
        }
        let begun = start + ms(30) * 9;
        let last = begun + Duration::from_micros(400);
        for item in 0..5 {
            batcher.push('a', begun + Duration::from_micros(100) * item);
        }
        let deadline = batcher.deadline().unwrap();
        assert!(last < deadline && deadline < begun + ms(10), "{:?}", deadline - begun);
    }
}
