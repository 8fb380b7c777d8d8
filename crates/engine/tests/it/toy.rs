//! A model whose every logit depends on every token before it, as it reads them from KV memory.

use std::collections::BTreeSet;

use engine::{
    BLOCK_TOKENS, Batch, BlockId, Chunk, ModelRunner, ModelShape, Output, Row, RunError, RunOutput,
    TokenId,
};

pub(crate) const VOCAB: usize = 40;

/// A wrong block table, a shared block that was overwritten, or a prefix taken for another: each
/// changes what it reads, and so what it says.
pub(crate) struct Toy {
    shape: ModelShape,
    /// For each slot what was written last: a position and its token.
    slots: Vec<Option<(usize, TokenId)>>,
    logits: Vec<f32>,
}

impl Toy {
    pub(crate) fn new(shape: ModelShape) -> Self {
        let slots = vec![None; shape.kv_blocks * BLOCK_TOKENS];
        Self { shape, slots, logits: Vec::new() }
    }

    fn slot(chunk: &Chunk, position: usize) -> usize {
        chunk.blocks[position / BLOCK_TOKENS].index() * BLOCK_TOKENS + position % BLOCK_TOKENS
    }

    /// What attention sees: the tokens up to and with the last of the chunk.
    fn history(&self, chunk: &Chunk) -> Vec<TokenId> {
        let read = |position| match self.slots[Self::slot(chunk, position)] {
            Some((at, token)) if at == position => token,
            found => panic!("{chunk:?} finds {found:?} at position {position}"),
        };
        (0..chunk.position + chunk.tokens.len()).map(read).collect()
    }
}

impl ModelRunner for Toy {
    fn shape(&self) -> ModelShape {
        self.shape
    }

    fn run(&mut self, batch: &Batch) -> Result<RunOutput<'_>, RunError> {
        check(batch, self.shape);
        for chunk in &batch.chunks {
            for (position, &token) in (chunk.position..).zip(&chunk.tokens) {
                self.slots[Self::slot(chunk, position)] = Some((position, token));
            }
        }
        self.logits =
            batch.chunks.iter().flat_map(|chunk| logits_after(&self.history(chunk))).collect();
        let rows = batch.chunks.iter().zip(self.logits.chunks_exact_mut(VOCAB));
        let rows = rows.map(|(chunk, logits)| match chunk.output {
            Output::Nothing => Row::Nothing,
            Output::Argmax => Row::Argmax(argmax(logits)),
            Output::Logits => Row::Logits(logits),
        });
        Ok(RunOutput { rows: rows.collect() })
    }
}

/// The logits after these tokens: small multiples of a quarter, so that ties happen.
pub(crate) fn logits_after(tokens: &[TokenId]) -> [f32; VOCAB] {
    let mut state = tokens.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &token| {
        (hash ^ u64::from(token)).wrapping_mul(0x0100_0000_01b3).rotate_left(23)
    });
    std::array::from_fn(|_| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        f32::from((state >> 59) as u8) / 4.0
    })
}

fn argmax(logits: &[f32]) -> TokenId {
    let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    logits.iter().position(|&logit| logit == best).unwrap() as TokenId
}

/// What every batch promises to its runner.
fn check(batch: &Batch, shape: ModelShape) {
    assert!(!batch.chunks.is_empty());
    assert!(batch.chunks.len() <= shape.max_sequences, "{} chunks", batch.chunks.len());
    assert!(batch.tokens() <= shape.max_batch_tokens, "{} tokens", batch.tokens());
    let first_prompt = batch.chunks.iter().position(|chunk| chunk.tokens.len() > 1);
    let prompts = &batch.chunks[first_prompt.unwrap_or(batch.chunks.len())..];
    let late =
        prompts.iter().find(|chunk| chunk.tokens.len() == 1 && chunk.output != Output::Nothing);
    if let Some(chunk) = late {
        // The end of a prompt may be one token long; a decode row never comes behind a prompt.
        assert_eq!(chunk.position % BLOCK_TOKENS, 0, "{chunk:?} is late");
    }
    let mut sequences = BTreeSet::new();
    for chunk in &batch.chunks {
        assert!(sequences.insert(chunk.sequence), "{} is there twice", chunk.sequence);
        assert!(!chunk.tokens.is_empty());
        let end = chunk.position + chunk.tokens.len();
        assert!(end <= shape.max_positions && end <= chunk.blocks.len() * BLOCK_TOKENS);
        assert_eq!(distinct(&chunk.blocks), chunk.blocks.len(), "{chunk:?}");
        let written = &chunk.blocks[chunk.position / BLOCK_TOKENS..];
        for other in batch.chunks.iter().filter(|other| other.sequence != chunk.sequence) {
            let seen = other.blocks.iter().find(|block| written.contains(block));
            assert_eq!(seen, None, "{} writes what {} reads", chunk.sequence, other.sequence);
        }
    }
}

fn distinct(blocks: &[BlockId]) -> usize {
    blocks.iter().collect::<BTreeSet<_>>().len()
}
