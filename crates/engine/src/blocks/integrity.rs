//! Looks over all blocks: is each in exactly one place, and held as often as referred to?

use std::collections::HashMap;

use super::{BlockPool, PrefixId};
use crate::ids::BlockId;

impl BlockPool {
    /// `references`: the blocks of all sequences, each as often as it is referred to.
    pub(crate) fn integrity(
        &self,
        references: impl Iterator<Item = BlockId>,
    ) -> Result<(), String> {
        let mut holders = vec![0; self.blocks.len()];
        for id in references {
            *holders.get_mut(id.index()).ok_or_else(|| format!("{id:?} does not exist"))? += 1;
        }
        let mut places = vec![0; self.blocks.len()];
        for id in self.blank.iter().chain(self.idle.values()) {
            places[id.index()] += 1;
        }
        for (index, block) in self.blocks.iter().enumerate() {
            if block.holders != holders[index] {
                let counted = block.holders;
                return Err(format!(
                    "block {index}: {} refer to it, {counted} are counted",
                    holders[index]
                ));
            }
            if places[index] != u32::from(block.holders == 0) {
                return Err(format!(
                    "block {index} has {counted} holders and is {} times free",
                    places[index],
                    counted = block.holders
                ));
            }
        }
        if let Some(id) = self.blank.iter().find(|id| self.blocks[id.index()].cached.is_some()) {
            return Err(format!("{id:?} is blank and cached"));
        }
        self.chain_integrity()
    }

    /// Every cached block is found by its prefix, and nothing is kept longer than what it continues.
    fn chain_integrity(&self) -> Result<(), String> {
        let cached = || self.blocks.iter().enumerate().filter_map(|(i, b)| Some((i, b, b.cached?)));
        let by_prefix: HashMap<PrefixId, usize> = cached().map(|(i, _, c)| (c.prefix, i)).collect();
        if by_prefix.len() != self.by_prefix.len() {
            return Err(format!(
                "{} blocks are cached, {} are known",
                by_prefix.len(),
                self.by_prefix.len()
            ));
        }
        for (index, block, cached) in cached() {
            if self.by_prefix.get(&cached.key).is_none_or(|id| id.index() != index) {
                return Err(format!("block {index} is cached and not found by its prefix"));
            }
            if block.holders == 0
                && self.idle.get(&cached.idle_since).is_none_or(|id| id.index() != index)
            {
                return Err(format!("block {index} is cached, not held and not idle"));
            }
            if cached.key.before == PrefixId::EMPTY {
                continue;
            }
            let Some(&parent) = by_prefix.get(&cached.key.before) else {
                return Err(format!("block {index} outlives what it continues"));
            };
            let parent = &self.blocks[parent];
            let goes_first = match (parent.holders, parent.cached) {
                (0, Some(parent)) => block.holders == 0 && cached.idle_since < parent.idle_since,
                _ => true,
            };
            if !goes_first {
                return Err(format!("block {index} would be evicted after what it continues"));
            }
        }
        Ok(())
    }
}
