//! What happens to requests in the step loop.

use engine::{Request, SamplingParams, TokenId, TokenMask};
use llm::{
    generation::{Controls, Finish, Generation, Guidance, TokenEvent},
    service::Refused,
};

use crate::toy::{
    FAILS, Flag, Gate, Loop, NO_NUMBERS, PANICS, Told, controlled, count_from, eventually, read,
    request,
};

#[tokio::test]
async fn a_request_is_answered_token_by_token_until_its_length() {
    let toy = Loop::start();
    let told = read(toy.ask(count_from(10, 3)).await, 1).await;
    let tokens = vec![11, 12, 13];
    assert_eq!(told, [Told { tokens, reason: Some(Finish::Length), usage: (1, 0, 3) }]);

    let stats = toy.handle.stats();
    assert_eq!((stats.prompt_tokens, stats.generated_tokens), (1, 3));
    assert_eq!(stats.time_to_first_token.counts.iter().sum::<u64>(), 1);
    assert_eq!(stats.inter_token_latency.counts.iter().sum::<u64>(), 2);
    assert_eq!((stats.steps, stats.step_sequences, stats.step_tokens), (3, 3, 3));
}

#[tokio::test]
async fn a_stop_token_ends_it_untold_and_counted() {
    let toy = Loop::start();
    let request = Request { stop_tokens: vec![12], ..request(10, 9) };
    let told = read(toy.ask(Generation::plain(request)).await, 1).await;
    let reason = Some(Finish::Stop(12));
    assert_eq!(told, [Told { tokens: vec![11], reason, usage: (1, 0, 2) }]);
    assert_eq!(toy.handle.stats().generated_tokens, 2);
}

#[tokio::test]
async fn the_text_ends_with_the_token_at_which_its_halt_says_so() {
    let toy = Loop::start();
    let halting_at = |last: TokenId, max_tokens| {
        let halt = Some(Box::new(move |token| token == last) as Box<_>);
        controlled(request(10, max_tokens), Controls { halt, ..Controls::default() })
    };
    let halted = |tokens: Vec<TokenId>| {
        let usage = (1, 0, tokens.len());
        [Told { tokens, reason: Some(Finish::Halted), usage }]
    };
    let told = read(toy.ask(halting_at(12, 9)).await, 1).await;
    assert_eq!(told, halted(vec![11, 12]), "no token was computed for nothing");
    // Also where the engine ends it with the same token.
    assert_eq!(read(toy.ask(halting_at(12, 2)).await, 1).await, halted(vec![11, 12]));
}

#[tokio::test]
async fn choices_and_prompts_of_one_request_come_in_one_stream_and_a_prompt_is_counted_once() {
    let toy = Loop::start();
    let twice = Generation {
        request: request(10, 2),
        choices: vec![Controls::default(), Controls::default()],
        call: None,
    };
    let tokens = toy.handle.generate(vec![twice, count_from(20, 1)]).await.unwrap();
    let told = read(tokens, 3).await;
    assert_eq!(
        told.iter().map(|told| told.tokens.clone()).collect::<Vec<_>>(),
        [vec![11, 12], vec![11, 12], vec![21]]
    );
    let usage: Vec<_> = told.iter().map(|told| told.usage).collect();
    assert_eq!(usage, [(1, 0, 2), (0, 0, 2), (1, 0, 1)]);
}

#[tokio::test]
async fn requests_that_come_between_two_steps_run_together() {
    let toy = Loop::with(Gate::closed(), |_| {});
    let first = toy.ask(count_from(10, 9)).await;
    let second = toy.ask_held(count_from(20, 9)).await.unwrap();
    let third = toy.ask_held(count_from(30, 9)).await.unwrap();
    toy.gate.open();
    for (tokens, first) in [(first, 10), (second, 20), (third, 30)] {
        let told = read(tokens, 1).await;
        assert_eq!(told[0].tokens, (first + 1..=first + 9).collect::<Vec<_>>());
    }
    assert!(toy.batches.lock().unwrap().contains(&3), "{:?}", toy.batches);
}

#[tokio::test]
async fn who_leaves_is_out_of_the_batch_before_the_next_step() {
    let toy = Loop::with(Gate::closed(), |_| {});
    let mut leaving = toy.ask(count_from(10, 400)).await;
    toy.gate.let_through(1);
    assert!(leaving.next().await.is_some());
    drop(leaving);
    toy.gate.open();
    eventually(|| toy.handle.stats().running == 0).await;
    let told = read(toy.ask(count_from(20, 1)).await, 1).await;
    assert_eq!(told[0].tokens, [21]);
    eventually(|| toy.handle.stats().kv_blocks_used == 0).await;
    let stats = toy.handle.stats();
    // The step that waited at the gate when the reader left was its last.
    assert!(stats.generated_tokens <= 3, "{stats:?}");
    assert_eq!(stats.prompt_tokens, 2, "what was aborted is counted too");
}

