//! Each fault of a line is named by its field.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{BadEndpoint, Call, Endpoint, parse};

fn chat() -> Endpoint {
    Endpoint::OpenAi("/v1/chat/completions")
}

fn line() -> Value {
    json!({
        "custom_id": "a", "method": "POST", "url": "/v1/chat/completions",
        "body": {"model": "m", "messages": [{"role": "user", "content": "hé"}]},
    })
}

#[track_caller]
fn issue(text: &str) -> (&'static str, Option<&'static str>) {
    let issue = parse(text.as_bytes(), &chat()).unwrap_err();
    assert!(!issue.message.is_empty());
    (issue.code, issue.param)
}

#[track_caller]
fn with(pointer: &str, value: Value) -> (&'static str, Option<&'static str>) {
    let mut line = line();
    *line.pointer_mut(pointer).unwrap() = value;
    issue(&line.to_string())
}

#[test]
fn a_good_line_becomes_a_call_with_its_body_byte_for_byte() {
    let text = r#" {"body":{"model":"m", "x": 1.50},"url":"/v1/chat/completions","method":"post","custom_id":"a","more":1} "#;
    let call = parse(text.as_bytes(), &chat()).unwrap();
    let expected = Call {
        custom_id: "a".into(),
        model: "m".parse().unwrap(),
        route: Some("/v1/chat/completions".into()),
        body: r#"{"model":"m", "x": 1.50}"#.into(),
    };
    assert_eq!(call, expected);
}

#[test]
fn a_line_for_a_route_of_a_model_needs_no_model() {
    let endpoint: Endpoint = "/invoke/digits/explain?top=3".parse().unwrap();
    let text =
        r#"{"custom_id":"a","method":"POST","url":"/invoke/digits/explain?top=3","body":{}}"#;
    let call = parse(text.as_bytes(), &endpoint).unwrap();
    assert_eq!((call.model.as_str(), call.route.as_deref()), ("digits", Some("/explain?top=3")));
}

#[test]
fn what_is_missing_is_named() {
    for field in ["custom_id", "method", "url", "body"] {
        let mut line = line();
        line.as_object_mut().unwrap().remove(field);
        assert_eq!(issue(&line.to_string()), ("missing_required_parameter", Some(field)));
        assert_eq!(with(&format!("/{field}"), Value::Null).0, "missing_required_parameter");
    }
    assert_eq!(with("/body", json!({})), ("missing_required_parameter", Some("body.model")));
}

#[test]
fn what_is_wrong_is_named() {
    assert_eq!(issue("{\"custom_id\": "), ("invalid_json_line", None));
    assert_eq!(issue("[1, 2]"), ("invalid_json_line", None));
    assert_eq!(issue("hello"), ("invalid_json_line", None));
    assert_eq!(with("/custom_id", json!(7)), ("invalid_custom_id", Some("custom_id")));
    assert_eq!(with("/custom_id", json!("")), ("invalid_custom_id", Some("custom_id")));
    let long = json!("x".repeat(513));
    assert_eq!(with("/custom_id", long), ("invalid_custom_id", Some("custom_id")));
    assert_eq!(with("/method", json!("GET")), ("invalid_method", Some("method")));
    assert_eq!(with("/url", json!("/v1/embeddings")), ("invalid_url", Some("url")));
    assert_eq!(with("/body", json!([])), ("invalid_body", Some("body")));
    assert_eq!(with("/body/model", json!(7)), ("invalid_body", Some("body.model")));
    assert_eq!(
        with("/body/model", json!("no such/model")),
        ("model_not_found", Some("body.model"))
    );
    let mut streamed = line();
    streamed["body"]["stream"] = json!(true);
    assert_eq!(issue(&streamed.to_string()), ("invalid_body", Some("body.stream")));
    streamed["body"]["stream"] = json!(false);
    parse(streamed.to_string().as_bytes(), &chat()).unwrap();
}

#[test]
fn endpoints_read_back_what_they_print() {
    for text in ["/v1/embeddings", "/v1/completions", "/invoke/m", "/invoke/m/a/b"] {
        assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
    }
    for text in
        ["", "/v1/images", "v1/embeddings", "/invoke/", "/invoke/m/-/drain", "/invoke/m/a b"]
    {
        assert_eq!(text.parse::<Endpoint>(), Err(BadEndpoint), "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in ".{0,200}") {
        let _ = parse(text.as_bytes(), &chat());
    }

    #[test]
    fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes, &chat());
    }
}
