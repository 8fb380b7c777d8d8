//! How long to wait before trying again: exponential, with jitter so that those who failed
//! together do not come back together.
//!
//! # Source
//! Brooker 2015, *Exponential Backoff And Jitter*.

use std::time::Duration;

use types::RetrySpec;

use crate::random::SplitMix64;

/// Waits that double.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait, before jitter.
    pub base: Duration,
    /// The longest wait.
    pub max: Duration,
}

impl Backoff {
    /// The wait after failure number `attempt`, counted from 1, without jitter.
    pub fn ceiling(&self, attempt: u32) -> Duration {
        let doubled = 1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        self.base.saturating_mul(doubled).min(self.max)
    }

    /// Equal jitter: from half the ceiling to the ceiling. For one who must not come back at
    /// once, such as a process that crashed.
    pub fn wait(&self, attempt: u32, seed: u64) -> Duration {
        let half = self.ceiling(attempt) / 2;
        half + up_to(self.ceiling(attempt) - half, seed)
    }

    /// Full jitter: from nothing to the ceiling. For many who fail at the same moment and should
    /// spread as widely as they can.
    pub fn wait_spread(&self, attempt: u32, seed: u64) -> Duration {
        up_to(self.ceiling(attempt), seed)
    }
}

impl From<&RetrySpec> for Backoff {
    fn from(spec: &RetrySpec) -> Self {
        Self {
            base: Duration::from_millis(spec.backoff_ms),
            max: Duration::from_millis(spec.backoff_ms_max),
        }
    }
}

/// A draw from zero to `max`, in whole nanoseconds.
fn up_to(max: Duration, seed: u64) -> Duration {
    let nanos = u64::try_from(max.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(SplitMix64::new(seed).below(nanos.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let backoff = Backoff { base: ms(100), max: ms(1000) };
        let ceilings: Vec<_> =
            (0..=6).map(|attempt| backoff.ceiling(attempt).as_millis()).collect();
        assert_eq!(ceilings, [100, 100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff.ceiling(u32::MAX), ms(1000));
    }

    #[test]
    fn the_jitter_comes_from_the_seed_alone() {
        let backoff = Backoff { base: ms(100), max: ms(1000) };
        assert_eq!(backoff.wait(3, 9), backoff.wait(3, 9));
        assert_ne!(backoff.wait(3, 9), backoff.wait(3, 10));
    }
}
