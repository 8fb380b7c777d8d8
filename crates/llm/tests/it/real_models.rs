//! Small checkpoints, loaded as a worker loads them and called as a client calls them.

use std::path::{Path, PathBuf};

use llm::load::{Loaded, LoadedModel, Order, StartError, load};
use serde_json::{Value, json};
use types::{EngineSpec, KvFormat, Quantize};

use crate::client::Served;

fn order(model: &str, spec: EngineSpec) -> Order {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/fixtures");
    Order { folder: fixtures.join(model), name: "tiny".into(), spec, cache: None }
}

/// What the tests have to spare.
fn small() -> EngineSpec {
    EngineSpec { threads: Some(2), max_sequences: 4, max_batch_tokens: 64, ..EngineSpec::default() }
}

fn loaded(model: &str, spec: EngineSpec) -> Result<Loaded, StartError> {
    load(&order(model, spec), &mut |_| {})
}

async fn served(model: &'static str, spec: EngineSpec) -> Served {
    // Loading tries the model, and waits for it.
    let loading = tokio::task::spawn_blocking(move || loaded(model, spec).unwrap());
    Served::start(loading.await.unwrap().model).await
}

fn talk(content: &str) -> Value {
    json!({"messages": [{"role": "user", "content": content}], "max_tokens": 12})
}

fn with(mut body: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("fields of an object") };
    for (name, value) in fields {
        body[name] = value;
    }
    body
}

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn every_architecture_writes_and_streams_what_it_writes_at_once() {
    for model in ["qwen3", "qwen2", "llama3", "mistral", "mistral-window"] {
        let worker = served(model, small()).await;
        let body = json!({"prompt": "Hello there", "max_tokens": 12, "temperature": 0,
                          "ignore_eos": true});
        let whole = worker.ask("/v1/completions", &body).await;
        let said = whole["choices"][0]["text"].as_str().unwrap();
        assert_eq!(whole["usage"]["completion_tokens"], 12, "{model}: {whole}");

        let body = with(body, json!({"stream": true}));
        let events = worker.events("/v1/completions", &body).await;
        let pieces = events.iter().filter_map(|event| event["choices"][0]["text"].as_str());
        assert_eq!(pieces.collect::<String>(), said, "{model}");
    }
}

#[tokio::test]
async fn every_mode_of_weights_and_of_keys_and_values_answers() {
    for quantize in [Quantize::Bf16, Quantize::Int8, Quantize::W8a8, Quantize::Int4] {
        for kv in [KvFormat::Bf16, KvFormat::Int8] {
            let worker = served("qwen3", EngineSpec { quantize, kv, ..small() }).await;
            let answer = worker.ask(CHAT, &with(talk("Hi"), json!({"ignore_eos": true}))).await;
            assert_eq!(answer["usage"]["completion_tokens"], 12, "{quantize:?} {kv:?}");
        }
    }
}

