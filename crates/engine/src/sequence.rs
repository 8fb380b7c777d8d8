//! One generation and how far it is.

use std::cmp::Reverse;

use types::Priority;

use crate::{
    ids::{SequenceId, TokenId},
    request::{FinishReason, Request, Usage},
    runner::{Chunk, Output},
    sampler::{Sampled, SamplingParams},
    table::BlockTable,
};

/// Where a sequence stands among the running ones: the last is the first to be preempted, which
/// is the youngest of the lowest class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seat {
    class: Reverse<Priority>,
    pub(crate) sequence: SequenceId,
}

/// What a sequence does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Waits for the prompt of this one, to find it in the prefix cache.
    Follows(SequenceId),
    /// Waits for its turn.
    Waits,
    /// Takes part in steps.
    Runs,
}

#[derive(Debug)]
pub(crate) struct Sequence {
    pub(crate) id: SequenceId,
    pub(crate) state: State,
    /// The prompt and what was generated.
    pub(crate) tokens: Vec<TokenId>,
    prompt_len: usize,
    /// It ends when it has so many tokens.
    len_max: usize,
    /// Tokens whose keys and values have been written.
    pub(crate) computed: usize,
    pub(crate) table: BlockTable,
    /// Rises with each sequence that begins to run, also after it was preempted.
    pub(crate) began: u64,
    /// Of the prompt; known once it has begun.
    pub(crate) cached_tokens: Option<usize>,
    /// Free blocks that it lacked when it was last its turn: no use to look again with fewer.
    pub(crate) lacked: usize,
    /// Those that wait for its prompt.
    pub(crate) followers: Vec<SequenceId>,
    /// What was asked, without the prompt.
    pub(crate) request: Request,
}

impl Sequence {
    pub(crate) fn new(
        id: SequenceId,
        state: State,
        mut request: Request,
        context_max: usize,
    ) -> Self {
        let tokens = std::mem::take(&mut request.prompt);
        Self {
            id,
            state,
            prompt_len: tokens.len(),
            len_max: tokens.len().saturating_add(request.max_tokens).min(context_max),
            tokens,
            computed: 0,
            table: BlockTable::new(),
            began: 0,
            cached_tokens: None,
            lacked: 0,
            followers: Vec::new(),
            request,
        }
    }

    pub(crate) fn seat(&self) -> Seat {
        Seat { class: Reverse(self.request.priority), sequence: self.id }
    }

    pub(crate) fn prompt(&self) -> &[TokenId] {
        &self.tokens[..self.prompt_len]
    }

    pub(crate) fn output(&self) -> &[TokenId] {
        &self.tokens[self.prompt_len..]
    }

    /// Tokens to run before the next one can be chosen; 1 while it decodes.
    pub(crate) fn uncomputed(&self) -> usize {
        self.tokens.len() - self.computed
    }

    /// The next so many tokens to run.
    pub(crate) fn chunk(&self, tokens: usize) -> Chunk {
        let end = self.computed + tokens;
        let output = match &self.request {
            _ if end < self.tokens.len() => Output::Nothing,
            Request { guided: false, sampling, .. } if sampling.is_argmax() => Output::Argmax,
            _ => Output::Logits,
        };
        Chunk {
            sequence: self.id,
            tokens: self.tokens[self.computed..end].to_vec(),
            position: self.computed,
            blocks: self.table.blocks().clone(),
            output,
        }
    }

    /// Whether this chunk is the next one, and not one that was settled before.
    pub(crate) fn awaits(&self, chunk: &Chunk) -> bool {
        self.state == State::Runs && self.computed == chunk.position
    }

    /// Takes the next token; tells whether it was the last.
    pub(crate) fn append(&mut self, sampled: &Sampled) -> Option<FinishReason> {
        self.tokens.push(sampled.token);
        if self.request.stop_tokens.contains(&sampled.token) {
            return Some(FinishReason::Stop(sampled.token));
        }
        (self.tokens.len() >= self.len_max).then_some(FinishReason::Length)
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage {
            prompt_tokens: self.prompt_len,
            cached_tokens: self.cached_tokens.unwrap_or(0),
            completion_tokens: self.output().len(),
        }
    }

    pub(crate) fn params(&self) -> &SamplingParams {
        &self.request.sampling
    }
}
