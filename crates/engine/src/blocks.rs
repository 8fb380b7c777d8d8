//! KV blocks: who holds them, which are free, and which hold a prefix that somebody may ask for.
//!
//! A block is *held* while a sequence refers to it. Released blocks that hold a known prefix stay
//! *idle* until they are needed, least recently used first; the others are *blank*.
//!
//! The cache is a chain: a block is found by the prefix before it and its own tokens. A prefix is
//! named by a number that is given once and never again, so two prefixes are never taken for one
//! another, as two hashes might be.

use std::collections::{BTreeMap, HashMap};

use crate::ids::{BLOCK_TOKENS, BlockId, TokenId};

/// The tokens from the beginning of a sequence up to the end of one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PrefixId(u64);

impl PrefixId {
    /// Nothing yet.
    pub(crate) const EMPTY: Self = Self(0);
}

/// What a block is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct PrefixKey {
    before: PrefixId,
    tokens: [TokenId; BLOCK_TOKENS],
}

impl PrefixKey {
    /// `None` unless there are exactly as many tokens as a block has.
    fn new(before: PrefixId, tokens: &[TokenId]) -> Option<Self> {
        Some(Self { before, tokens: tokens.try_into().ok()? })
    }
}

#[derive(Debug, Default)]
struct Block {
    /// Sequences that refer to it.
    holders: u32,
    cached: Option<Cached>,
}

#[derive(Debug, Clone, Copy)]
struct Cached {
    key: PrefixKey,
    prefix: PrefixId,
    /// Its key in [`BlockPool::idle`], while it is there.
    idle_since: u64,
}

/// The cached beginning of some tokens.
#[derive(Debug)]
pub(crate) struct Hits {
    pub(crate) blocks: Vec<BlockId>,
    pub(crate) prefix: PrefixId,
    /// Those of the blocks that nobody holds: they count as free until then.
    pub(crate) idle: usize,
}

/// All KV blocks of a model.
#[derive(Debug)]
pub(crate) struct BlockPool {
    blocks: Vec<Block>,
    blank: Vec<BlockId>,
    /// By the time of release, so that the first is the least recently used.
    idle: BTreeMap<u64, BlockId>,
    by_prefix: HashMap<PrefixKey, BlockId>,
    prefixes: u64,
    releases: u64,
}

impl BlockPool {
    pub(crate) fn new(blocks: u32) -> Self {
        Self {
            blocks: (0..blocks).map(|_| Block::default()).collect(),
            // Popped from the end: low numbers first.
            blank: (0..blocks).rev().map(BlockId::new).collect(),
            idle: BTreeMap::new(),
            by_prefix: HashMap::new(),
            prefixes: 0,
            releases: 0,
        }
    }

    /// Blocks that can be taken.
    pub(crate) fn free(&self) -> usize {
        self.blank.len() + self.idle.len()
    }

    /// Blocks that are free and hold a prefix.
    pub(crate) fn idle(&self) -> usize {
        self.idle.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// A block for one holder, its content forgotten. `None`: all are held.
    pub(crate) fn take(&mut self) -> Option<BlockId> {
        let id = match self.blank.pop() {
            Some(id) => id,
            None => self.idle.pop_first()?.1,
        };
        let block = self.blocks.get_mut(id.index())?;
        if let Some(cached) = block.cached.take() {
            self.by_prefix.remove(&cached.key);
        }
        block.holders = 1;
        Some(id)
    }

    /// One more holder of a block that was found by its prefix.
    pub(crate) fn hold(&mut self, id: BlockId) {
        let Some(block) = self.blocks.get_mut(id.index()) else { return };
        if block.holders == 0
            && let Some(cached) = block.cached
        {
            self.idle.remove(&cached.idle_since);
        }
        block.holders += 1;
    }

    /// One holder less. Release the last block of a sequence first: then a prefix is never
    /// evicted before what continues it.
    pub(crate) fn release(&mut self, id: BlockId) {
        let Some(block) = self.blocks.get_mut(id.index()) else { return };
        debug_assert!(block.holders > 0, "{id:?} is released more often than held");
        block.holders = block.holders.saturating_sub(1);
        if block.holders > 0 {
            return;
        }
        match &mut block.cached {
            None => self.blank.push(id),
            Some(cached) => {
                self.releases += 1;
                cached.idle_since = self.releases;
                self.idle.insert(self.releases, id);
            }
        }
    }

    /// The longest cached beginning of `tokens`, in whole blocks.
    pub(crate) fn find(&self, tokens: &[TokenId]) -> Hits {
        let mut hits = Hits { blocks: Vec::new(), prefix: PrefixId::EMPTY, idle: 0 };
        for tokens in tokens.chunks_exact(BLOCK_TOKENS) {
            let Some((id, block, cached)) = self.lookup(hits.prefix, tokens) else { break };
            hits.blocks.push(id);
            hits.prefix = cached.prefix;
            hits.idle += usize::from(block.holders == 0);
        }
        hits
    }

    /// Makes a filled block known by its prefix. If another block holds the same already, that
    /// one is held in its place and this one released; so of each prefix there is one block.
    pub(crate) fn publish(
        &mut self,
        before: PrefixId,
        tokens: &[TokenId],
        id: BlockId,
    ) -> (BlockId, PrefixId) {
        if let Some((known, _, cached)) = self.lookup(before, tokens) {
            if known != id {
                self.hold(known);
                self.release(id);
            }
            return (known, cached.prefix);
        }
        self.prefixes += 1;
        let prefix = PrefixId(self.prefixes);
        if let Some(block) = self.blocks.get_mut(id.index())
            && let Some(key) = PrefixKey::new(before, tokens)
        {
            block.cached = Some(Cached { key, prefix, idle_since: 0 });
            self.by_prefix.insert(key, id);
        }
        (id, prefix)
    }

    fn lookup(&self, before: PrefixId, tokens: &[TokenId]) -> Option<(BlockId, &Block, Cached)> {
        let id = *self.by_prefix.get(&PrefixKey::new(before, tokens)?)?;
        let block = self.blocks.get(id.index())?;
        Some((id, block, block.cached?))
    }
}

mod integrity;
#[cfg(test)]
mod tests;
