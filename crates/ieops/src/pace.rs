//! How often a worker speaks, and when its silence means that it is gone.

use std::time::{Duration, Instant};

/// Time between two beats of a worker that has spoken once: the default of the package.
const INTERVAL_DEFAULT: Duration = Duration::from_secs(10);

/// Beats that follow faster are one that was sent again, because its answer was late.
const RETRY_MAX: Duration = Duration::from_millis(900);

/// Gaps that are remembered: a single long one, such as that of a busy event loop, is soon forgotten.
const GAPS_MAX: usize = 3;

/// A worker is gone that has been silent for so many of its intervals.
const INTERVALS_SILENT: u32 = 3;

/// When a worker spoke.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    last: Instant,
    gaps: [Duration; GAPS_MAX],
    count: usize,
}

impl Pace {
    /// It spoke for the first time.
    pub(crate) const fn begin(now: Instant) -> Self {
        Self { last: now, gaps: [Duration::ZERO; GAPS_MAX], count: 0 }
    }

    /// It spoke again.
    pub(crate) fn heard(&mut self, now: Instant) {
        let gap = now.saturating_duration_since(self.last);
        self.last = now;
        if gap > RETRY_MAX {
            self.gaps[self.count % GAPS_MAX] = gap;
            self.count += 1;
        }
    }

    /// When it spoke last.
    pub(crate) const fn last(&self) -> Instant {
        self.last
    }

    /// The longest of its last gaps; the package's default before there is one.
    pub(crate) fn interval(&self) -> Duration {
        let longest = self.gaps.iter().max().copied().unwrap_or_default();
        if longest.is_zero() { INTERVAL_DEFAULT } else { longest }
    }

    /// When it counts as gone.
    pub(crate) fn silent_at(&self) -> Instant {
        self.last + self.interval() * INTERVALS_SILENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoke_at(tenths: &[u64]) -> (Pace, Instant) {
        let start = Instant::now();
        let mut pace = Pace::begin(start);
        for at in tenths {
            pace.heard(start + Duration::from_millis(at * 100));
        }
        (pace, start)
    }

    #[test]
    fn one_that_spoke_once_has_the_time_of_the_default() {
        let (pace, start) = spoke_at(&[]);
        assert_eq!(pace.silent_at(), start + Duration::from_secs(30));
    }

    #[test]
    fn the_interval_is_observed_and_the_longest_of_three_counts() {
        let (pace, start) = spoke_at(&[10, 30, 40]);
        assert_eq!(pace.interval(), Duration::from_secs(2));
        assert_eq!(pace.silent_at(), start + Duration::from_secs(10));
        let (pace, _) = spoke_at(&[10, 30, 40, 50, 60]);
        assert_eq!(pace.interval(), Duration::from_secs(1));
    }

    #[test]
    fn a_beat_that_was_sent_twice_does_not_shorten_it() {
        let (pace, _) = spoke_at(&[2, 5]);
        assert_eq!(pace.interval(), INTERVAL_DEFAULT);
    }
}
