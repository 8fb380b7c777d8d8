//! The seam between deciding and computing: what one step runs, and who runs it.

use std::{error::Error, sync::Arc};

use crate::ids::{BlockId, SequenceId, TokenId};

/// What a loaded model can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelShape {
    /// Token ids are below this; also the length of a row of logits.
    pub vocab: usize,
    /// Tokens of one sequence at most.
    pub max_positions: usize,
    /// KV blocks that exist; block ids are below this.
    pub kv_blocks: usize,
    /// Tokens of one batch at most, over all its chunks.
    pub max_batch_tokens: usize,
    /// Chunks of one batch at most.
    pub max_sequences: usize,
}

/// What one step runs: the rows of all chunks together are one forward pass. Decode rows (chunks
/// of one token) come first. No two chunks are of one sequence, and none writes into a block that
/// another chunk sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// At least one; in the order in which [`RunOutput::rows`] answers.
    pub chunks: Vec<Chunk>,
}

impl Batch {
    /// Rows of the forward pass.
    pub fn tokens(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.tokens.len()).sum()
    }
}

/// Some consecutive tokens of one sequence: one for decode, more for prefill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Whose tokens they are.
    pub sequence: SequenceId,
    /// Run now: their keys and values are written, and they attend to everything before them.
    pub tokens: Vec<TokenId>,
    /// Of the first of `tokens` in its sequence. All before it are in the KV blocks already.
    pub position: usize,
    /// Position p lies in `blocks[p / BLOCK_TOKENS]`, in slot p % [`BLOCK_TOKENS`](crate::BLOCK_TOKENS).
    /// Covers `position + tokens.len()`. Shared with the engine rather than copied each step.
    pub blocks: Arc<Vec<BlockId>>,
    /// What is wanted of the *last* of `tokens`.
    pub output: Output,
}

/// What a chunk wants to know. Rows that nobody asks for need no head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// The prompt goes on in a later step.
    Nothing,
    /// The token with the highest logit; of equal ones the lowest id.
    Argmax,
    /// All logits.
    Logits,
}

/// A loaded model that runs batches. Other backends plug in here.
///
/// Within one backend a sequence's results must be bit-identical however it is batched, chunked,
/// recomputed or continued from cached blocks; the engine relies on it when it shares blocks.
pub trait ModelRunner: Send {
    /// What it can take.
    fn shape(&self) -> ModelShape;

    /// Runs one batch to its end. The logits are lent until the next call and may be overwritten,
    /// so that a sampler edits them in place.
    ///
    /// # Errors
    /// [`RunError`] if nothing of the batch counts as run. The same batch may be run again.
    fn run(&mut self, batch: &Batch) -> Result<RunOutput<'_>, RunError>;
}

/// What a batch answered.
#[derive(Debug)]
pub struct RunOutput<'a> {
    /// One per chunk, in the order of [`Batch::chunks`].
    pub rows: Vec<Row<'a>>,
}

/// The answer to an [`Output`].
#[derive(Debug)]
pub enum Row<'a> {
    /// Nothing was wanted.
    Nothing,
    /// To [`Output::Argmax`].
    Argmax(TokenId),
    /// To [`Output::Logits`]: as many as the vocabulary has tokens.
    Logits(&'a mut [f32]),
    /// No logit is a number: this sequence cannot go on, and must be aborted before
    /// [`Engine::settle`](crate::Engine::settle), or it runs again. The others of the batch are well.
    NotANumber,
}

/// Why a batch could not be run.
#[derive(Debug, thiserror::Error)]
#[error("the model could not run a batch")]
pub struct RunError(#[source] pub Box<dyn Error + Send + Sync>);
