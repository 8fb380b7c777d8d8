//! Stories of turns: who runs in a step, and with how many tokens.

use engine::{Batch, EngineConfig, Output, Request, SamplingParams, SequenceId};
use types::Priority;

use crate::stage::{ROOMY, Stage, greedy, prompt};

/// Who runs how many tokens in a step.
fn shares(batch: &Batch) -> Vec<(SequenceId, usize)> {
    batch.chunks.iter().map(|chunk| (chunk.sequence, chunk.tokens.len())).collect()
}

/// In which order they had their first step.
fn began(steps: &[Batch]) -> Vec<SequenceId> {
    let mut order = Vec::new();
    for chunk in steps.iter().flat_map(|step| &step.chunks) {
        if !order.contains(&chunk.sequence) {
            order.push(chunk.sequence);
        }
    }
    order
}

fn of(tenant: &str, priority: Priority, seed: u32) -> Request {
    Request { tenant: tenant.parse().unwrap(), priority, ..greedy(prompt(seed, 20), 2) }
}

#[test]
fn a_long_prompt_does_not_delay_those_that_decode() {
    let mut stage = Stage::new(EngineConfig { max_batch_tokens: 64, ..ROOMY });
    let talks = stage.add(greedy(prompt(1, 10), 30));
    stage.step();
    let long = stage.add(greedy(prompt(2, 500), 1));
    for _ in 0..7 {
        assert_eq!(shares(&stage.step().unwrap()), [(talks, 1), (long, 63)]);
    }
    assert_eq!(shares(&stage.step().unwrap()), [(talks, 1), (long, 59)]);
    assert_eq!(stage.said(talks).len(), 9);
    assert_eq!(stage.said(long).len(), 1);
}

#[test]
fn a_short_prompt_gets_past_a_long_one() {
    let mut stage = Stage::new(EngineConfig { max_batch_tokens: 64, ..ROOMY });
    let long = stage.add(greedy(prompt(1, 500), 1));
    assert_eq!(shares(&stage.step().unwrap()), [(long, 64)]);
    let short = stage.add(greedy(prompt(2, 20), 2));
    assert_eq!(shares(&stage.step().unwrap()), [(long, 44), (short, 20)]);
    assert_eq!(shares(&stage.step().unwrap()), [(short, 1), (long, 63)]);
}

#[test]
fn only_what_is_needed_of_the_logits_is_asked_for() {
    let mut stage = Stage::new(EngineConfig { max_batch_tokens: 60, ..ROOMY });
    let drawn = SamplingParams::default();
    let biased = SamplingParams { logit_bias: vec![(1, 1.0)], ..SamplingParams::greedy() };
    let told = SamplingParams { logprobs: Some(0), ..SamplingParams::greedy() };
    let [plain, guided, drawn, biased, told] = [
        greedy(prompt(1, 4), 1),
        Request { guided: true, ..greedy(prompt(2, 4), 1) },
        Request { sampling: drawn, ..greedy(prompt(3, 4), 1) },
        Request { sampling: biased, ..greedy(prompt(4, 4), 1) },
        Request { sampling: told, ..greedy(prompt(5, 4), 1) },
    ]
    .map(|request| stage.add(request));
    let long = stage.add(greedy(prompt(6, 100), 1));
    let step = stage.step().unwrap();
    let asked: Vec<_> = step.chunks.iter().map(|chunk| (chunk.sequence, chunk.output)).collect();
    let logits = [guided, drawn, biased, told].map(|id| (id, Output::Logits));
    assert_eq!(asked[0], (plain, Output::Argmax));
    assert_eq!(asked[1..5], logits);
    assert_eq!(asked[5], (long, Output::Nothing));
}

#[test]
fn classes_go_in_order_and_tenants_take_turns() {
    let mut stage = Stage::new(EngineConfig { max_sequences: 1, ..ROOMY });
    let mut request = of("a", Priority::Normal, 1);
    request.prompt = prompt(1, 400);
    let a1 = stage.add(request.clone());
    request.prompt = prompt(2, 400);
    let a2 = stage.add(request);
    let b1 = stage.add(of("b", Priority::Normal, 3));
    let low = stage.add(of("b", Priority::Low, 4));
    let high = stage.add(of("a", Priority::High, 5));
    assert_eq!(began(&stage.run_dry()), [high, a1, b1, a2, low]);
}

#[test]
fn a_flood_of_urgent_requests_does_not_starve_the_others() {
    let mut stage = Stage::new(EngineConfig { max_sequences: 1, ..ROOMY });
    let low = stage.add(of("a", Priority::Low, 0));
    for seed in 1..20 {
        stage.add(of("b", Priority::High, seed));
    }
    let order = began(&stage.run_dry());
    assert_eq!(order.iter().position(|&id| id == low), Some(7));
}

#[test]
fn a_prompt_that_has_begun_goes_on_under_a_flood_of_urgent_ones() {
    let mut stage = Stage::new(EngineConfig { max_batch_tokens: 64, ..ROOMY });
    let low = stage.add(Request { priority: Priority::Low, ..greedy(prompt(1, 300), 1) });
    stage.step();
    for seed in 2..6 {
        stage.add(Request { priority: Priority::High, ..greedy(prompt(seed, 64), 1) });
    }
    for _ in 0..6 {
        let step = shares(&stage.step().unwrap());
        assert_eq!((step[0], step[1].1), ((low, 32), 32), "half for it, half for them");
    }
}
