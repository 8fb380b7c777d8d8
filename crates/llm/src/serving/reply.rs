//! An answer together with what is still missing of it.

use bytes::Bytes;
use types::ErrorCode;

use crate::{
    generation::{Finish, TokenEvent},
    openai::{Answer, ApiError, Ended},
};

/// An answer that is made from the events of its sequences.
pub(super) struct Reply {
    answer: Answer,
    /// Sequences that have not ended.
    open: usize,
}

impl Reply {
    pub(super) const fn new(answer: Answer, sequences: usize) -> Self {
        Self { answer, open: sequences }
    }

    /// Whether the client wants events.
    pub(super) fn is_stream(&self) -> bool {
        self.answer.is_stream()
    }

    /// What the client gets before the first token.
    pub(super) fn begin(&mut self) -> Vec<Bytes> {
        self.answer.begin()
    }

    /// Takes an event; what comes out is for the client, if it wants a stream.
    pub(super) fn take(
        &mut self,
        sequence: usize,
        event: TokenEvent,
    ) -> Result<Vec<Bytes>, ApiError> {
        let (ended, usage) = match event {
            TokenEvent::Token(sampled) => return Ok(self.answer.token(sequence, &sampled)),
            TokenEvent::Finished { reason: Finish::Failed(words), .. } => {
                return Err(ApiError::new(ErrorCode::HandlerFailed, words));
            }
            TokenEvent::Finished { reason: Finish::Length, usage } => (Ended::Length, usage),
            TokenEvent::Finished { reason: Finish::Stop(_) | Finish::Halted, usage } => {
                (Ended::Stop, usage)
            }
        };
        self.open = self.open.saturating_sub(1);
        Ok(self.answer.finished(sequence, ended, usage))
    }

    /// No event follows: the rest of the answer, or all of it.
    pub(super) fn end(&mut self) -> Result<Bytes, ApiError> {
        if self.open > 0 {
            let words = "the engine stopped in the middle of the answer";
            return Err(ApiError::new(ErrorCode::WorkerFailed, words));
        }
        Ok(self.answer.end())
    }

    /// The last event of a stream that cannot go on.
    pub(super) fn failed(&self, error: &ApiError) -> Bytes {
        self.answer.failed(error)
    }
}
