//! What the engine counts.

use std::time::Duration;

use api::worker::{DURATION_BOUNDS_US, Distribution, EngineStats};
use engine::{Batch, Stats, Usage};
use parking_lot::Mutex;

/// Counts; written by the loop once or twice a step, read with every heartbeat.
#[derive(Debug, Default)]
pub(crate) struct Meter(Mutex<EngineStats>);

impl Meter {
    pub(crate) fn stats(&self) -> EngineStats {
        self.0.lock().clone()
    }

    /// Begins anew.
    pub(crate) fn clear(&self) {
        *self.0.lock() = EngineStats::default();
    }

    /// A batch was run.
    pub(crate) fn stepped(&self, batch: &Batch) {
        let mut stats = self.0.lock();
        stats.steps += 1;
        stats.step_sequences += batch.chunks.len() as u64;
        stats.step_tokens += batch.tokens() as u64;
    }

    /// Texts of one request were embedded, so long after it arrived.
    pub(crate) fn embedded(&self, texts: usize, tokens: usize, after: Duration) {
        let mut stats = self.0.lock();
        stats.steps += 1;
        stats.step_sequences += texts as u64;
        stats.step_tokens += tokens as u64;
        stats.prompt_tokens += tokens as u64;
        observe(&mut stats.time_to_first_token, after);
    }

    /// How full the engine is.
    pub(crate) fn level(&self, now: &Stats) {
        let mut stats = self.0.lock();
        stats.running = now.running as u64;
        stats.waiting = now.waiting as u64;
        stats.kv_blocks_used = now.kv_blocks_used as u64;
        stats.kv_blocks = now.kv_blocks as u64;
        stats.preemptions = now.preemptions;
    }

    /// A sequence has its first token, so long after its request arrived.
    pub(crate) fn first_token(&self, after: Duration) {
        let mut stats = self.0.lock();
        stats.generated_tokens += 1;
        observe(&mut stats.time_to_first_token, after);
    }

    /// A sequence has a further token, so long after the one before.
    pub(crate) fn next_token(&self, after: Duration) {
        let mut stats = self.0.lock();
        stats.generated_tokens += 1;
        observe(&mut stats.inter_token_latency, after);
    }

    /// A sequence ended. Its tokens were counted as they came, but for a stop token.
    pub(crate) fn ended(&self, usage: &Usage, told_tokens: usize) {
        let mut stats = self.0.lock();
        stats.prompt_tokens += usage.prompt_tokens as u64;
        stats.cached_tokens += usage.cached_tokens as u64;
        stats.generated_tokens += usage.completion_tokens.saturating_sub(told_tokens) as u64;
    }
}

fn observe(distribution: &mut Distribution, took: Duration) {
    let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    distribution.counts.resize(DURATION_BOUNDS_US.len() + 1, 0);
    let bucket = DURATION_BOUNDS_US.partition_point(|&bound| bound < us);
    distribution.counts[bucket] += 1;
    distribution.sum = distribution.sum.saturating_add(us);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_bucket_whose_bound_it_does_not_exceed() {
        let mut times = Distribution::default();
        for us in [0, 1_000, 1_001, 3_000_000_000] {
            observe(&mut times, Duration::from_micros(us));
        }
        assert_eq!((times.counts[0], times.counts[1], times.counts[16]), (2, 1, 1));
        assert_eq!(times.sum, 3_000_002_001);
    }

    #[test]
    fn a_stop_token_is_counted_although_it_is_not_told() {
        let meter = Meter::default();
        meter.first_token(Duration::ZERO);
        meter.next_token(Duration::ZERO);
        meter.ended(&Usage { prompt_tokens: 9, cached_tokens: 4, completion_tokens: 3 }, 2);
        let stats = meter.stats();
        assert_eq!((stats.prompt_tokens, stats.cached_tokens, stats.generated_tokens), (9, 4, 3));
    }
}
