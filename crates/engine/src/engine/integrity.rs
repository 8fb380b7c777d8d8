//! Looks over everything an engine holds. For tests: it takes time in proportion.

use super::Engine;
use crate::{ids::blocks_for, sequence::State};

impl Engine {
    /// Whether blocks, sequences and places agree with each other; the sentence says what does not.
    ///
    /// # Errors
    /// The first contradiction found.
    #[doc(hidden)]
    pub fn integrity(&self) -> Result<(), String> {
        let held = self.sequences.values().flat_map(|sequence| sequence.table.blocks().iter());
        self.pool.integrity(held.copied())?;
        for (id, sequence) in &self.sequences {
            let runs = sequence.state == State::Runs;
            if runs != self.running.contains(&sequence.seat()) {
                return Err(format!("{id} is {:?}, and its place says otherwise", sequence.state));
            }
            if !runs && (sequence.table.len() > 0 || sequence.computed > 0) {
                return Err(format!("{id} waits and holds blocks"));
            }
            if sequence.table.len() < blocks_for(sequence.computed) {
                return Err(format!("{id} has computed more than its blocks hold"));
            }
            if sequence.computed >= sequence.tokens.len() {
                return Err(format!("{id} has nothing to run"));
            }
            for follower in &sequence.followers {
                if self.sequences.get(follower).map(|it| it.state) != Some(State::Follows(*id)) {
                    return Err(format!("{follower} does not follow {id}"));
                }
            }
            if let State::Follows(leader) = sequence.state
                && !self.sequences.get(&leader).is_some_and(|it| it.followers.contains(id))
            {
                return Err(format!("{id} follows {leader}, which does not know it"));
            }
        }
        if self.running.len() > self.config.max_sequences {
            return Err(format!("{} sequences run", self.running.len()));
        }
        Ok(())
    }
}
