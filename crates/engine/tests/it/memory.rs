//! Stories of KV blocks: shared, kept, run out of.

use engine::{EngineConfig, FinishReason, Request, SamplingParams};
use types::Priority;

use crate::stage::{ROOMY, Stage, alone, greedy, prompt};

#[test]
fn a_second_turn_finds_the_first_one_in_the_cache() {
    let mut stage = Stage::new(ROOMY);
    let first = greedy(prompt(1, 50), 40);
    let id = stage.add(first.clone());
    stage.run_dry();
    assert_eq!(stage.usage(id).cached_tokens, 0);

    let mut turn = first.prompt;
    turn.extend(stage.said(id));
    turn.extend(prompt(2, 10));
    let second = greedy(turn, 5);
    let id = stage.add(second.clone());
    let steps = stage.run_dry();
    // 50 + 40 tokens, of which the last was never run: two whole blocks.
    let usage = stage.usage(id);
    assert_eq!((usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens), (100, 64, 5));
    assert_eq!(steps[0].tokens(), 36);
    assert_eq!(stage.said(id), alone(&second).0);
    let stats = stage.engine.stats();
    assert_eq!((stats.prefix_lookup_tokens, stats.prefix_hit_tokens), (150, 64));
}

#[test]
fn a_prompt_that_is_cached_to_its_end_still_runs_its_last_token() {
    let mut stage = Stage::new(ROOMY);
    let request = greedy(prompt(3, 64), 1);
    stage.add(request.clone());
    stage.run_dry();
    let again = stage.add(request.clone());
    let steps = stage.run_dry();
    assert_eq!((stage.usage(again).cached_tokens, steps[0].tokens()), (32, 32));
    assert_eq!(stage.said(again), alone(&request).0);
    let stats = stage.engine.stats();
    assert_eq!(stats.kv_blocks_cached, 2, "the same block is not kept twice");
}

#[test]
fn without_the_cache_nothing_is_kept_or_shared() {
    let mut stage = Stage::new(EngineConfig { prefix_cache: false, ..ROOMY });
    let choices = stage.engine.add_choices(&greedy(prompt(3, 64), 2), 2).unwrap();
    let steps = stage.run_dry();
    assert_eq!((steps[0].chunks.len(), steps[0].tokens()), (2, 128));
    assert_eq!(stage.usage(choices[1]).cached_tokens, 0);
    assert_eq!(stage.engine.stats().kv_blocks_cached, 0);
}

#[test]
fn choices_compute_their_prompt_once_and_draw_each_for_itself() {
    let mut stage = Stage::new(ROOMY);
    let request = Request { prompt: prompt(4, 100), max_tokens: 20, ..Request::default() };
    let choices = stage.engine.add_choices(&request, 4).unwrap();
    let steps = stage.run_dry();
    // First the prompt alone; then what of it is no whole block, for each of the others.
    assert_eq!((steps[0].chunks.len(), steps[0].tokens()), (1, 100));
    assert_eq!((steps[1].chunks.len(), steps[1].tokens()), (4, 1 + 3 * 4));
    for (seed, &choice) in (0..).zip(&choices) {
        let sampling = SamplingParams { seed, ..SamplingParams::default() };
        assert_eq!(stage.said(choice), alone(&Request { sampling, ..request.clone() }).0);
    }
    assert_ne!(stage.said(choices[0]), stage.said(choices[1]));
    let cached: Vec<_> = choices.iter().map(|&id| stage.usage(id).cached_tokens).collect();
    assert_eq!(cached, [0, 96, 96, 96]);
}

#[test]
fn when_the_first_choice_leaves_early_the_next_one_computes_the_prompt() {
    let mut stage = Stage::new(ROOMY);
    let request = greedy(prompt(5, 600), 3);
    let choices = stage.engine.add_choices(&request, 3).unwrap();
    let first = stage.step().unwrap();
    assert_eq!(first.chunks.len(), 1);
    stage.abort(choices[0]).unwrap();
    stage.abort(choices[2]).unwrap();
    stage.run_dry();
    assert_eq!(stage.said(choices[1]), alone(&request).0);
    assert_eq!(stage.finished.len(), 1);
    assert_eq!(stage.usage(choices[1]).cached_tokens, 256, "what the first one had computed");
}

