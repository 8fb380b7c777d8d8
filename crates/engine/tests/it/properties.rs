//! What always holds: random requests in engines of every size, with accidents.

use std::collections::BTreeMap;

use engine::{EngineConfig, FinishReason, Refused, Request, SamplingParams, SequenceId, TokenId};
use proptest::prelude::*;
use types::Priority;

use crate::{
    stage::{ROOMY, Stage, alone, greedy, prompt},
    toy::VOCAB,
};

/// What happens next.
#[derive(Debug, Clone)]
enum Act {
    Add(Request, usize),
    Step,
    /// A step is decided, one that waits or runs is aborted, and then the step runs.
    AbortAmidst(usize),
    Abort(usize),
    /// A step is decided and lost.
    Lose,
}

fn request() -> impl Strategy<Value = Request> {
    let sampling = prop_oneof![
        2 => Just(SamplingParams::greedy()),
        1 => (0..9_u64).prop_map(|seed| SamplingParams { seed, ..SamplingParams::default() }),
        1 => (0..9_u64).prop_map(|seed| SamplingParams {
            seed,
            top_k: 7,
            top_p: 0.9,
            repetition_penalty: 1.3,
            frequency_penalty: 0.2,
            ..SamplingParams::default()
        }),
    ];
    let beginning = (0..3_u32, 0..110_u32);
    let own = (10..40_u32, 1..60_u32);
    let who = (
        prop::sample::select(Priority::URGENT_FIRST.to_vec()),
        prop::sample::select(vec!["a", "b", "c"]),
    );
    let stop = prop::option::of(0..VOCAB as TokenId);
    (beginning, own, 1..50_usize, sampling, who, stop).prop_map(
        |((shared, shared_len), (own, own_len), max_tokens, sampling, (priority, tenant), stop)| {
            Request {
                prompt: [prompt(shared, shared_len), prompt(own, own_len)].concat(),
                max_tokens,
                stop_tokens: stop.into_iter().collect(),
                sampling,
                guided: false,
                priority,
                tenant: tenant.parse().unwrap(),
            }
        },
    )
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (request(), prop::sample::select(vec![1, 1, 1, 3])).prop_map(|(it, n)| Act::Add(it, n)),
        8 => Just(Act::Step),
        1 => (0..20_usize).prop_map(Act::AbortAmidst),
        1 => (0..20_usize).prop_map(Act::Abort),
        1 => Just(Act::Lose),
    ]
}

/// From hardly any room to plenty.
fn config() -> impl Strategy<Value = EngineConfig> {
    let cache = prop::sample::select(vec![true, true, false]);
    (6..30_usize, 1..9_usize, 1..120_usize, 1..20_usize, cache).prop_map(
        |(kv_blocks, max_sequences, more_tokens, max_queue, prefix_cache)| EngineConfig {
            vocab: VOCAB,
            kv_blocks,
            max_sequences,
            max_batch_tokens: max_sequences + more_tokens,
            max_queue,
            max_model_len: 180,
            prefix_cache,
        },
    )
}

/// What was asked, and what came of it.
struct Play {
    stage: Stage,
    asked: BTreeMap<SequenceId, Request>,
    aborted: Vec<SequenceId>,
}

impl Play {
    fn act(&mut self, act: Act, max_queue: usize) {
        match act {
            Act::Add(request, n) => self.add(&request, n, max_queue),
            Act::Step => drop(self.stage.step()),
            Act::Abort(number) => self.abort(number),
            Act::Lose => drop(self.stage.schedule()),
            Act::AbortAmidst(number) => {
                let batch = self.stage.schedule();
                self.abort(number);
                if let Some(batch) = batch {
                    self.stage.run(&batch);
                }
            }
        }
    }

    fn add(&mut self, request: &Request, n: usize, max_queue: usize) {
        let waiting = self.stage.engine.stats().waiting;
        match self.stage.engine.add_choices(request, n) {
            Ok(ids) => {
                for (choice, id) in (0..).zip(ids) {
                    let mut request = request.clone();
                    request.sampling.seed += choice;
                    self.stage.classes.insert(id, request.priority);
                    self.asked.insert(id, request);
                }
            }
            Err(Refused::QueueFull { .. }) => assert!(waiting + n > max_queue),
            Err(refused) => panic!("{refused}"),
        }
    }

    fn abort(&mut self, number: usize) {
        let Some(&id) = self.asked.keys().nth(number) else { return };
        let said = self.stage.said(id).len();
        if let Some(usage) = self.stage.abort(id) {
            assert_eq!(usage.completion_tokens, said);
            assert!(!self.stage.finished.contains_key(&id));
            self.aborted.push(id);
        }
    }

    /// Each said what it says alone, or the beginning of it if it was aborted.
    fn check(&self, context_max: usize) {
        for (id, request) in &self.asked {
            let mut request = request.clone();
            request.max_tokens = request.max_tokens.min(context_max - request.prompt.len());
            let (text, reason) = alone(&request);
            let said = self.stage.said(*id);
            if self.aborted.contains(id) {
                assert!(text.starts_with(said), "{id}: {said:?} {text:?}");
                continue;
            }
            let (ended, usage) = self.stage.finished[id];
            assert_eq!((said, ended), (&text[..], reason), "{id}");
            let stop = usize::from(matches!(reason, FinishReason::Stop(_)));
            assert_eq!(usage.completion_tokens, text.len() + stop);
            assert_eq!(usage.prompt_tokens, request.prompt.len());
            assert!(usage.cached_tokens < usage.prompt_tokens);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// Batches, chunks, shared and evicted blocks, preemption, lost steps, aborts: nothing of it
    /// changes a word, every sequence ends, and no block is lost.
    #[test]
    fn whatever_happens_each_sequence_says_what_it_would_say_alone(
        config in config(),
        acts in prop::collection::vec(act(), 1..150),
    ) {
        let stage = Stage::new(config);
        let mut play = Play { stage, asked: BTreeMap::new(), aborted: Vec::new() };
        for act in acts {
            play.act(act, config.max_queue);
        }
        play.stage.run_dry();
        play.check(config.max_model_len.min(config.kv_blocks * 32));
        let stats = play.stage.engine.stats();
        prop_assert!(config.prefix_cache || stats.kv_blocks_cached == 0);
    }

    /// Whatever each asks for, tenants that wait have read the same number of tokens.
    #[test]
    fn tenants_with_a_backlog_share_the_prompts_read(
        lens in prop::collection::vec(prop::collection::vec(1..150_u32, 25), 2..4),
    ) {
        let mut stage = Stage::new(EngineConfig { max_sequences: 2, ..ROOMY });
        let mut asked = BTreeMap::new();
        for (tenant, lens) in lens.iter().enumerate() {
            for &len in lens {
                let tenant_name = format!("tenant-{tenant}").parse().unwrap();
                let request = Request { tenant: tenant_name, ..greedy(prompt(len, len), 2) };
                asked.insert(stage.add(request), (tenant, len));
            }
        }
        let mut read = vec![0; lens.len()];
        let mut left = vec![25; lens.len()];
        for chunk in stage.run_dry().iter().flat_map(|step| &step.chunks) {
            let Some((tenant, len)) = asked.remove(&chunk.sequence) else { continue };
            read[tenant] += len;
            left[tenant] -= 1;
            if left.contains(&0) {
                break;
            }
            let apart = read.iter().max().unwrap() - read.iter().min().unwrap();
            // A turn, and a prompt that reaches over its end on either side.
            prop_assert!(apart <= 512 + 2 * 150, "{read:?}");
        }
    }
}
