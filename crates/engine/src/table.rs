//! The block table of one sequence: where its keys and values lie.

use std::sync::Arc;

use crate::{
    blocks::{BlockPool, Hits, PrefixId},
    ids::{BLOCK_TOKENS, BlockId, TokenId},
};

/// Position p lies in `blocks[p / BLOCK_TOKENS]`.
#[derive(Debug)]
pub(crate) struct BlockTable {
    /// Shared with the batch that runs; changed only once that is gone.
    blocks: Arc<Vec<BlockId>>,
    /// The first so many are full, and known to the cache.
    published: usize,
    /// What those hold together.
    prefix: PrefixId,
}

impl BlockTable {
    pub(crate) fn new() -> Self {
        Self { blocks: Arc::default(), published: 0, prefix: PrefixId::EMPTY }
    }

    pub(crate) fn blocks(&self) -> &Arc<Vec<BlockId>> {
        &self.blocks
    }

    pub(crate) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Positions that lie in its blocks.
    pub(crate) fn capacity(&self) -> usize {
        self.blocks.len() * BLOCK_TOKENS
    }

    /// Begins an empty table with what is cached.
    pub(crate) fn begin(&mut self, hits: Hits, pool: &mut BlockPool) {
        debug_assert!(self.blocks.is_empty());
        hits.blocks.iter().for_each(|&block| pool.hold(block));
        self.published = hits.blocks.len();
        self.prefix = hits.prefix;
        self.blocks = Arc::new(hits.blocks);
    }

    /// Takes one more block; false if there is none.
    pub(crate) fn grow(&mut self, pool: &mut BlockPool) -> bool {
        let taken = pool.take();
        Arc::make_mut(&mut self.blocks).extend(taken);
        taken.is_some()
    }

    /// Lets others find the blocks that are full by now. `tokens`: those whose keys and values
    /// have been written.
    pub(crate) fn publish(&mut self, tokens: &[TokenId], pool: &mut BlockPool) {
        let full = tokens.chunks_exact(BLOCK_TOKENS).enumerate().skip(self.published);
        for (index, tokens) in full {
            let Some(&own) = self.blocks.get(index) else { break };
            let (known, prefix) = pool.publish(self.prefix, tokens, own);
            if known != own {
                Arc::make_mut(&mut self.blocks)[index] = known;
            }
            self.published = index + 1;
            self.prefix = prefix;
        }
    }

    /// Gives all blocks back.
    pub(crate) fn clear(&mut self, pool: &mut BlockPool) {
        self.blocks.iter().rev().for_each(|&block| pool.release(block));
        *self = Self::new();
    }
}
