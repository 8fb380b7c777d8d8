//! How the token budget of one step is shared.

use crate::ids::{BLOCK_TOKENS, SequenceId};

/// What one sequence gets of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) sequence: SequenceId,
    pub(super) tokens: usize,
    /// What it could use.
    wanted: usize,
}

/// The shares so far, decode rows first.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) shares: Vec<Share>,
    left: usize,
    /// Somebody lost its blocks: nobody new begins in this step.
    pub(super) preempted: bool,
}

impl Plan {
    pub(super) const fn new(budget: usize) -> Self {
        Self { shares: Vec::new(), left: budget, preempted: false }
    }

    pub(super) const fn has_room(&self) -> bool {
        self.left > 0
    }

    /// What the next in turn may have. A prompt that cannot be done within this step leaves half
    /// of the budget to those behind it, so that a long one does not block short ones; unless
    /// that is less than a block, for crumbs cost more than they bring.
    pub(super) const fn offer(&self, wanted: usize) -> usize {
        let half = self.left / 2;
        if wanted <= self.left {
            wanted
        } else if half < BLOCK_TOKENS {
            self.left
        } else {
            self.left - half
        }
    }

    pub(super) fn add(&mut self, sequence: SequenceId, tokens: usize, wanted: usize) {
        self.left -= tokens;
        self.shares.push(Share { sequence, tokens, wanted });
    }

    /// Takes a share back.
    pub(super) fn drop(&mut self, sequence: SequenceId) {
        if let Some(index) = self.shares.iter().position(|share| share.sequence == sequence) {
            self.left += self.shares.remove(index).tokens;
        }
    }

    /// What is left over goes to the prompts that were cut short; first to the last, for those
    /// before it had more.
    /// `room`: how far a sequence can have so many tokens.
    pub(super) fn top_up(&mut self, mut room: impl FnMut(SequenceId, usize) -> usize) {
        for share in self.shares.iter_mut().rev() {
            if self.left == 0 {
                return;
            }
            let more = (share.wanted - share.tokens).min(self.left);
            if more > 0 {
                let tokens = room(share.sequence, share.tokens + more).max(share.tokens);
                self.left -= tokens - share.tokens;
                share.tokens = tokens;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shares a budget among sequences that want so much, in their order.
    fn shared(budget: usize, wanted: &[usize]) -> Vec<usize> {
        let mut plan = Plan::new(budget);
        for (number, &wanted) in (0..).zip(wanted) {
            plan.add(SequenceId::new(number), plan.offer(wanted), wanted);
        }
        plan.top_up(|_, tokens| tokens);
        plan.shares.iter().map(|share| share.tokens).collect()
    }

    #[test]
    fn what_fits_is_given_in_order() {
        assert_eq!(shared(512, &[1, 1, 100, 400, 30]), [1, 1, 100, 400, 10]);
    }

    #[test]
    fn a_long_prompt_leaves_room_for_short_ones_behind_it() {
        assert_eq!(shared(512, &[4000, 100, 100]), [312, 100, 100]);
    }

    #[test]
    fn a_long_prompt_alone_has_everything() {
        assert_eq!(shared(512, &[1, 4000]), [1, 511]);
    }

    #[test]
    fn of_long_prompts_each_has_half_of_what_is_left() {
        assert_eq!(shared(512, &[4000, 4000]), [256, 256]);
        assert_eq!(shared(512, &[4000, 4000, 4000]), [256, 128, 128]);
        assert_eq!(shared(128, &[4000, 4000, 4000, 4000]), [64, 32, 32, 0]);
    }

    #[test]
    fn what_is_taken_back_can_be_given_again() {
        let mut plan = Plan::new(8);
        plan.add(SequenceId::new(1), 8, 8);
        assert!(!plan.has_room());
        plan.drop(SequenceId::new(1));
        assert_eq!((plan.offer(8), plan.shares.len()), (8, 0));
    }
}
