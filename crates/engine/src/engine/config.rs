//! The bounds of an engine, and what they refuse.

use crate::{
    ids::BLOCK_TOKENS,
    request::{Refused, Request},
    runner::ModelShape,
};

/// How much one engine holds at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineConfig {
    /// Token ids are below this.
    pub vocab: usize,
    /// KV blocks of the model.
    pub kv_blocks: usize,
    /// Sequences that run at once; at least 1, and at most `max_batch_tokens` are used.
    pub max_sequences: usize,
    /// Tokens of one step: the decode rows first, then prompts.
    pub max_batch_tokens: usize,
    /// Sequences that may wait. Also a request that could run at once waits until the next step.
    pub max_queue: usize,
    /// Tokens of one sequence at most, prompt and output.
    pub max_model_len: usize,
    /// Whether the blocks of a prompt are shared and kept for those that begin alike.
    pub prefix_cache: bool,
}

impl EngineConfig {
    /// Everything that a model can take.
    pub const fn of(shape: ModelShape, max_queue: usize) -> Self {
        Self {
            vocab: shape.vocab,
            kv_blocks: shape.kv_blocks,
            max_sequences: shape.max_sequences,
            max_batch_tokens: shape.max_batch_tokens,
            max_queue,
            max_model_len: shape.max_positions,
            prefix_cache: true,
        }
    }

    /// With bounds that let something run, so that no step is empty while a sequence waits.
    pub(super) fn usable(self) -> Self {
        let max_batch_tokens = self.max_batch_tokens.max(1);
        let max_sequences = self.max_sequences.clamp(1, max_batch_tokens);
        Self { max_batch_tokens, max_sequences, ..self }
    }

    fn kv_tokens(&self) -> usize {
        self.kv_blocks.saturating_mul(BLOCK_TOKENS)
    }

    /// Tokens that one sequence can have.
    pub(super) fn context_max(&self) -> usize {
        self.max_model_len.min(self.kv_tokens())
    }

    /// Whether a request could ever run to an end.
    pub(super) fn check(&self, request: &Request) -> Result<(), Refused> {
        let prompt = request.prompt.len();
        if prompt == 0 {
            return Err(Refused::EmptyPrompt);
        }
        if request.max_tokens == 0 {
            return Err(Refused::NoTokens);
        }
        if prompt >= self.max_model_len {
            return Err(Refused::ContextOverflow { prompt, max_model_len: self.max_model_len });
        }
        if prompt >= self.kv_tokens() {
            let (kv_tokens, kv_blocks) = (self.kv_tokens(), self.kv_blocks);
            return Err(Refused::KvOverflow { prompt, kv_tokens, kv_blocks });
        }
        if let Some(&token) = request.prompt.iter().find(|&&token| token as usize >= self.vocab) {
            return Err(Refused::UnknownToken { token, vocab: self.vocab });
        }
        Ok(request.sampling.check()?)
    }
}
