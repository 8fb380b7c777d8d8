//! A batch of the engine as rows of the kernels, checked.

use engine::{Batch, ModelShape, TokenId};
use kernels::{KvCache, Span, SpanError, Spans};

/// Why a batch was not run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// More than the model was loaded for.
    #[error("the batch has {found} {what}, and the model was loaded for {most}")]
    TooLarge {
        /// Tokens or chunks.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        most: usize,
    },
    /// A token that is not in the vocabulary.
    #[error("token {token} is not below {vocab}, the size of the vocabulary")]
    UnknownToken {
        /// The first such token.
        token: TokenId,
        /// The size of the vocabulary.
        vocab: usize,
    },
    /// Behind the last position that the model knows.
    #[error("position {position} is not below {max_positions}")]
    Position {
        /// The last position of the chunk.
        position: usize,
        /// How many there are.
        max_positions: usize,
    },
    /// KV blocks that do not fit.
    #[error(transparent)]
    Spans(#[from] SpanError),
}

/// The tokens of all chunks, one after another, and where they belong.
pub(super) fn rows(
    batch: &Batch,
    shape: &ModelShape,
    cache: &KvCache,
) -> Result<(Vec<TokenId>, Spans), BatchError> {
    at_most("tokens", batch.tokens(), shape.max_batch_tokens)?;
    at_most("chunks", batch.chunks.len(), shape.max_sequences)?;
    let mut tokens = Vec::with_capacity(batch.tokens());
    let mut blocks = Vec::with_capacity(batch.chunks.len());
    for chunk in &batch.chunks {
        let end = chunk.position + chunk.tokens.len();
        if end > shape.max_positions {
            let max_positions = shape.max_positions;
            return Err(BatchError::Position { position: end - 1, max_positions });
        }
        tokens.extend_from_slice(&chunk.tokens);
        blocks.push(chunk.blocks.iter().map(|block| block.index() as u32).collect::<Vec<_>>());
    }
    let vocab = shape.vocab;
    if let Some(&token) = tokens.iter().find(|&&token| token as usize >= vocab) {
        return Err(BatchError::UnknownToken { token, vocab });
    }
    let spans = batch.chunks.iter().zip(&blocks).map(|(chunk, blocks)| Span {
        position: chunk.position,
        length: chunk.tokens.len(),
        blocks,
    });
    let spans = Spans::new(cache, spans)?;
    Ok((tokens, spans))
}

fn at_most(what: &'static str, found: usize, most: usize) -> Result<(), BatchError> {
    if found <= most { Ok(()) } else { Err(BatchError::TooLarge { what, found, most }) }
}