#[test]
fn prompts_that_begin_alike_at_the_same_time_end_in_the_same_blocks() {
    let mut stage = Stage::new(ROOMY);
    for _ in 0..3 {
        stage.add(greedy(prompt(6, 80), 2));
    }
    stage.step();
    assert_eq!(stage.engine.stats().kv_blocks_used, 2 + 3);
    stage.run_dry();
}

#[test]
fn out_of_blocks_the_youngest_of_the_lowest_class_goes_back_and_says_the_same_in_the_end() {
    // 6 blocks for 3 sequences that need 3 each at their end.
    let mut stage = Stage::new(EngineConfig { kv_blocks: 7, ..ROOMY });
    let requests = [(1, Priority::Low), (2, Priority::Normal), (3, Priority::Normal)].map(
        |(seed, priority)| {
            let sampling = SamplingParams { seed: 9, ..SamplingParams::default() };
            Request { priority, sampling, ..greedy(prompt(seed, 30), 60) }
        },
    );
    let ids = requests.clone().map(|request| stage.add(request));
    let steps = stage.run_dry();
    assert_eq!(stage.engine.stats().preemptions, 1);
    // The low one was preempted, not one of those that came later.
    let ends =
        ids.map(|id| steps.iter().rposition(|step| step.chunks.iter().any(|it| it.sequence == id)));
    assert!(ends[0] > ends[1] && ends[1] == ends[2], "{ends:?}");
    for (id, request) in ids.into_iter().zip(requests) {
        assert_eq!(stage.said(id), alone(&request).0);
        assert_eq!(stage.usage(id).cached_tokens, 0, "its own blocks are no hit");
    }
}

#[test]
fn a_sequence_that_fills_the_kv_memory_alone_ends_there() {
    let mut stage = Stage::new(EngineConfig { kv_blocks: 2, ..ROOMY });
    let id = stage.add(greedy(prompt(7, 60), 100));
    stage.run_dry();
    assert_eq!(stage.finished[&id].0, FinishReason::Length);
    assert_eq!(stage.usage(id).completion_tokens, 4);
}

#[test]
fn a_large_prompt_waits_until_it_fits_and_nobody_overtakes_it() {
    let mut stage = Stage::new(EngineConfig { kv_blocks: 8, ..ROOMY });
    stage.add(greedy(prompt(1, 60), 10));
    stage.step();
    let large = stage.add(greedy(prompt(2, 200), 2));
    let small = stage.add(greedy(prompt(3, 5), 2));
    let steps = stage.run_dry();
    let first = |id| steps.iter().position(|step| step.chunks.iter().any(|it| it.sequence == id));
    assert!(first(large) > Some(1) && first(large) <= first(small));
    assert_eq!(stage.engine.stats().preemptions, 0);
}

#[test]
fn a_prompt_takes_the_blocks_of_one_that_decodes_in_a_lower_class() {
    let config = EngineConfig { kv_blocks: 13, max_batch_tokens: 3, max_sequences: 3, ..ROOMY };
    let mut stage = Stage::new(config);
    let low = Request { priority: Priority::Low, ..greedy(prompt(1, 10), 200) };
    let long = greedy(prompt(2, 300), 2);
    let low_id = stage.add(low.clone());
    for _ in 0..4 {
        stage.step();
    }
    let long_id = stage.add(long.clone());
    let steps = stage.run_dry();
    assert!(stage.engine.stats().preemptions > 0);
    // The low one had its row already; its place in the step went to the prompt.
    let alone_in = |step: &&engine::Batch| step.chunks[0].sequence == long_id;
    assert_eq!(steps.iter().find(alone_in).unwrap().tokens(), 3);
    assert_eq!(stage.said(low_id), alone(&low).0);
    assert_eq!(stage.said(long_id), alone(&long).0);
}

#[test]
fn who_begins_leaves_those_who_run_a_block_to_go_on() {
    let mut stage = Stage::new(EngineConfig { kv_blocks: 5, ..ROOMY });
    stage.add(greedy(prompt(1, 40), 40));
    stage.step();
    stage.add(greedy(prompt(2, 90), 30));
    stage.run_dry();
    assert_eq!(stage.engine.stats().preemptions, 0);
}
