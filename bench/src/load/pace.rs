//! When the next request is due. Pure: the caller brings the time.

use std::time::{Duration, Instant};

use super::Times;

/// The rhythm of one thread.
#[derive(Debug)]
pub(super) enum Pace {
    /// A request is due whenever a connection is free.
    Closed { end: Instant },
    /// Requests are due at fixed times.
    Open(Arrivals),
}

/// Arrivals at a constant rate.
#[derive(Debug)]
pub(super) struct Arrivals {
    first: Instant,
    every: Duration,
    taken: u32,
    end: Instant,
}

impl Pace {
    pub(super) fn closed(end: Instant) -> Self {
        Self::Closed { end }
    }

    /// The part of thread `index` in `rate` requests a second of all `threads`, which take turns.
    pub(super) fn open(times: Times, rate: f64, index: usize, threads: usize) -> Self {
        let turn = Duration::from_secs_f64(1.0 / rate);
        let [index, threads] = [index, threads].map(|count| u32::try_from(count).unwrap_or(1));
        let first = times.begin + turn * index;
        Self::Open(Arrivals { first, every: turn * threads, taken: 0, end: times.end })
    }

    /// A request that is due, and since when; `None` if none is.
    pub(super) fn take(&mut self, now: Instant) -> Option<Instant> {
        match self {
            Self::Closed { end } => (now < *end).then_some(now),
            Self::Open(arrivals) => {
                let due = arrivals.next().filter(|due| *due <= now)?;
                arrivals.taken += 1;
                Some(due)
            }
        }
    }

    /// When the next one is due, if that does not depend on an answer.
    pub(super) fn next(&self) -> Option<Instant> {
        match self {
            Self::Closed { .. } => None,
            Self::Open(arrivals) => arrivals.next(),
        }
    }

    /// Whether nothing is due any more.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        match self {
            Self::Closed { end } => now >= *end,
            Self::Open(arrivals) => arrivals.next().is_none(),
        }
    }

    /// Requests that were or will be due and have not been taken.
    pub(super) fn left(&self) -> u64 {
        let Self::Open(arrivals) = self else { return 0 };
        let Some(next) = arrivals.next() else { return 0 };
        let left = (arrivals.end - next).as_nanos().div_ceil(arrivals.every.as_nanos().max(1));
        u64::try_from(left).unwrap_or(u64::MAX)
    }
}

impl Arrivals {
    fn next(&self) -> Option<Instant> {
        Some(self.first + self.every * self.taken).filter(|due| *due < self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn an_open_load_is_due_whatever_happened_to_the_requests_before() {
        let (mut pace, begin) = open(1000.0, 0, 1);
        assert_eq!(pace.take(begin), Some(begin));
        assert_eq!(pace.take(begin), None);
        assert_eq!(pace.next(), Some(begin + MS));
        // Three milliseconds late, and each of the three keeps its own time.
        for due in 1..=3 {
            assert_eq!(pace.take(begin + MS * 3), Some(begin + MS * due));
        }
        assert_eq!(pace.take(begin + MS * 3), None);
    }

    #[test]
    fn an_open_load_ends_when_all_that_was_due_is_taken() {
        let (mut pace, begin) = open(1000.0, 0, 1);
        let late = begin + MS * 50;
        assert_eq!(pace.left(), 10);
        for _ in 0..10 {
            assert!(!pace.is_over(late));
            assert!(pace.take(late).is_some());
        }
        assert!(pace.is_over(late));
        assert_eq!((pace.left(), pace.take(late)), (0, None));
    }

    #[test]
    fn threads_take_turns() {
        let (mut second, begin) = open(1000.0, 1, 4);
        assert_eq!(second.take(begin + MS * 9), Some(begin + MS));
        assert_eq!(second.take(begin + MS * 9), Some(begin + MS * 5));
        assert_eq!(second.take(begin + MS * 9), Some(begin + MS * 9));
    }

    #[test]
    fn a_closed_load_is_always_due_until_its_end() {
        let begin = Instant::now();
        let mut pace = Pace::closed(begin + MS);
        assert_eq!(pace.take(begin), Some(begin));
        assert_eq!((pace.next(), pace.left()), (None, 0));
        assert!(pace.is_over(begin + MS));
        assert_eq!(pace.take(begin + MS), None);
    }

    /// Ten milliseconds of load.
    fn open(rate: f64, index: usize, threads: usize) -> (Pace, Instant) {
        let begin = Instant::now();
        let end = begin + MS * 10;
        let times = Times { begin, counts_from: begin, end, give_up: end };
        (Pace::open(times, rate, index, threads), begin)
    }
}
