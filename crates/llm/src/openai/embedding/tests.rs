//! Requests for vectors.

use serde_json::{Value, json};

use super::*;
use crate::testing;

fn read(request: &Value) -> Result<EmbeddingCall, ApiError> {
    let text = EmbeddingText::open(testing::folder().path(), testing::facts(), 2).unwrap();
    text.read(request.to_string().as_bytes())
}

#[test]
fn texts_and_tokens_are_taken() {
    let lengths = |input: Value| -> Vec<usize> {
        read(&json!({"input": input})).unwrap().inputs.iter().map(Vec::len).collect()
    };
    assert_eq!(lengths(json!("in the")), [2]);
    assert_eq!(lengths(json!(["in the", "a"])), [2, 1]);
    assert_eq!(lengths(json!([1, 2, 3])), [3]);
    assert_eq!(lengths(json!([[1], [2, 3]])), [1, 2]);
}

#[test]
fn vectors_are_told_in_order_as_numbers() {
    let call = read(&json!({"input": ["in the", "a"], "dimensions": 2})).unwrap();
    let answer = serde_json::to_value(call.answer(vec![vec![1.0, 0.5], vec![0.0, -2.0]])).unwrap();
    assert_eq!(
        answer,
        json!({
            "object": "list", "model": "small",
            "data": [{"object": "embedding", "index": 0, "embedding": [1.0, 0.5]},
                     {"object": "embedding", "index": 1, "embedding": [0.0, -2.0]}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3},
        })
    );
}

#[test]
fn vectors_may_be_base64_of_little_endian_floats() {
    let call = read(&json!({"input": "a", "encoding_format": "base64"})).unwrap();
    let Vector::Base64(text) = &call.answer(vec![vec![1.0, 0.5]]).data[0].embedding else {
        panic!("base64 was asked for")
    };
    assert_eq!(BASE64.decode(text.as_bytes()).unwrap(), [0, 0, 128, 63, 0, 0, 0, 63]);
}

#[test]
fn the_field_at_fault_is_named() {
    for (request, param, words) in [
        (json!({}), "input", "is missing"),
        (json!({"input": []}), "input", "1 to 8 texts, not 0"),
        (json!({"input": vec!["a"; 9]}), "input", "not 9"),
        (json!({"input": ""}), "input", "is empty"),
        (json!({"input": [300]}), "input", "below 300"),
        (json!({"input": ["a", "a".repeat(5000)]}), "input[1]", "has 5000 tokens"),
        (json!({"input": "a", "encoding_format": "hex"}), "encoding_format", "not `hex`"),
        (json!({"input": "a", "dimensions": 3}), "dimensions", "have 2 numbers"),
    ] {
        let error = read(&request).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{request}: {error}");
        assert!(error.message.contains(words), "{request}: {error}");
    }
}
