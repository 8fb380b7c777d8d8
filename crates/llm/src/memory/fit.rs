//! How many KV blocks a model gets, or why it gets none. Pure.

use engine::{BLOCK_TOKENS, blocks_for};
use types::EngineSpec;

use super::{Available, spoken};

/// Tokens for which each sequence gets room unless the operator says otherwise: a question with some
/// history and its answer. Most are shorter, and what longer ones need more, these leave.
const TOKENS_PER_SEQUENCE: usize = 512;

/// Without this many tokens of context a model is no use, so that it is rather refused.
const TOKENS_MIN: usize = 256;

/// What a model needs in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Its packed weights.
    pub weights_bytes: u64,
    /// What a step works with, and what the program itself takes.
    pub scratch_bytes: u64,
    /// Keys and values of one token over all layers; 0 for a model without a cache of them.
    pub kv_bytes_per_token: u64,
    /// Tokens of one sequence at most, as the model was made.
    pub max_positions: usize,
}

/// What a model gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    /// Blocks of keys and values.
    pub kv_blocks: usize,
    /// Tokens of one sequence at most.
    pub max_model_len: usize,
}

/// A model that needs more memory than there is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the model cannot be loaded, because it does not fit in memory: weights {} + working space {} \
     + keys and values {} ({kv_tokens} tokens of {} bytes) = {}, but {} {bound}; {fix}",
    spoken(needs.weights_bytes), spoken(needs.scratch_bytes), spoken(*kv_bytes),
    needs.kv_bytes_per_token, spoken(needs.weights_bytes + needs.scratch_bytes + kv_bytes),
    spoken(*available)
)]
pub struct DoesNotFit {
    /// What it needs.
    pub needs: Needs,
    /// Memory for the least context, or for that which the operator asked for.
    pub kv_bytes: u64,
    /// The same in tokens.
    pub kv_tokens: usize,
    /// What there is.
    pub available: u64,
    /// Why there is no more.
    pub bound: String,
    /// What to do.
    pub fix: &'static str,
}

/// Divides the memory.
///
/// # Errors
/// [`DoesNotFit`] with the arithmetic.
pub fn fit(needs: Needs, spec: &EngineSpec, available: &Available) -> Result<Fit, DoesNotFit> {
    let asked = spec.max_model_len.map_or(needs.max_positions, |len| len as usize);
    let max_model_len = asked.min(needs.max_positions);
    let block_bytes = needs.kv_bytes_per_token * BLOCK_TOKENS as u64;
    let block_bytes_or_one = block_bytes.max(1);
    let rest = available.bytes.checked_sub(needs.weights_bytes + needs.scratch_bytes);

    let kv_blocks = match spec.kv_memory_mb {
        // Half of what is left, and no more than the sequences may need.
        None => {
            let sequences = spec.max_sequences as usize;
            let usual = sequences * blocks_for(TOKENS_PER_SEQUENCE.min(max_model_len));
            let wanted = usual.max(blocks_for(max_model_len));
            let room = rest.unwrap_or(0) / 2 / block_bytes_or_one;
            wanted.min(usize::try_from(room).unwrap_or(usize::MAX))
        }
        Some(mib) => {
            usize::try_from(mib.saturating_mul(1 << 20) / block_bytes_or_one).unwrap_or(usize::MAX)
        }
    };
    let least = blocks_for(TOKENS_MIN.min(max_model_len));
    let refused = |kv_blocks: usize, fix| DoesNotFit {
        needs,
        kv_bytes: (kv_blocks as u64).saturating_mul(block_bytes),
        kv_tokens: kv_blocks.saturating_mul(BLOCK_TOKENS),
        available: available.bytes,
        bound: available.bound.clone(),
        fix,
    };
    // Advice that is about the largest part helps most.
    let smaller = if needs.scratch_bytes > needs.weights_bytes {
        "lower `engine.max_batch_tokens` or `engine.max_sequences`, which the working space is for"
    } else {
        "choose a smaller `engine.quantize` (int8, int4) or a smaller model"
    };
    let is_free = |blocks: usize| rest.is_some_and(|rest| blocks as u64 * block_bytes <= rest);
    match spec.kv_memory_mb {
        Some(_) if kv_blocks < least => Err(refused(
            kv_blocks,
            "raise `engine.kv_memory_mb`: this is too little for one answer",
        )),
        // Without any of it there would be too little as well.
        Some(_) if !is_free(least) => Err(refused(kv_blocks, smaller)),
        Some(_) if !is_free(kv_blocks) => Err(refused(
            kv_blocks,
            "lower `engine.kv_memory_mb`, or choose a smaller `engine.quantize`",
        )),
        None if kv_blocks < least => Err(refused(least, smaller)),
        _ => Ok(Fit { kv_blocks, max_model_len: max_model_len.min(kv_blocks * BLOCK_TOKENS) }),
    }
}

#[cfg(test)]
mod tests;
