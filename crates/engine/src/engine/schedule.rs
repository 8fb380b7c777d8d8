//! Who takes part in a step, with which blocks.

use policy::fair::COST_ONE;

use super::{Engine, plan::Plan};
use crate::{
    blocks::Hits,
    ids::{SequenceId, blocks_for},
    sequence::State,
};

impl Engine {
    /// Lets those that run go on: first the decode rows, so that no prompt delays them, then
    /// prompts. These go in the order in which they began, whatever their class: it was their
    /// turn, and a flood of urgent ones must not stop them half-way.
    pub(super) fn go_on(&mut self, plan: &mut Plan) {
        let running = self.running.iter().filter_map(|seat| self.sequences.get(&seat.sequence));
        let (decoding, mut prompts): (Vec<_>, Vec<_>) = running
            .map(|sequence| (sequence.began, sequence.id, sequence.uncomputed()))
            .partition(|&(.., uncomputed)| uncomputed == 1);
        prompts.sort_unstable();
        for (_, id, _) in decoding.into_iter().chain(prompts) {
            self.share(id, plan);
        }
    }

    /// Begins those whose turn it is, while there are places, blocks and budget. Who does not
    /// fit is waited for: nobody overtakes it, or it might wait for ever.
    pub(super) fn begin_waiting(&mut self, plan: &mut Plan) {
        let mut spare = self.spare_blocks();
        while plan.has_room() && self.running.len() < self.config.max_sequences {
            let Some(id) = self.order.peek().map(SequenceId::new) else { return };
            let Some((hits, blocks)) = self.fitting(id, spare) else { return };
            self.order.pop();
            self.begin(id, hits);
            self.share(id, plan);
            spare = spare.saturating_sub(blocks + 1);
        }
    }

    /// Gives what is left of the budget to the prompts that were cut short, as far as free blocks
    /// go.
    pub(super) fn top_up(&mut self, plan: &mut Plan) {
        let Self { sequences, pool, .. } = self;
        plan.top_up(|id, tokens| {
            let Some(sequence) = sequences.get_mut(&id) else { return 0 };
            let end = sequence.computed + tokens;
            while sequence.table.len() < blocks_for(end) && sequence.table.grow(pool) {}
            end.min(sequence.table.capacity()) - sequence.computed
        });
    }

    /// Lets a sequence wait for its turn.
    pub(super) fn wait(&mut self, id: SequenceId) {
        let Some(sequence) = self.sequences.get_mut(&id) else { return };
        sequence.state = State::Waits;
        // Who was preempted has had its turn, and pays nothing for another.
        let cost = match sequence.cached_tokens {
            None => sequence.tokens.len() as u64,
            Some(_) => COST_ONE,
        };
        let request = &sequence.request;
        self.order.push(request.priority, request.tenant.clone(), id.number(), cost);
    }

    /// Gives a running sequence its share of the budget, and the blocks for it.
    fn share(&mut self, id: SequenceId, plan: &mut Plan) {
        // It may have been preempted for one before it.
        let Some(sequence) = self.sequences.get(&id).filter(|it| it.state == State::Runs) else {
            return;
        };
        let wanted = sequence.uncomputed();
        let tokens = plan.offer(wanted);
        if tokens > 0 && self.make_room(id, sequence.computed + tokens, plan) {
            plan.add(id, tokens, wanted);
        }
    }

    /// Takes the blocks that a sequence needs up to this position, if need be from the lowest and
    /// youngest that runs. False if that is itself.
    fn make_room(&mut self, id: SequenceId, end: usize, plan: &mut Plan) -> bool {
        while let Some(sequence) = self.sequences.get_mut(&id) {
            if sequence.table.len() >= blocks_for(end) {
                return true;
            }
            if sequence.table.grow(&mut self.pool) {
                continue;
            }
            let Some(victim) = self.running.last().map(|seat| seat.sequence) else { break };
            self.preempt(victim, plan);
            if victim == id {
                break;
            }
        }
        false
    }

    /// Takes all blocks of a sequence. It keeps its tokens and is computed again later, as far as
    /// the cache has forgotten it by then.
    fn preempt(&mut self, id: SequenceId, plan: &mut Plan) {
        plan.drop(id);
        plan.preempted = true;
        self.preemptions += 1;
        if let Some(sequence) = self.sequences.get_mut(&id) {
            self.running.remove(&sequence.seat());
            sequence.table.clear(&mut self.pool);
            sequence.computed = 0;
        }
        self.wait(id);
    }

    /// Free blocks that nobody who runs will need soon: for the rest of its prompt, and one for
    /// its next tokens. Who begins without them would soon be preempted.
    fn spare_blocks(&self) -> usize {
        let claimed = |seat: &super::Seat| {
            let sequence = self.sequences.get(&seat.sequence)?;
            Some(blocks_for(sequence.tokens.len()).saturating_sub(sequence.table.len()) + 1)
        };
        let claimed = self.running.iter().filter_map(claimed).sum();
        self.pool.free().saturating_sub(claimed)
    }

    /// What the cache holds of a sequence, and the free blocks that it takes, if there are so
    /// many to spare.
    fn fitting(&mut self, id: SequenceId, spare: usize) -> Option<(Hits, usize)> {
        let sequence = self.sequences.get_mut(&id)?;
        if spare < sequence.lacked {
            return None;
        }
        // At least the last token is run, for its logits.
        let sought = if self.config.prefix_cache { sequence.tokens.len() - 1 } else { 0 };
        let hits = self.pool.find(&sequence.tokens[..sought]);
        let blocks = blocks_for(sequence.tokens.len()) - hits.blocks.len() + hits.idle;
        if blocks <= spare {
            return Some((hits, blocks));
        }
        sequence.lacked = blocks;
        None
    }

    fn begin(&mut self, id: SequenceId, hits: Hits) {
        let Some(sequence) = self.sequences.get_mut(&id) else { return };
        self.begun += 1;
        sequence.began = self.begun;
        sequence.state = State::Runs;
        sequence.lacked = 0;
        sequence.table.begin(hits, &mut self.pool);
        sequence.computed = sequence.table.capacity();
        if sequence.cached_tokens.is_none() {
            sequence.cached_tokens = Some(sequence.computed);
            self.prefix_lookup_tokens += sequence.tokens.len() as u64;
            self.prefix_hit_tokens += sequence.computed as u64;
        }
        self.running.insert(sequence.seat());
    }
}
