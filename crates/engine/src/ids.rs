//! Tokens, sequences, KV blocks.

use std::fmt;

/// A number of the model's vocabulary.
pub type TokenId = u32;

/// Tokens whose keys and values lie in one KV block.
pub const BLOCK_TOKENS: usize = 32;

/// One generation: a prompt and what was generated after it. Rises with arrival and is never used
/// twice in one engine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SequenceId(u64);

impl SequenceId {
    /// For tests of what is built on the engine; the engine counts by itself.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The bare number, for logs and for an order of arrival.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for SequenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seq_{}", self.0)
    }
}

impl fmt::Display for SequenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Where the keys and values of [`BLOCK_TOKENS`] positions lie, in every layer at the same number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockId(u32);

impl BlockId {
    /// For tests of runners; the engine hands out those below `kv_blocks`.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its place in the KV memory, in blocks.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Debug for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block_{}", self.0)
    }
}

/// Blocks that hold the keys and values of so many tokens.
pub const fn blocks_for(tokens: usize) -> usize {
    tokens.div_ceil(BLOCK_TOKENS)
}
