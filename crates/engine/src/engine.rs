//! Continuous batching: what runs in each step.
//!
//! One step is [`Engine::schedule`] → [`ModelRunner::run`](crate::ModelRunner::run) →
//! [`Engine::settle`]. Between steps requests are added and aborted.

mod config;
mod integrity;
mod plan;
mod schedule;

use std::collections::{BTreeMap, BTreeSet};

use policy::order::Order;

pub use self::config::EngineConfig;
use self::plan::Plan;
use crate::{
    blocks::BlockPool,
    ids::{BLOCK_TOKENS, SequenceId},
    request::{Event, Refused, Request, Usage},
    runner::{Batch, Output},
    sampler::{SampleContext, Sampled, TokenMask},
    sequence::{Seat, Sequence, State},
};

/// Tokens of prompts that a turn of one tenant is worth; about one usual prompt.
const TURN_TOKENS: u64 = 512;

/// All sequences of one model, and the KV blocks that they share.
#[derive(Debug)]
pub struct Engine {
    config: EngineConfig,
    sequences: BTreeMap<SequenceId, Sequence>,
    /// Those that run, the first to be preempted last.
    running: BTreeSet<Seat>,
    /// Those that wait for their turn.
    order: Order,
    pool: BlockPool,
    sequence_next: u64,
    begun: u64,
    prefix_lookup_tokens: u64,
    prefix_hit_tokens: u64,
    preemptions: u64,
}

/// What an engine holds now, and what it counted since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Sequences that take part in steps.
    pub running: usize,
    /// Sequences that wait, preempted ones too.
    pub waiting: usize,
    /// KV blocks that sequences hold.
    pub kv_blocks_used: usize,
    /// KV blocks that nobody holds and that are kept for their prefix.
    pub kv_blocks_cached: usize,
    /// KV blocks that exist.
    pub kv_blocks: usize,
    /// Tokens of all prompts that began.
    pub prefix_lookup_tokens: u64,
    /// Those of them that came from the prefix cache.
    pub prefix_hit_tokens: u64,
    /// How often a sequence lost its blocks to another, to be computed again later.
    pub preemptions: u64,
}

impl Engine {
    /// An engine without sequences, for a model with these bounds.
    pub fn new(config: EngineConfig) -> Self {
        let config = config.usable();
        Self {
            config,
            sequences: BTreeMap::new(),
            running: BTreeSet::new(),
            order: Order::new(TURN_TOKENS),
            pool: BlockPool::new(u32::try_from(config.kv_blocks).unwrap_or(u32::MAX)),
            sequence_next: 0,
            begun: 0,
            prefix_lookup_tokens: 0,
            prefix_hit_tokens: 0,
            preemptions: 0,
        }
    }

    /// Lets a request wait for its turn.
    ///
    /// # Errors
    /// [`Refused`] if it can never run, or too many wait.
    pub fn add(&mut self, request: Request) -> Result<SequenceId, Refused> {
        self.admit_to_queue(&request, 1)?;
        Ok(self.enqueue(request, None))
    }

    /// Lets `n` choices for one prompt wait, all or none. Each draws with a seed of its own,
    /// counted up from the request's. All but the first wait until the prompt is computed, and
    /// then share its blocks.
    ///
    /// # Errors
    /// [`Refused`] if they can never run, or too many wait.
    pub fn add_choices(&mut self, request: &Request, n: usize) -> Result<Vec<SequenceId>, Refused> {
        self.admit_to_queue(request, n)?;
        let mut choices = Vec::with_capacity(n);
        for choice in 0..n as u64 {
            let mut request = request.clone();
            request.sampling.seed = request.sampling.seed.wrapping_add(choice);
            choices.push(self.enqueue(request, choices.first().copied()));
        }
        Ok(choices)
    }

    /// Ends a sequence now; its blocks are free at once, and no event follows. `None` if it has
    /// ended already. It may be called between `schedule` and `settle`.
    pub fn abort(&mut self, id: SequenceId) -> Option<Usage> {
        let sequence = self.sequences.get(&id)?;
        match sequence.state {
            State::Runs => {}
            State::Waits => {
                let Request { priority, tenant, .. } = &sequence.request;
                self.order.remove(*priority, tenant, id.number());
            }
            State::Follows(leader) => {
                if let Some(leader) = self.sequences.get_mut(&leader) {
                    leader.followers.retain(|&follower| follower != id);
                }
            }
        }
        self.remove(id)
    }

    /// Decides what the next step runs; `None` if there is nothing to run. Until [`Self::settle`]
    /// nothing of it counts as done.
    ///
    /// Decode rows go first. What they leave of the budget goes to prompts, in as many steps as
    /// each needs: to those that have begun, in that order, then to those whose turn it is, by
    /// class and fairly among tenants.
    pub fn schedule(&mut self) -> Option<Batch> {
        let mut plan = Plan::new(self.config.max_batch_tokens);
        self.go_on(&mut plan);
        if !plan.preempted {
            self.begin_waiting(&mut plan);
        }
        self.top_up(&mut plan);
        let chunk =
            |share: &plan::Share| Some(self.sequences.get(&share.sequence)?.chunk(share.tokens));
        let chunks: Vec<_> = plan.shares.iter().filter_map(chunk).collect();
        (!chunks.is_empty()).then_some(Batch { chunks })
    }

