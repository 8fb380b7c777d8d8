//! An engine with its toy model, looked over after every step.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use engine::{
    Batch, Engine, EngineConfig, Event, FinishReason, ModelRunner, ModelShape, Request, Row,
    SampleContext, Sampled, Sampler, SamplingParams, SequenceId, TokenId, Usage,
};

use types::Priority;

use crate::toy::{Toy, VOCAB, logits_after};

/// Roomy enough that nothing is ever tight.
pub(crate) const ROOMY: EngineConfig = EngineConfig {
    vocab: VOCAB,
    kv_blocks: 100,
    max_sequences: 16,
    max_batch_tokens: 256,
    max_queue: 100,
    max_model_len: 2000,
    prefix_cache: true,
};

pub(crate) struct Stage {
    pub(crate) engine: Engine,
    toy: Toy,
    sampler: Sampler,
    config: EngineConfig,
    pub(crate) said: BTreeMap<SequenceId, Vec<TokenId>>,
    pub(crate) finished: BTreeMap<SequenceId, (FinishReason, Usage)>,
    /// The class of each sequence.
    pub(crate) classes: BTreeMap<SequenceId, Priority>,
    /// Those with a next token to run: nothing but a preemption may keep them from it.
    decoding: BTreeSet<SequenceId>,
}

impl Stage {
    pub(crate) fn new(config: EngineConfig) -> Self {
        let toy = Toy::new(ModelShape {
            vocab: config.vocab,
            max_positions: config.max_model_len,
            kv_blocks: config.kv_blocks,
            max_batch_tokens: config.max_batch_tokens,
            max_sequences: config.max_sequences,
        });
        Self {
            engine: Engine::new(config),
            toy,
            sampler: Sampler::new(),
            config,
            said: BTreeMap::new(),
            finished: BTreeMap::new(),
            classes: BTreeMap::new(),
            decoding: BTreeSet::new(),
        }
    }

    pub(crate) fn add(&mut self, request: Request) -> SequenceId {
        let priority = request.priority;
        let id = self.engine.add(request).unwrap();
        self.classes.insert(id, priority);
        id
    }

    /// Decides a step, and looks whether it keeps what is promised.
    pub(crate) fn schedule(&mut self) -> Option<Batch> {
        let preemptions = self.engine.stats().preemptions;
        let batch = self.engine.schedule();
        self.engine.integrity().unwrap();
        let stats = self.engine.stats();
        assert!(stats.waiting <= self.config.max_queue + self.config.max_sequences);
        assert!(stats.running <= self.config.max_sequences);
        if batch.is_none() {
            assert_eq!((stats.running, stats.waiting), (0, 0), "somebody is forgotten");
        }
        let chunks = batch.iter().flat_map(|batch| &batch.chunks);
        let runs: BTreeSet<_> = chunks.map(|chunk| chunk.sequence).collect();
        if stats.preemptions == preemptions {
            assert!(self.decoding.is_subset(&runs), "{:?} {runs:?}", self.decoding);
        } else {
            let seat = |id| (Reverse(self.classes.get(id).copied().unwrap_or_default()), *id);
            let lost = self.decoding.difference(&runs).map(seat).min();
            assert!(lost.is_none_or(|lost| runs.iter().all(|id| seat(id) < lost)), "{lost:?}");
            self.decoding.retain(|id| runs.contains(id));
        }
        batch
    }

    /// Runs a batch and takes it in.
    pub(crate) fn run(&mut self, batch: &Batch) {
        let output = self.toy.run(batch).unwrap();
        let mut sampled = Vec::new();
        for (chunk, row) in batch.chunks.iter().zip(output.rows) {
            sampled.push(match row {
                Row::Nothing | Row::NotANumber => None,
                Row::Argmax(token) => Some(token.into()),
                Row::Logits(logits) => {
                    let context = self.engine.context(chunk.sequence, None);
                    context.map(|context| self.sampler.sample(logits, &context).unwrap())
                }
            });
        }
        self.settle(batch, sampled);
    }

    pub(crate) fn settle(&mut self, batch: &Batch, sampled: Vec<Option<Sampled>>) {
        for event in self.engine.settle(batch, sampled) {
            match event {
                Event::Token { sequence, sampled } => {
                    self.said.entry(sequence).or_default().push(sampled.token);
                    self.decoding.insert(sequence);
                }
                Event::Finished { sequence, reason, usage } => {
                    self.decoding.remove(&sequence);
                    assert_eq!(self.finished.insert(sequence, (reason, usage)), None);
                }
            }
        }
        self.engine.integrity().unwrap();
    }

    pub(crate) fn abort(&mut self, id: SequenceId) -> Option<Usage> {
        self.decoding.remove(&id);
        let usage = self.engine.abort(id);
        self.engine.integrity().unwrap();
        usage
    }

    /// One step; `None` if there was nothing to run.
    pub(crate) fn step(&mut self) -> Option<Batch> {
        let batch = self.schedule()?;
        self.run(&batch);
        Some(batch)
    }

    /// Runs until everything has ended, and tells each step.
    pub(crate) fn run_dry(&mut self) -> Vec<Batch> {
        let batches: Vec<_> = std::iter::from_fn(|| self.step()).take(20_000).collect();
        let stats = self.engine.stats();
        assert_eq!((stats.running, stats.waiting, stats.kv_blocks_used), (0, 0, 0));
        batches
    }

    pub(crate) fn said(&self, id: SequenceId) -> &[TokenId] {
        self.said.get(&id).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn usage(&self, id: SequenceId) -> Usage {
        self.finished[&id].1
    }
}

/// A prompt of so many tokens, unlike those of other seeds from the first token on.
pub(crate) fn prompt(seed: u32, tokens: u32) -> Vec<TokenId> {
    (0..tokens).map(|i| (seed + i * i * (seed + 1)) % VOCAB as u32).collect()
}

/// Always the likeliest token, so many of them.
pub(crate) fn greedy(prompt: Vec<TokenId>, max_tokens: usize) -> Request {
    Request { prompt, max_tokens, sampling: SamplingParams::greedy(), ..Request::default() }
}

/// What a request says when it is alone, there are no blocks, and nothing is cached.
pub(crate) fn alone(request: &Request) -> (Vec<TokenId>, FinishReason) {
    let (mut tokens, mut said) = (request.prompt.clone(), Vec::new());
    loop {
        let context = SampleContext {
            params: &request.sampling,
            prompt: &request.prompt,
            output: &said,
            mask: None,
        };
        let mut logits = logits_after(&tokens);
        let token = Sampler::new().sample(&mut logits, &context).unwrap().token;
        if request.stop_tokens.contains(&token) {
            return (said, FinishReason::Stop(token));
        }
        said.push(token);
        tokens.push(token);
        if said.len() == request.max_tokens {
            return (said, FinishReason::Length);
        }
    }
}