#[tokio::test]
async fn a_seed_decides_what_is_drawn_and_the_prefix_cache_does_not() {
    let worker = served("qwen3", small()).await;
    let long = "all work and no play makes Jack a dull boy. ".repeat(2);
    let body =
        |seed: u64| with(talk(&long), json!({"seed": seed, "temperature": 1.5, "logprobs": true}));
    let first = worker.ask(CHAT, &body(7)).await;
    let again = worker.ask(CHAT, &body(7)).await;
    assert_eq!(first["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
    let cached = &again["usage"]["prompt_tokens_details"]["cached_tokens"];
    assert!(cached.as_u64().unwrap() >= 32, "{cached}");
    assert_eq!(first["choices"], again["choices"], "to the last digit of the logprobs");
    assert_ne!(first["choices"], worker.ask(CHAT, &body(8)).await["choices"]);
}

#[tokio::test]
async fn requests_at_once_are_answered_as_they_are_alone() {
    let worker = served("qwen3", small()).await;
    let body = |n: usize| {
        let question = "why ".repeat(n);
        with(talk(&question), json!({"seed": n, "temperature": 1.0, "logprobs": true}))
    };
    let mut alone = Vec::new();
    for n in 1..=6 {
        alone.push(worker.ask(CHAT, &body(n)).await["choices"].clone());
    }
    let bodies: Vec<_> = (1..=6).map(body).collect();
    let together = bodies.iter().map(|body| worker.ask(CHAT, body));
    let together = futures_util::future::join_all(together).await;
    for (alone, together) in alone.iter().zip(&together) {
        assert_eq!(alone, &together["choices"]);
    }
}

#[tokio::test]
async fn a_schema_is_kept() {
    let worker = served("qwen3", small()).await;
    let schema = json!({"type": "object", "properties": {"ok": {"type": "boolean"}},
                        "required": ["ok"], "additionalProperties": false});
    let format = json!({"type": "json_schema", "json_schema": {"name": "ok", "schema": schema}});
    let fields = json!({"response_format": format, "max_tokens": 60, "n": 2});
    let answer = worker.ask(CHAT, &with(talk("Is it ok?"), fields)).await;
    for choice in answer["choices"].as_array().unwrap() {
        let text = choice["message"]["content"].as_str().unwrap();
        let value: Value = serde_json::from_str(text).unwrap();
        assert!(value["ok"].is_boolean(), "{text}");
        assert_eq!(choice["finish_reason"], "stop");
    }
}

#[tokio::test]
async fn texts_become_vectors_of_length_one_that_do_not_depend_on_their_company() {
    for model in ["bert-mean", "bert-cls"] {
        let worker = served(model, small()).await;
        let texts = json!({"input": ["one text", "another, which is longer"]});
        let both = worker.ask("/v1/embeddings", &texts).await;
        let vector = |answer: &Value, index: usize| -> Vec<f64> {
            let numbers = answer["data"][index]["embedding"].as_array().unwrap();
            numbers.iter().map(|number| number.as_f64().unwrap()).collect()
        };
        let second = vector(&both, 1);
        assert_eq!(second.len(), 64);
        let length = second.iter().map(|number| number * number).sum::<f64>().sqrt();
        assert!((length - 1.0).abs() < 1e-4, "{length}");
        let alone = json!({"input": "another, which is longer"});
        assert_eq!(vector(&worker.ask("/v1/embeddings", &alone).await, 0), second, "{model}");
        assert!(both["usage"]["prompt_tokens"].as_u64().unwrap() > 4);
    }
}

#[test]
fn what_was_tried_while_loading_is_counted_for_nobody() {
    let LoadedModel::Decoder(decoder) = loaded("qwen3", small()).unwrap().model else {
        panic!("it writes text")
    };
    let stats = decoder.handle.stats();
    assert_eq!((stats.prompt_tokens, stats.generated_tokens, stats.steps), (0, 0, 0));
}

#[track_caller]
fn refused(model: &str, spec: EngineSpec) -> String {
    match loaded(model, spec) {
        Ok(_) => panic!("{model} was loaded"),
        Err(error) => types::chain(&error),
    }
}

#[test]
fn too_little_memory_is_told_with_the_arithmetic() {
    let spec = EngineSpec { kv_memory_mb: Some(1 << 30), ..small() };
    let words = refused("qwen3", spec);
    assert!(words.contains("does not fit in memory: weights "), "{words}");
    assert!(words.contains("lower `engine.kv_memory_mb`"), "{words}");
}

/// A copy of the fixture without one file.
fn without(file: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let fixture = order("qwen3", small()).folder;
    for entry in std::fs::read_dir(fixture).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != file {
            std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
        }
    }
    let path = dir.path().to_owned();
    (dir, path)
}

#[test]
fn a_file_that_is_missing_is_named() {
    for file in ["config.json", "model.safetensors", "tokenizer.json"] {
        let (_dir, folder) = without(file);
        let order = Order { folder: folder.clone(), ..order("qwen3", small()) };
        let Err(error) = load(&order, &mut |_| {}) else { panic!("loaded without {file}") };
        let words = types::chain(&error);
        let named = words.contains(file) || words.contains(&*folder.to_string_lossy());
        assert!(named, "{file}: {words}");
    }
}
