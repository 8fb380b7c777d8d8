//! What makes a model unavailable, in the words that the operator reads.

use serde_json::{Value, json};

use crate::calls::{build, spec};

#[track_caller]
fn check(model: Value, expected: Option<&str>) {
    let reason = build(&spec(model)).err().map(|unavailable| unavailable.reason);
    assert_eq!(reason.as_deref(), expected);
}

#[tokio::test]
async fn a_missing_variable_is_named() {
    let with = |model: Value| {
        let mut whole = json!({"kind": "http", "endpoint": "https://api.example/"});
        whole.as_object_mut().unwrap().extend(model.as_object().unwrap().clone());
        whole
    };
    check(with(json!({"headers": {"X-Key": "${TOKEN}"}})), None);
    check(
        with(json!({"headers": {"X-Key": "${NO_TOKEN}"}})),
        Some("NO_TOKEN is not set, and headers.X-Key needs it"),
    );
    check(with(json!({"api_key": "${NO_KEY}"})), Some("NO_KEY is not set, and api_key needs it"));
    check(
        with(json!({"endpoint": "http://${NO_HOST}/"})),
        Some("NO_HOST is not set, and endpoint needs it"),
    );
}

#[tokio::test]
async fn an_image_service_needs_a_key() {
    let model = spec(json!({"kind": "image-task"}));
    let built = adapters::build(&"ours".parse().unwrap(), &model, &|_| None);
    assert_eq!(built.err().unwrap().reason, "NANOBANANA_API_KEY is not set");

    check(json!({"kind": "image-task"}), None);
    check(
        json!({"kind": "image-task", "api_key": "${OTHER_KEY}"}),
        Some("OTHER_KEY is not set, and api_key needs it"),
    );
    check(json!({"kind": "image-task", "metadata": {"api_key": "given"}}), None);
}

#[tokio::test]
async fn a_malformed_setting_is_named_with_what_to_do() {
    check(
        json!({"kind": "openai", "endpoint": "localhost:8000"}),
        Some("endpoint must start with http:// or https://"),
    );
    check(json!({"kind": "openai"}), Some("endpoint is not set; give the address of the server"));
    check(
        json!({"kind": "http", "endpoint": "http://h/", "headers": {"a b": "1"}}),
        Some("headers.a b is not a header name"),
    );
    check(
        json!({"kind": "http", "endpoint": "http://h/", "headers": {"a": "1\n2"}}),
        Some("headers.a has characters no header may have"),
    );
    check(
        json!({"kind": "python", "implementation": "m:C"}),
        Some("models of this kind run in workers of their own"),
    );
}
