//! What is asked of the engine, and what it tells.

use types::{Priority, Tenant};

use crate::{
    ids::{SequenceId, TokenId},
    sampler::{BadSampling, Sampled, SamplingParams},
};

/// A generation to run.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// At least one token.
    pub prompt: Vec<TokenId>,
    /// Tokens to generate at most; at least 1. The context may end it earlier.
    pub max_tokens: usize,
    /// Any of these ends it: the model's end-of-sequence tokens, unless they are to be ignored,
    /// and those the caller names.
    pub stop_tokens: Vec<TokenId>,
    /// How each token is chosen.
    pub sampling: SamplingParams,
    /// Whether a token mask may come with its rows, so that they need all logits.
    pub guided: bool,
    /// Its class: a higher one goes first, and is preempted last.
    pub priority: Priority,
    /// Whose it is: within a class tenants take turns.
    pub tenant: Tenant,
}

/// Why a request may not even wait. Nothing of it was kept.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refused {
    /// Try again later.
    #[error("{waiting} sequences wait already, and the queue holds {max_queue}")]
    QueueFull {
        /// Sequences that wait.
        waiting: usize,
        /// The bound.
        max_queue: usize,
    },
    /// It can never run.
    #[error(
        "the prompt has {prompt} tokens, and with at least one generated token that makes {}, \
         but the context holds {max_model_len}",
        prompt + 1
    )]
    ContextOverflow {
        /// Tokens of the prompt.
        prompt: usize,
        /// Tokens of one sequence at most.
        max_model_len: usize,
    },
    /// It can never run with so little KV memory.
    #[error(
        "the prompt has {prompt} tokens, and with at least one generated token that makes {}, \
         but the KV memory holds {kv_tokens} ({kv_blocks} blocks of {} tokens)",
        prompt + 1,
        crate::BLOCK_TOKENS
    )]
    KvOverflow {
        /// Tokens of the prompt.
        prompt: usize,
        /// Tokens that all KV blocks hold together.
        kv_tokens: usize,
        /// KV blocks that exist.
        kv_blocks: usize,
    },
    /// There is nothing to continue.
    #[error("the prompt is empty; it needs at least one token")]
    EmptyPrompt,
    /// There is nothing to generate.
    #[error("`max_tokens` is 0; at least one token must be generated")]
    NoTokens,
    /// There is no such token.
    #[error("token {token} of the prompt is not below {vocab}, the size of the vocabulary")]
    UnknownToken {
        /// The first such token.
        token: TokenId,
        /// The size of the vocabulary.
        vocab: usize,
    },
    /// The sampling parameters make no sense.
    #[error(transparent)]
    Sampling(#[from] BadSampling),
}

/// What happened to a sequence in a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// It has one more token. Not told of a stop token: that one ends it.
    Token {
        /// Whose token it is.
        sequence: SequenceId,
        /// As it was given to [`Engine::settle`](crate::Engine::settle).
        sampled: Sampled,
    },
    /// It has ended, and the engine has forgotten it.
    Finished {
        /// Which one.
        sequence: SequenceId,
        /// Why.
        reason: FinishReason,
        /// What it took.
        usage: Usage,
    },
}

/// Why a sequence ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// This stop token was generated.
    Stop(TokenId),
    /// `max_tokens`, the context or the KV memory was full.
    Length,
}

/// Exactly what a sequence took, also when it was aborted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Those of them that came from the prefix cache.
    pub cached_tokens: usize,
    /// Tokens generated, a stop token too.
    pub completion_tokens: usize,
}
