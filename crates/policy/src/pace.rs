//! How fast items arrive, and how long it is worth waiting for the next one.

use std::time::{Duration, Instant};

/// The weight of the newest gap in the average is 1 in 4: half of a change of pace is seen after
/// two or three arrivals, and one odd gap does not upset it.
const MEMORY: u32 = 4;

/// Average gaps without an arrival after which the stream counts as paused. In random (Poisson)
/// traffic one gap in 50 is longer.
const PATIENCE: u32 = 4;

/// An average of the gaps between arrivals.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Longer gaps count as this long. Any gap above the wait means "too late" anyway, and one
    /// idle hour must not outweigh the next hundred arrivals.
    gap_max: Duration,
    /// Unknown before the second arrival.
    gap: Option<Duration>,
    last: Option<Instant>,
}

impl Pace {
    pub(crate) const fn new(wait_max: Duration) -> Self {
        Self { gap_max: wait_max.saturating_mul(2), gap: None, last: None }
    }

    pub(crate) fn arrived(&mut self, now: Instant) {
        if let Some(last) = self.last.replace(now) {
            let newest = now.saturating_duration_since(last).min(self.gap_max);
            let gap = self.gap.unwrap_or(newest);
            self.gap = Some(gap - gap / MEMORY + newest / MEMORY);
        }
    }

    /// Until when to wait for more, `limit` at the latest; the moment of the last arrival, that is
    /// no longer, if nothing more is expected before the limit.
    pub(crate) fn worth_waiting_until(&self, limit: Instant) -> Option<Instant> {
        let last = self.last?;
        let expected = self.gap.and_then(|gap| Some((gap, last.checked_add(gap)?)));
        match expected {
            Some((gap, next)) if next <= limit => {
                Some(last.checked_add(gap * PATIENCE).map_or(limit, |patience| patience.min(limit)))
            }
            _ => Some(last.min(limit)),
        }
    }
}
