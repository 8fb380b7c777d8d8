//! What models recommend.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::testing::write;

fn open(generation: Option<&Value>, config: &Value) -> Result<Defaults, DefaultsError> {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "config.json", config);
    if let Some(generation) = generation {
        write(folder.path(), "generation_config.json", generation);
    }
    Defaults::open(folder.path())
}

#[test]
fn recommendations_are_taken() {
    let generation = json!({"do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 0.95,
        "repetition_penalty": 1.05, "max_new_tokens": 2048, "eos_token_id": [3, 4], "pad_token_id": 5});
    let defaults = open(Some(&generation), &json!({"eos_token_id": 9})).unwrap();
    let sampling = SamplingParams {
        temperature: 0.6,
        top_k: 20,
        top_p: 0.95,
        repetition_penalty: 1.05,
        ..SamplingParams::default()
    };
    assert_eq!(defaults, Defaults { sampling, max_tokens: Some(2048), end_tokens: vec![3, 4] });
}

#[test]
fn a_model_that_does_not_sample_is_greedy() {
    let defaults =
        open(Some(&json!({"do_sample": false, "temperature": 0.6})), &json!({})).unwrap();
    assert_eq!(defaults.sampling.temperature, 0.0);
}

#[test]
fn without_a_file_the_usual_holds() {
    let defaults = open(None, &json!({"eos_token_id": 9})).unwrap();
    let usual = Defaults { end_tokens: vec![9], ..Defaults::default() };
    assert_eq!(defaults, usual);
}

#[test]
fn damage_is_named_with_its_field() {
    for (generation, words) in [
        (json!({"temperature": "hot"}), "`temperature`: "),
        (json!({"eos_token_id": "</s>"}), "`eos_token_id`: expected a token id"),
        (json!({"top_p": 7.0}), "`top_p` must be above 0"),
    ] {
        let error = open(Some(&generation), &json!({})).unwrap_err().to_string();
        assert!(error.contains("generation_config.json") && error.contains(words), "{error}");
    }
}
