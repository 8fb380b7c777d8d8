//! What the engine of a language model tells of itself with every heartbeat.

use serde::{Deserialize, Serialize};

/// Upper bounds of the buckets of a [`Distribution`] of durations, in microseconds: 1 ms to 100 s in steps of 1, 2 and 5.
pub const DURATION_BOUNDS_US: [u64; 16] = [
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
];

/// What an engine has done since its worker started, and what it does now. Counts are sums since
/// the start, not changes since the last heartbeat: one that is lost then loses nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EngineStats {
    /// Sequences that are computed now.
    pub running: u64,
    /// Sequences that wait for a place in the batch.
    pub waiting: u64,
    /// Blocks of keys and values in use, those that only the prefix cache keeps not included.
    pub kv_blocks_used: u64,
    /// Blocks of keys and values in all.
    pub kv_blocks: u64,
    /// Tokens of prompts, those from the prefix cache included.
    pub prompt_tokens: u64,
    /// Tokens of prompts that were not computed, because the prefix cache had them.
    pub cached_tokens: u64,
    /// Tokens of answers, of cancelled ones too.
    pub generated_tokens: u64,
    /// Sequences that were computed anew because others needed their blocks.
    pub preemptions: u64,
    /// Forward passes.
    pub steps: u64,
    /// Sequences of all steps; divided by the steps, the size of a batch.
    pub step_sequences: u64,
    /// Tokens that all steps computed.
    pub step_tokens: u64,
    /// Time from the arrival of a request to its first token, in microseconds.
    pub time_to_first_token: Distribution,
    /// Time from one token of a sequence to its next one, in microseconds.
    pub inter_token_latency: Distribution,
}

/// Observations, counted in buckets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Distribution {
    /// Observations up to each bound, and above the one before; the last count is for those above
    /// every bound. Empty if there were none.
    pub counts: Vec<u64>,
    /// All observations added up.
    pub sum: u64,
}