    /// What the sampler needs to know of a sequence. `None` if it has ended.
    pub fn context<'a>(
        &'a self,
        id: SequenceId,
        mask: Option<TokenMask<'a>>,
    ) -> Option<SampleContext<'a>> {
        let sequence = self.sequences.get(&id)?;
        let (prompt, output) = (sequence.prompt(), sequence.output());
        Some(SampleContext { params: sequence.params(), prompt, output, mask })
    }

    /// Takes in what a batch has run: one entry per chunk, with the token chosen where the chunk
    /// asked for output. A chunk that lacks its token runs again; chunks of sequences that ended
    /// meanwhile are ignored.
    pub fn settle(&mut self, batch: &Batch, sampled: Vec<Option<Sampled>>) -> Vec<Event> {
        let mut events = Vec::with_capacity(batch.chunks.len());
        for (chunk, sampled) in batch.chunks.iter().zip(sampled) {
            let sampled = match chunk.output {
                Output::Nothing => None,
                Output::Argmax | Output::Logits if sampled.is_none() => continue,
                Output::Argmax | Output::Logits => sampled,
            };
            let Some(sequence) = self.sequences.get_mut(&chunk.sequence) else { continue };
            if !sequence.awaits(chunk) {
                continue;
            }
            sequence.computed += chunk.tokens.len();
            if self.config.prefix_cache {
                sequence.table.publish(&sequence.tokens[..sequence.computed], &mut self.pool);
            }
            if let Some(sampled) = sampled {
                self.append(chunk.sequence, sampled, &mut events);
            }
        }
        events
    }

    /// What it holds and has counted.
    pub fn stats(&self) -> Stats {
        Stats {
            running: self.running.len(),
            waiting: self.waiting(),
            kv_blocks_used: self.pool.len() - self.pool.free(),
            kv_blocks_cached: self.pool.idle(),
            kv_blocks: self.pool.len(),
            prefix_lookup_tokens: self.prefix_lookup_tokens,
            prefix_hit_tokens: self.prefix_hit_tokens,
            preemptions: self.preemptions,
        }
    }

    fn waiting(&self) -> usize {
        self.sequences.len() - self.running.len()
    }

    fn admit_to_queue(&self, request: &Request, n: usize) -> Result<(), Refused> {
        self.config.check(request)?;
        let (waiting, max_queue) = (self.waiting(), self.config.max_queue);
        if waiting.saturating_add(n) > max_queue {
            return Err(Refused::QueueFull { waiting, max_queue });
        }
        Ok(())
    }

    fn enqueue(&mut self, request: Request, leader: Option<SequenceId>) -> SequenceId {
        let id = SequenceId::new(self.sequence_next);
        self.sequence_next += 1;
        // Only whole blocks are shared, and never that of the last token.
        let shares = self.config.prefix_cache && request.prompt.len() > BLOCK_TOKENS;
        let leader = leader.filter(|_| shares).and_then(|leader| self.sequences.get_mut(&leader));
        let state = match leader {
            None => State::Waits,
            Some(leader) => {
                leader.followers.push(id);
                State::Follows(leader.id)
            }
        };
        let sequence = Sequence::new(id, state, request, self.config.context_max());
        self.sequences.insert(id, sequence);
        if state == State::Waits {
            self.wait(id);
        }
        id
    }

    /// A sequence has its next token.
    fn append(&mut self, id: SequenceId, sampled: Sampled, events: &mut Vec<Event>) {
        let Some(sequence) = self.sequences.get_mut(&id) else { return };
        let finished = sequence.append(&sampled);
        // Its prompt is computed, so those that wait for it find it in the cache.
        for follower in std::mem::take(&mut sequence.followers) {
            self.wait(follower);
        }
        if !matches!(finished, Some(crate::FinishReason::Stop(_))) {
            events.push(Event::Token { sequence: id, sampled });
        }
        if let Some(reason) = finished
            && let Some(usage) = self.remove(id)
        {
            events.push(Event::Finished { sequence: id, reason, usage });
        }
    }

    /// Forgets a sequence. Of those that followed it, the first now computes the prompt.
    fn remove(&mut self, id: SequenceId) -> Option<Usage> {
        let mut sequence = self.sequences.remove(&id)?;
        self.running.remove(&sequence.seat());
        sequence.table.clear(&mut self.pool);
        let mut followers = std::mem::take(&mut sequence.followers).into_iter();
        if let Some(leader) = followers.next() {
            self.lead(leader, followers.collect());
        }
        Some(sequence.usage())
    }

    fn lead(&mut self, id: SequenceId, followers: Vec<SequenceId>) {
        for follower in &followers {
            if let Some(follower) = self.sequences.get_mut(follower) {
                follower.state = State::Follows(id);
            }
        }
        if let Some(leader) = self.sequences.get_mut(&id) {
            leader.followers = followers;
        }
        self.wait(id);
    }
}