#[tokio::test]
async fn who_leaves_while_waiting_is_never_computed() {
    let toy = Loop::with(Gate::closed(), |engine| engine.max_sequences = 1);
    let first = toy.ask(count_from(10, 9)).await;
    drop(toy.ask_held(count_from(FAILS, 2)).await.unwrap());
    toy.gate.open();
    assert_eq!(read(first, 1).await[0].reason, Some(Finish::Length));
    assert_eq!(read(toy.ask(count_from(20, 1)).await, 1).await[0].tokens, [21]);
}

#[tokio::test]
async fn a_slow_reader_holds_nobody_up_and_loses_nothing() {
    let toy = Loop::start();
    let slow = toy.ask(count_from(10, 300)).await;
    let quick = read(toy.ask(count_from(310, 300)).await, 1).await;
    assert_eq!(quick[0].tokens.len(), 300);
    eventually(|| toy.handle.stats().running == 0).await;
    let slow = read(slow, 1).await;
    assert_eq!(slow[0].tokens, (11..=310).collect::<Vec<_>>());
    assert_eq!(slow[0].reason, Some(Finish::Length));
}

#[tokio::test]
async fn a_sequence_whose_logits_are_no_numbers_ends_and_those_beside_it_go_on() {
    let toy = Loop::with(Gate::closed(), |_| {});
    let broken = toy.ask(count_from(NO_NUMBERS - 3, 9)).await;
    let beside = toy.ask_held(count_from(20, 9)).await.unwrap();
    toy.gate.open();
    let told = read(broken, 1).await;
    assert_eq!(told[0].tokens, [NO_NUMBERS - 2, NO_NUMBERS - 1, NO_NUMBERS]);
    let words = "no logit of the model is a number here; its weights may be damaged";
    assert_eq!(told[0].reason, Some(Finish::Failed(words.into())));
    let told = read(beside, 1).await;
    assert_eq!(told[0].tokens, (21..=29).collect::<Vec<_>>());
    assert_eq!(told[0].reason, Some(Finish::Length));
}

#[tokio::test]
async fn a_step_that_fails_ends_those_in_it_and_nobody_else() {
    let toy = Loop::with(Gate::closed(), |engine| engine.max_sequences = 2);
    let failing = toy.ask(count_from(FAILS - 5, 9)).await;
    let beside = toy.ask_held(count_from(20, 9)).await.unwrap();
    // Of three one waits, and so is not in the step that fails.
    let waiting = toy.ask_held(count_from(30, 2)).await.unwrap();
    toy.gate.open();
    let told = read(failing, 1).await;
    let words = "the model could not run a batch: the toy is out of order";
    assert_eq!(told[0].reason, Some(Finish::Failed(words.into())));
    assert_eq!(told[0].usage.2, told[0].tokens.len());
    assert!(matches!(read(beside, 1).await[0].reason, Some(Finish::Failed(_))));
    assert_eq!(read(waiting, 1).await[0].tokens, [31, 32]);
}

#[tokio::test]
async fn a_panic_ends_the_loop_with_its_words_and_every_stream() {
    let mut toy = Loop::start();
    let told = read(toy.ask(count_from(PANICS - 2, 9)).await, 1).await;
    assert_eq!((told[0].tokens.as_slice(), &told[0].reason), (&[PANICS - 1, PANICS][..], &None));
    assert_eq!(toy.ending.wait().await, Err("the toy broke".into()));
    let refused = toy.handle.generate(vec![count_from(1, 1)]).await.unwrap_err();
    assert_eq!(refused, Refused::Stopped);
}

#[tokio::test]
async fn without_handles_what_runs_is_finished_and_the_loop_ends() {
    let mut toy = Loop::start();
    let tokens = toy.ask(count_from(10, 200)).await;
    drop(toy.handle);
    assert_eq!(read(tokens, 1).await[0].tokens.len(), 200);
    assert_eq!(toy.ending.wait().await, Ok(()));
}

