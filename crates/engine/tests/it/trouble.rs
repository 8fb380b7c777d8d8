//! Stories of what goes wrong: refused, aborted, failed.

use engine::{EngineConfig, FinishReason, Request, SamplingParams, Usage};

use crate::stage::{ROOMY, Stage, alone, greedy, prompt};

#[track_caller]
fn refused(config: EngineConfig, request: Request, sentence: &str) {
    let mut stage = Stage::new(config);
    assert_eq!(stage.engine.add(request).unwrap_err().to_string(), sentence);
    assert_eq!(stage.engine.stats().waiting, 0);
}

#[test]
fn what_can_never_run_is_refused_with_the_arithmetic() {
    refused(
        EngineConfig { max_model_len: 100, ..ROOMY },
        greedy(prompt(1, 100), 1),
        "the prompt has 100 tokens, and with at least one generated token that makes 101, \
         but the context holds 100",
    );
    refused(
        EngineConfig { kv_blocks: 3, ..ROOMY },
        greedy(prompt(1, 96), 1),
        "the prompt has 96 tokens, and with at least one generated token that makes 97, \
         but the KV memory holds 96 (3 blocks of 32 tokens)",
    );
    refused(ROOMY, greedy(vec![], 1), "the prompt is empty; it needs at least one token");
    refused(ROOMY, greedy(vec![1], 0), "`max_tokens` is 0; at least one token must be generated");
    refused(
        ROOMY,
        greedy(vec![1, 40], 1),
        "token 40 of the prompt is not below 40, the size of the vocabulary",
    );
}

#[test]
fn impossible_sampling_is_refused_by_the_name_of_the_field() {
    let refused = |sampling, sentence| {
        refused(ROOMY, Request { sampling, ..greedy(vec![1], 1) }, sentence);
    };
    let fine = SamplingParams::default;
    let (nan, top_p) = (f32::NAN, 0.0);
    refused(
        SamplingParams { temperature: nan, ..fine() },
        "`temperature` must be from 0 to 100, not NaN",
    );
    refused(SamplingParams { top_p, ..fine() }, "`top_p` must be above 0 and at most 1, not 0");
    let logit_bias = vec![(0, 1.0), (1, 101.0)];
    refused(
        SamplingParams { logit_bias, ..fine() },
        "`logit_bias` must be from -100 to 100 for each token, not 101",
    );
}

#[test]
fn the_queue_is_bounded_and_choices_wait_all_or_none() {
    let mut stage = Stage::new(EngineConfig { max_queue: 2, max_sequences: 1, ..ROOMY });
    stage.add(greedy(prompt(1, 4), 9));
    let refused = stage.engine.add_choices(&greedy(prompt(2, 4), 9), 2).unwrap_err();
    assert_eq!(refused.to_string(), "1 sequences wait already, and the queue holds 2");
    stage.step();
    stage.engine.add_choices(&greedy(prompt(2, 4), 9), 2).unwrap();
    assert!(stage.engine.add(greedy(prompt(3, 4), 9)).is_err());
    assert_eq!((stage.engine.stats().running, stage.engine.stats().waiting), (1, 2));
    stage.run_dry();
}

#[test]
fn a_stop_token_ends_a_sequence_and_is_counted_but_not_said() {
    let mut stage = Stage::new(ROOMY);
    let plain = greedy(prompt(8, 10), 9);
    let text = alone(&plain).0;
    let stop = text[5];
    let at = text.iter().position(|&token| token == stop).unwrap();
    let id = stage.add(Request { stop_tokens: vec![stop], ..plain });
    stage.run_dry();
    assert_eq!(stage.said(id), &text[..at]);
    assert_eq!(stage.finished[&id].0, FinishReason::Stop(stop));
    assert_eq!(stage.usage(id).completion_tokens, at + 1);
}

#[test]
fn the_end_of_the_context_ends_a_sequence() {
    let mut stage = Stage::new(EngineConfig { max_model_len: 70, ..ROOMY });
    let id = stage.add(greedy(prompt(1, 64), 1000));
    stage.run_dry();
    assert_eq!(stage.finished[&id].0, FinishReason::Length);
    assert_eq!(stage.usage(id).completion_tokens, 6);
}

#[test]
fn an_aborted_sequence_frees_its_blocks_at_once_and_tells_what_it_took() {
    let mut stage = Stage::new(ROOMY);
    let id = stage.add(greedy(prompt(1, 40), 100));
    let waits = stage.add(greedy(prompt(2, 40), 100));
    assert_eq!(stage.abort(waits).unwrap().completion_tokens, 0);
    for _ in 0..4 {
        stage.step();
    }
    let usage = Usage { prompt_tokens: 40, cached_tokens: 0, completion_tokens: 4 };
    assert_eq!(stage.abort(id), Some(usage));
    assert_eq!(stage.abort(id), None);
    let stats = stage.engine.stats();
    assert_eq!((stats.running, stats.kv_blocks_used, stats.kv_blocks_cached), (0, 0, 1));
    assert_eq!(stage.step(), None);
}

#[test]
fn what_a_batch_ran_of_a_sequence_that_was_aborted_meanwhile_is_ignored() {
    let mut stage = Stage::new(ROOMY);
    let stays = greedy(prompt(2, 40), 3);
    let (gone, stays_id) = (stage.add(greedy(prompt(1, 40), 3)), stage.add(stays.clone()));
    let batch = stage.schedule().unwrap();
    assert_eq!(stage.abort(gone).unwrap().completion_tokens, 0);
    stage.run(&batch);
    assert!(stage.said(gone).is_empty());
    stage.run_dry();
    assert_eq!(stage.said(stays_id), alone(&stays).0);
}

#[test]
fn a_batch_that_failed_runs_again_and_one_that_came_twice_counts_once() {
    let mut stage = Stage::new(ROOMY);
    let request = greedy(prompt(1, 40), 3);
    let id = stage.add(request.clone());
    let lost = stage.schedule().unwrap();
    let again = stage.schedule().unwrap();
    assert_eq!(lost, again);
    stage.run(&again);
    stage.run(&again);
    stage.settle(&lost, vec![Some(0.into())]);
    assert_eq!(stage.said(id).len(), 1);
    stage.run_dry();
    assert_eq!(stage.said(id), alone(&request).0);
}

#[test]
fn a_row_without_its_token_runs_again() {
    let mut stage = Stage::new(ROOMY);
    let request = greedy(prompt(1, 40), 3);
    let id = stage.add(request.clone());
    let batch = stage.schedule().unwrap();
    stage.settle(&batch, vec![None]);
    assert_eq!(stage.schedule(), Some(batch));
    stage.run_dry();
    assert_eq!(stage.said(id), alone(&request).0);
}
