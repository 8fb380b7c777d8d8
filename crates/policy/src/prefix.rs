//! Which replica has seen the beginning of a prompt before.
//!
//! An engine keeps keys and values of prompts that it has run. A conversation whose next turn comes
//! to the same replica pays only for what is new. The gateway does not tokenise: it remembers where
//! it sent the bytes that a prompt begins with.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use types::WorkerId;

/// Bytes in one piece of a prompt: some 64 tokens, two KV blocks.
const PIECE_BYTES: usize = 256;

/// Pieces that are looked at. Prompts that are equal for 64 KiB go to the same place.
const PIECES_MAX: usize = 256;

/// Beginnings that are remembered in each of two generations: about 4 MB a model.
const REMEMBERED_MAX: usize = 65_536;

/// What a prompt begins with: for each of its pieces a hash of everything up to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prefix(Option<Arc<[u64]>>);

impl Prefix {
    /// The beginnings of a prompt, shortest first. A prompt below one piece has none.
    pub fn of(prompt: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        let pieces = prompt.chunks_exact(PIECE_BYTES).take(PIECES_MAX);
        let hashes: Arc<[u64]> = pieces
            .map(|piece| {
                piece.hash(&mut hasher);
                hasher.finish()
            })
            .collect();
        Self((!hashes.is_empty()).then_some(hashes))
    }

    fn hashes(&self) -> &[u64] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// Where beginnings went. Bounded: what was not asked for while [`REMEMBERED_MAX`] others came is
/// forgotten.
#[derive(Debug, Default)]
pub(crate) struct PrefixMemory {
    young: HashMap<u64, WorkerId>,
    old: HashMap<u64, WorkerId>,
}

impl PrefixMemory {
    /// Replicas that have seen a beginning of it, the one with the longest first.
    pub(crate) fn holders<'a>(&'a self, prefix: &'a Prefix) -> impl Iterator<Item = WorkerId> + 'a {
        let longest_first = prefix.hashes().iter().rev();
        longest_first
            .filter_map(|hash| self.young.get(hash).or_else(|| self.old.get(hash)).copied())
    }

    /// It goes there now.
    pub(crate) fn remember(&mut self, prefix: &Prefix, replica: WorkerId) {
        for &hash in prefix.hashes() {
            if self.young.len() >= REMEMBERED_MAX {
                self.old = std::mem::take(&mut self.young);
            }
            self.young.insert(hash, replica);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: WorkerId = WorkerId::new(uuid::Uuid::from_u128(1));
    const TWO: WorkerId = WorkerId::new(uuid::Uuid::from_u128(2));

    #[test]
    fn the_longest_common_beginning_comes_first() {
        let mut memory = PrefixMemory::default();
        let short = [b'a'; PIECE_BYTES];
        let long = [&short[..], &[b'b'; PIECE_BYTES]].concat();
        memory.remember(&Prefix::of(&short), ONE);
        memory.remember(&Prefix(Some([*Prefix::of(&long).hashes().last().unwrap()].into())), TWO);
        let next_turn = [&long[..], b"and more"].concat();
        let asked = Prefix::of(&next_turn);
        assert_eq!(memory.holders(&asked).collect::<Vec<_>>(), [TWO, ONE]);
    }

    #[test]
    fn what_differs_early_shares_nothing() {
        let mut memory = PrefixMemory::default();
        memory.remember(&Prefix::of(&[b'a'; 600]), ONE);
        let mut other = [b'a'; 600];
        other[0] = b'b';
        assert_eq!(memory.holders(&Prefix::of(&other)).next(), None);
        assert_eq!(memory.holders(&Prefix::of(b"too short")).next(), None);
    }

    #[test]
    fn memory_is_bounded_and_forgets_the_oldest() {
        let mut memory = PrefixMemory::default();
        let prompt = |n: usize| [n.to_le_bytes().repeat(PIECE_BYTES / 8)].concat();
        for n in 0..3 * REMEMBERED_MAX {
            memory.remember(&Prefix::of(&prompt(n)), ONE);
        }
        assert!(memory.young.len() + memory.old.len() <= 2 * REMEMBERED_MAX);
        assert_eq!(memory.holders(&Prefix::of(&prompt(0))).next(), None);
        assert_eq!(memory.holders(&Prefix::of(&prompt(3 * REMEMBERED_MAX - 1))).next(), Some(ONE));
    }
}