#[tokio::test]
async fn a_request_that_can_never_run_is_refused_whole() {
    let toy = Loop::start();
    let long = Request { prompt: vec![1; 600], ..request(1, 1) };
    let request = vec![count_from(10, 400), Generation::plain(long)];
    let refused = toy.handle.generate(request).await.unwrap_err();
    let overflow = engine::Refused::ContextOverflow { prompt: 600, max_model_len: 512 };
    assert_eq!(refused, Refused::Engine(overflow));
    assert_eq!(read(toy.ask(count_from(20, 1)).await, 1).await[0].tokens, [21]);
    assert_eq!(toy.handle.stats().steps, 1, "of the first prompt nothing was computed");
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let toy = Loop::with(Gate::closed(), |engine| {
        (engine.max_sequences, engine.max_queue) = (1, 2);
    });
    let running = toy.ask(count_from(10, 9)).await;
    // Until then it stands in the queue too.
    toy.gate.is_waited_for().await;
    let first = toy.ask_held(count_from(20, 1)).await.unwrap();
    let second = toy.ask_held(count_from(30, 1)).await.unwrap();
    let refused = toy.ask_held(count_from(40, 1)).await.unwrap_err();
    assert!(matches!(refused, Refused::Engine(engine::Refused::QueueFull { .. })), "{refused:?}");
    toy.gate.open();
    for tokens in [running, first, second] {
        assert_eq!(read(tokens, 1).await[0].reason, Some(Finish::Length));
    }
}

/// Allows even tokens only, and breaks at one of them.
struct Even {
    words: Vec<u32>,
    breaks_at: TokenId,
    dropped: Flag,
}

impl Even {
    fn new(breaks_at: TokenId, dropped: &Flag) -> Box<Self> {
        Box::new(Self { words: vec![0x5555_5555; 32], breaks_at, dropped: dropped.clone() })
    }
}

impl Guidance for Even {
    fn mask(&mut self) -> Result<Option<TokenMask<'_>>, String> {
        Ok(Some(TokenMask(&self.words)))
    }

    fn accept(&mut self, token: TokenId) -> Result<(), String> {
        assert_eq!(token % 2, 0, "the mask was not kept");
        if token == self.breaks_at { Err("the grammar broke".into()) } else { Ok(()) }
    }
}

impl Drop for Even {
    fn drop(&mut self) {
        self.dropped.raise();
    }
}

#[tokio::test]
async fn a_grammar_decides_which_tokens_come_until_it_breaks() {
    let toy = Loop::start();
    let dropped = Flag::default();
    let guided = |breaks_at| {
        let guidance = Some(Even::new(breaks_at, &dropped) as Box<dyn Guidance>);
        controlled(request(10, 3), Controls { guidance, ..Controls::default() })
    };
    let told = read(toy.ask(guided(1_000)).await, 1).await;
    // The toy would count on with 11, which the grammar forbids; of the even ones none is likelier
    // than another, so the lowest comes, and its successor is forbidden again.
    assert_eq!(told[0].tokens, [0, 0, 0]);
    assert!(dropped.is_raised());

    let told = read(toy.ask(guided(0)).await, 1).await;
    assert_eq!(told[0].reason, Some(Finish::Failed("the grammar broke".into())));
    assert_eq!(told[0].usage, (1, 0, 1));
}

#[tokio::test]
async fn many_rows_are_chosen_on_several_threads_alike() {
    let drawn = async |together: bool| {
        // So many logits that six rows are worth a second thread.
        let toy = Loop::with(Gate::closed(), |engine| engine.vocab = 50_000);
        let sampling = SamplingParams { temperature: 10.0, ..SamplingParams::default() };
        let ask = |seed| {
            let sampling = SamplingParams { seed, logprobs: Some(2), ..sampling.clone() };
            Generation::plain(Request { sampling, ..request(100, 5) })
        };
        if together {
            let tokens = toy.handle.generate((0..6).map(ask).collect()).await.unwrap();
            toy.gate.open();
            return read(tokens, 6).await;
        }
        toy.gate.open();
        let mut told = Vec::new();
        for seed in 0..6 {
            told.extend(read(toy.ask(ask(seed)).await, 1).await);
        }
        told
    };
    let together = drawn(true).await;
    assert_eq!(together, drawn(false).await);
    assert_ne!(together[0].tokens, together[1].tokens, "each seed draws otherwise");
}

#[tokio::test]
async fn logprobs_travel_with_their_tokens() {
    let toy = Loop::start();
    let sampling = SamplingParams { logprobs: Some(3), ..SamplingParams::greedy() };
    let mut tokens = toy.ask(Generation::plain(Request { sampling, ..request(10, 1) })).await;
    let Some((0, TokenEvent::Token(sampled))) = tokens.next().await else { panic!("a token") };
    assert_eq!((sampled.token, sampled.top.len(), sampled.top[0].0), (11, 3, 11));
    assert!(sampled.logprob.unwrap() > -0.001);
}
