//! What callers of the routes see. The model counts: after token t comes t + 1, and the tokenizer's
//! letters stand in the order of the alphabet, so that `a` goes on with `bcd`.

use std::{path::Path, sync::Arc};

use api::worker::Outcome;
use llm::{
    load::{LoadedDecoder, LoadedModel},
    text::{TextFacts, TextSide},
};
use serde_json::{Value, json};

use crate::{
    client::{Served, events},
    toy::{Gate, Loop, eventually},
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tests/fixtures/qwen3");
const COMPLETIONS: &str = "/v1/completions";

/// A toy behind the routes.
struct Stage {
    toy: Loop,
    worker: Served,
}

impl Stage {
    async fn open() -> Self {
        Self::with(Gate::default(), |_| {}).await
    }

    async fn with(gate: Gate, change: impl FnOnce(&mut engine::EngineConfig)) -> Self {
        let toy = Loop::with(gate, |engine| {
            engine.vocab = 512;
            change(engine);
        });
        let facts = TextFacts {
            name: "tiny".into(),
            vocab_size: 512,
            max_model_len: toy.handle.max_model_len(),
            max_sequences: 8,
        };
        let text = Arc::new(TextSide::open(Path::new(FOLDER), facts).unwrap());
        let decoder = LoadedDecoder { text, handle: toy.handle.clone(), max_sequences: 8 };
        let worker = Served::start(LoadedModel::Decoder(decoder)).await;
        Self { toy, worker }
    }

    /// The end of the only call, as the gateway hears of it: prompt and completion tokens.
    async fn ended(&self) -> (Outcome, u64, u64) {
        let (outcome, usage) = self.worker.gateway.one_ended().await;
        let used = |unit: &str| usage.iter().find(|(name, _)| name == unit).map_or(0, |(_, n)| *n);
        (outcome, used("prompt_tokens"), used("completion_tokens"))
    }
}

/// Goes on from `a`, always with the likeliest token, whatever it is.
fn counting(max_tokens: usize) -> Value {
    json!({"prompt": "a", "max_tokens": max_tokens, "temperature": 0, "ignore_eos": true})
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

#[tokio::test]
async fn a_text_is_continued_and_what_it_took_is_told_to_caller_and_gateway_alike() {
    let stage = Stage::open().await;
    let answer = stage.worker.ask(COMPLETIONS, &counting(3)).await;
    assert_eq!(answer["choices"][0]["text"], "bcd");
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    assert_eq!(answer["model"], "tiny");
    assert_eq!(answer["usage"]["prompt_tokens"], 1);
    assert_eq!(answer["usage"]["completion_tokens"], 3);
    assert_eq!(stage.ended().await, (Outcome::Completed, 1, 3));
    stage.worker.gateway.engine_is(|engine| engine.generated_tokens == 3).await;
}

#[tokio::test]
async fn a_stream_tells_the_same_piece_by_piece() {
    let stage = Stage::open().await;
    let body = with(counting(4), "stream", true.into());
    let body = with(body, "stream_options", json!({"include_usage": true}));
    let events = stage.worker.events(COMPLETIONS, &body).await;
    let pieces = events.iter().filter_map(|event| event["choices"][0]["text"].as_str());
    assert_eq!(pieces.collect::<String>(), "bcde");
    assert_eq!(events.last().unwrap()["usage"]["total_tokens"], 5);
    assert_eq!(stage.ended().await, (Outcome::Completed, 1, 4));
}

#[tokio::test]
async fn a_stop_string_costs_no_token_behind_it() {
    let stage = Stage::open().await;
    let answer = stage.worker.ask(COMPLETIONS, &with(counting(20), "stop", json!(["de"]))).await;
    assert_eq!(answer["choices"][0]["text"], "bc");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer["usage"]["completion_tokens"], 4);
    assert_eq!(stage.ended().await, (Outcome::Completed, 1, 4));
}

#[tokio::test]
async fn several_prompts_and_choices_are_answered_in_order_and_each_prompt_counts_once() {
    let stage = Stage::open().await;
    let body = with(with(counting(2), "prompt", json!(["a", "p"])), "n", json!(2));
    let answer = stage.worker.ask(COMPLETIONS, &body).await;
    let texts = answer["choices"].as_array().unwrap().iter().map(|choice| &choice["text"]);
    assert_eq!(texts.collect::<Vec<_>>(), ["bc", "bc", "qr", "qr"]);
    assert_eq!(answer["usage"]["prompt_tokens"], 2);
    assert_eq!(answer["usage"]["completion_tokens"], 8);
    assert_eq!(stage.ended().await, (Outcome::Completed, 2, 8));
}

#[tokio::test]
async fn a_client_that_leaves_stops_its_sequences_and_they_are_accounted_for() {
    let stage = Stage::with(Gate::closed(), |_| {}).await;
    let body = with(counting(400), "stream", true.into());
    stage.toy.gate.let_through(2);
    let mut reply = stage.worker.post(COMPLETIONS, &body).await;
    let mut seen = String::new();
    while !seen.contains("\"c\"") {
        seen += std::str::from_utf8(&reply.piece().await.unwrap()).unwrap();
    }
    drop(reply);
    // The engine looks between two steps, so they are let through one by one until it has seen.
    eventually(|| {
        stage.toy.gate.let_through(1);
        stage.toy.handle.stats().running == 0
    })
    .await;
    let (outcome, prompt, completion) = stage.ended().await;
    assert_eq!((outcome, prompt), (Outcome::Cancelled, 1));
    assert_eq!(completion, stage.toy.handle.stats().generated_tokens);
    assert!(completion < 400, "{completion}");
}

#[tokio::test]
async fn a_call_whose_time_is_up_leaves_the_batch() {
    let stage = Stage::with(Gate::closed(), |_| {}).await;
    let headers = [("content-type", "application/json"), ("x-deadline-ms", "50")];
    let body = counting(400).to_string().into_bytes();
    let reply = stage.worker.send(COMPLETIONS, body, &headers).await;
    assert_eq!(reply.status, 504);
    stage.toy.gate.open();
    assert_eq!(stage.ended().await.0, Outcome::Cancelled);
    eventually(|| stage.toy.handle.stats().running == 0).await;
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_in_the_words_of_the_api() {
    let stage = Stage::open().await;
    let chat = "/v1/chat/completions";
    let long = "a b ".repeat(400);
    let cases = [
        (COMPLETIONS, json!({"prompt": long}), 400, "context_length_exceeded"),
        (COMPLETIONS, with(counting(1), "temperature", json!(-1)), 400, "invalid_request"),
        (chat, json!({}), 400, "invalid_request"),
        (chat, json!([]), 400, "invalid_request"),
    ];
    for (path, body, status, code) in cases {
        let (told, answer) = stage.worker.post(path, &body).await.json().await;
        assert_eq!((told, &answer["error"]["code"]), (status, &json!(code)), "{answer}");
        assert_eq!(answer["error"]["type"], "invalid_request_error");
    }
    let reply = stage.worker.send(chat, b"hi".to_vec(), &[("content-type", "text/plain")]).await;
    assert_eq!(reply.status, 415);
    assert_eq!(reply.headers["x-error-code"], "unsupported_media_type");
    let urgent = [("content-type", "application/json"), ("x-priority", "asap")];
    let body = counting(1).to_string().into_bytes();
    let (status, answer) = stage.worker.send(COMPLETIONS, body, &urgent).await.json().await;
    assert_eq!((status, &answer["error"]["code"]), (400, &json!("invalid_header")));
    assert_eq!(stage.toy.handle.stats().steps, 0, "nothing was computed");
}

#[tokio::test]
async fn a_step_that_fails_is_told_whole_or_as_the_last_event() {
    // The toy fails at a token that this prompt reaches soon.
    let stage = Stage::with(Gate::default(), |engine| engine.vocab = 1_000).await;
    let body = json!({"prompt": [660], "max_tokens": 20, "temperature": 0, "ignore_eos": true});
    // The text side knows 512 tokens only, so the failing one is reached from the last of them.
    let body = with(body, "prompt", json!([511]));
    let body = with(body, "max_tokens", json!(300));
    let (status, answer) = stage.worker.post(COMPLETIONS, &body).await.json().await;
    assert_eq!((status, &answer["error"]["type"]), (500, &json!("server_error")), "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("out of order"), "{answer}");

    let body = with(body, "stream", true.into());
    let text = stage.worker.post(COMPLETIONS, &body).await.text().await;
    let last = text.trim_end().rsplit("\n\n").next().unwrap();
    assert!(last.starts_with(r#"data: {"error":{"message":"#), "{last}");
}

#[tokio::test]
async fn an_engine_that_is_full_leaves_the_call_to_another_replica() {
    let stage = Stage::with(Gate::closed(), |engine| engine.max_queue = 1).await;
    let two = with(counting(1), "n", json!(2));
    let reply = stage.worker.post(COMPLETIONS, &two).await;
    assert_eq!(reply.status, 503);
    assert_eq!(reply.headers["x-not-begun"], "1");
    assert!(reply.headers.contains_key("retry-after"));
    assert_eq!(reply.json().await.1["error"]["type"], "server_error");
}

#[tokio::test]
async fn texts_are_cut_into_tokens_and_put_together_again() {
    let stage = Stage::open().await;
    let cut = stage.worker.ask("/tokenize", &json!({"prompt": "abc"})).await;
    let tokens = cut["tokens"].clone();
    assert_eq!(cut["count"], tokens.as_array().unwrap().len());
    assert_eq!(cut["max_model_len"], 512);
    let whole = stage.worker.ask("/detokenize", &json!({"tokens": tokens})).await;
    assert_eq!(whole["prompt"], "abc");
}

#[tokio::test]
async fn the_older_api_gives_a_result_for_each_prompt() {
    let stage = Stage::open().await;
    let sampling = json!({"temperature": 0, "max_tokens": 2});
    let body = json!({"prompts": ["a", "p"], "sampling_params": sampling});
    let answer = stage.worker.ask("/generate", &body).await;
    let result = |prompt: &str, text: &str| json!({"prompt": prompt, "text": text});
    assert_eq!(answer, json!({"results": [result("a", "bc"), result("p", "qr")]}));

    let nothing = stage.worker.post("/generate", &json!({"prompts": []})).await.json().await;
    assert_eq!(nothing, (400, json!({"error": "No prompts provided."})));
}

#[test]
fn a_stream_is_read_to_its_mark() {
    assert_eq!(events("data: {\"a\":1}\n\ndata: [DONE]\n\n"), [json!({"a": 1})]);
}
