//! Whole answers and streams, from request to last byte.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    openai::Call,
    testing::{sampled, stamp, text_side},
    text::TextSide,
};

const USAGE: engine::Usage =
    engine::Usage { prompt_tokens: 10, cached_tokens: 4, completion_tokens: 5 };

/// Answers every sequence of a request with a text, and gives the bytes that the client gets.
struct Story {
    text: &'static TextSide,
    call: Call,
    sent: Vec<u8>,
}

fn chat(request: &Value) -> Story {
    let text = text_side();
    let mut call = text.chat(request.to_string().as_bytes(), &stamp()).unwrap();
    let sent = call.answer.begin().concat();
    Story { text, call, sent }
}

fn completion(request: &Value) -> Story {
    let text = text_side();
    let mut call = text.completion(request.to_string().as_bytes(), &stamp()).unwrap();
    let sent = call.answer.begin().concat();
    Story { text, call, sent }
}

impl Story {
    fn says(mut self, sequence: usize, answer: &str, ended: Ended) -> Self {
        for token in self.text.tokenizer.encode(answer, false).unwrap() {
            self.sent.extend(self.call.answer.token(sequence, &sampled(token)).concat());
        }
        self.sent.extend(self.call.answer.finished(sequence, ended, USAGE).concat());
        self
    }

    fn sent(mut self) -> String {
        self.sent.extend(self.call.answer.end());
        String::from_utf8(self.sent).unwrap()
    }

    fn whole(self) -> Value {
        serde_json::from_str(&self.sent()).unwrap()
    }

    /// The events of a stream, which must end as it should.
    fn events(self) -> Vec<Value> {
        let sent = self.sent();
        let mut events: Vec<&str> = sent.split_terminator("\n\n").collect();
        assert_eq!(events.pop(), Some("data: [DONE]"));
        let json =
            |event: &str| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
        events.into_iter().map(json).collect()
    }
}

fn hello() -> Value {
    json!({"messages": [{"role": "user", "content": "Hello"}]})
}

fn with(mut request: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("fields of a request") };
    request.as_object_mut().unwrap().extend(fields);
    request
}

fn tools() -> Value {
    json!([{"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}])
}

#[test]
fn a_whole_chat_answer() {
    let answer = chat(&hello()).says(0, "the end", Ended::Stop).whole();
    assert_eq!(
        answer,
        json!({
            "id": "chatcmpl-7", "object": "chat.completion", "created": 1_795_262_400, "model": "small",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "the end"},
                         "logprobs": null, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
                      "prompt_tokens_details": {"cached_tokens": 4},
                      "completion_tokens_details": {"reasoning_tokens": 0}},
        })
    );
}

#[test]
fn a_streamed_chat_answer() {
    let request = with(hello(), json!({"stream": true, "stream_options": {"include_usage": true}}));
    let events = chat(&request).says(0, "the end", Ended::Length).events();
    let deltas: Vec<&Value> = events.iter().filter_map(|event| event["choices"].get(0)).collect();
    assert_eq!(deltas[0]["delta"], json!({"role": "assistant", "content": ""}));
    let said: String =
        deltas.iter().filter_map(|choice| choice["delta"]["content"].as_str()).collect();
    assert_eq!(said, "the end");
    let last = deltas.last().unwrap();
    assert_eq!((&last["delta"], &last["finish_reason"]), (&json!({}), &json!("length")));
    assert!(deltas[..deltas.len() - 1].iter().all(|choice| choice["finish_reason"].is_null()));
    let end = events.last().unwrap();
    assert_eq!((&end["choices"], &end["usage"]["total_tokens"]), (&json!([]), &json!(15)));
    assert!(
        events
            .iter()
            .all(|event| event["id"] == "chatcmpl-7" && event["object"] == "chat.completion.chunk")
    );
}

#[test]
fn usage_is_streamed_only_if_asked_for() {
    let events = chat(&with(hello(), json!({"stream": true}))).says(0, "in", Ended::Stop).events();
    assert!(events.iter().all(|event| event.get("usage").is_none()));
}

#[test]
fn thoughts_and_calls_have_fields_of_their_own() {
    let text = "<think>\nhm\n</think>\n\nI look.<tool_call>\n{\"name\": \"find\", \"arguments\": {\"q\": 1}}\n</tool_call>";
    let answer = chat(&with(hello(), json!({"tools": tools()}))).says(0, text, Ended::Stop).whole();
    assert_eq!(
        answer["choices"][0]["message"],
        json!({
            "role": "assistant", "content": "I look.", "reasoning_content": "hm",
            "tool_calls": [{"id": "call_7_0_0", "type": "function",
                            "function": {"name": "find", "arguments": "{\"q\": 1}"}}],
        })
    );
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
    assert!(answer["usage"]["completion_tokens_details"]["reasoning_tokens"].as_u64() > Some(3));
}

#[test]
fn a_message_that_only_calls_has_no_content() {
    let text = "<tool_call>\n{\"name\": \"find\", \"arguments\": {}}\n</tool_call>";
    let answer = chat(&with(hello(), json!({"tools": tools()}))).says(0, text, Ended::Stop).whole();
    assert_eq!(answer["choices"][0]["message"]["content"], Value::Null);
}

#[test]
fn calls_are_streamed_in_pieces_with_their_number() {
    let call = "<tool_call>\n{\"name\": \"find\", \"arguments\": {\"q\": 1}}\n</tool_call>\n";
    let request = with(hello(), json!({"tools": tools(), "stream": true}));
    let events = chat(&request).says(0, &call.repeat(2), Ended::Stop).events();
    let mut calls: Vec<(Value, String)> = Vec::new();
    for piece in events.iter().filter_map(|event| event["choices"][0]["delta"]["tool_calls"].get(0))
    {
        let index = usize::try_from(piece["index"].as_u64().unwrap()).unwrap();
        if index == calls.len() {
            assert_eq!(
                (&piece["type"], &piece["function"]["name"]),
                (&json!("function"), &json!("find"))
            );
            calls.push((piece["id"].clone(), String::new()));
        } else {
            assert_eq!(piece.get("id"), None);
        }
        calls[index].1 += piece["function"]["arguments"].as_str().unwrap();
    }
    let arguments = "{\"q\": 1}".to_owned();
    assert_eq!(calls, [(json!("call_7_0_0"), arguments.clone()), (json!("call_7_0_1"), arguments)]);
}

#[test]
fn choices_are_told_apart_and_their_prompt_counts_once() {
    let story = chat(&with(hello(), json!({"n": 2, "seed": 9})));
    let seeds: Vec<u64> = story.call.sequences.iter().map(|wanted| wanted.sampling.seed).collect();
    assert_eq!(seeds, [9, 10]);
    let answer = story.says(1, "in", Ended::Stop).says(0, "the", Ended::Length).whole();
    let told: Vec<(&Value, &Value)> = answer["choices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|choice| (&choice["message"]["content"], &choice["finish_reason"]))
        .collect();
    assert_eq!(told, [(&json!("the"), &json!("length")), (&json!("in"), &json!("stop"))]);
    let usage = &answer["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(10), &json!(10)));
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 4);
}

#[test]
fn log_probabilities_of_a_chat() {
    let request = with(hello(), json!({"logprobs": true, "top_logprobs": 2}));
    let story = chat(&request);
    assert_eq!(story.call.sequences[0].sampling.logprobs, Some(2));
    let answer = story.says(0, "inthe", Ended::Stop).whole();
    let content = answer["choices"][0]["logprobs"]["content"].as_array().unwrap();
    let tokens: Vec<&Value> = content.iter().map(|one| &one["token"]).collect();
    assert_eq!(tokens, ["in", "the"]);
    assert_eq!(content[0]["bytes"], json!([105, 110]));
    assert_eq!(content[0]["top_logprobs"][1]["token"], "!");
}

#[test]
fn streamed_log_probabilities_are_those_of_the_whole_answer() {
    let request = with(hello(), json!({"logprobs": true, "stop": ["inthex"]}));
    let whole = chat(&request).says(0, "inthe and", Ended::Stop).whole();
    let events =
        chat(&with(request, json!({"stream": true}))).says(0, "inthe and", Ended::Stop).events();
    let streamed: Vec<Value> = events
        .iter()
        .filter_map(|event| event["choices"][0]["logprobs"]["content"].as_array())
        .flatten()
        .cloned()
        .collect();
    assert_eq!(Value::from(streamed), whole["choices"][0]["logprobs"]["content"]);
}

#[test]
fn a_whole_completion() {
    let request = json!({"prompt": ["a", "b"], "n": 2, "echo": true});
    let mut story = completion(&request);
    assert_eq!(story.call.sequences.len(), 4);
    for sequence in 0..4 {
        story = story.says(sequence, " the", Ended::Length);
    }
    let answer = story.whole();
    let texts: Vec<&Value> =
        answer["choices"].as_array().unwrap().iter().map(|choice| &choice["text"]).collect();
    assert_eq!(texts, ["a the", "a the", "b the", "b the"]);
    assert_eq!((&answer["object"], &answer["id"]), (&json!("text_completion"), &json!("cmpl-7")));
    assert_eq!(answer["usage"]["prompt_tokens"], 20);
    assert_eq!(answer["choices"][3]["index"], 3);
}

#[test]
fn log_probabilities_of_a_completion_are_four_lists() {
    let answer =
        completion(&json!({"prompt": "a", "logprobs": 1})).says(0, "inthe", Ended::Stop).whole();
    let lists = &answer["choices"][0]["logprobs"];
    assert_eq!(lists["tokens"], json!(["in", "the"]));
    assert_eq!(lists["text_offset"], json!([0, 2]));
    assert_eq!(lists["token_logprobs"].as_array().unwrap().len(), 2);
    assert!(lists["top_logprobs"][0]["!"].is_number());
}

#[test]
fn a_streamed_completion_begins_with_the_echo() {
    let request = json!({"prompt": "a", "echo": true, "stream": true, "stream_options": {"include_usage": true}});
    let events = completion(&request).says(0, " the", Ended::Stop).events();
    let text: String =
        events.iter().filter_map(|event| event["choices"][0]["text"].as_str()).collect();
    assert_eq!(text, "a the");
    assert_eq!(events.last().unwrap()["usage"]["completion_tokens"], 5);
}

#[test]
fn a_text_of_markup_is_not_parsed() {
    let text = "<think>a</think><tool_call>";
    let answer = completion(&json!({"prompt": "a"})).says(0, text, Ended::Stop).whole();
    assert_eq!(answer["choices"][0]["text"], text);
}

#[test]
fn what_ai_platform_is_answered() {
    let text = text_side();
    let request = json!({"prompts": ["a", "b"], "sampling_params": {"max_tokens": 9}});
    let call = text.generate(request.to_string().as_bytes(), &stamp()).unwrap();
    assert_eq!(call.sequences[1].sampling.temperature, 0.6);
    assert_eq!(call.sequences[1].max_tokens, 9);
    let story = Story { text, call, sent: Vec::new() };
    let answer = story.says(0, " the", Ended::Stop).says(1, "in", Ended::Length).whole();
    let expected =
        json!({"results": [{"prompt": "a", "text": " the"}, {"prompt": "b", "text": "in"}]});
    assert_eq!(answer, expected);
}

#[test]
fn a_stream_that_cannot_go_on_says_why() {
    let story = chat(&with(hello(), json!({"stream": true})));
    let error = ApiError::new(types::ErrorCode::InternalError, "the grammar failed");
    let frame = String::from_utf8(story.call.answer.failed(&error).to_vec()).unwrap();
    assert!(frame.starts_with(
        "data: {\"error\":{\"message\":\"the grammar failed\",\"type\":\"server_error\""
    ));
    assert!(frame.ends_with("\n\n"));
}

proptest! {
    /// A client that puts the pieces together has the whole answer.
    #[test]
    fn a_stream_tells_what_a_whole_answer_tells(
        parts in prop::collection::vec(prop_oneof![
            Just("<think>"), Just("</think>"), Just(" the"), Just("é"), Just("\n\n"), Just("in"),
            Just("<tool_call>\n{\"name\": \"find\", \"arguments\": {\"q\": \"é\"}}\n</tool_call>"),
        ], 0..8),
    ) {
        let (text, request) = (parts.concat(), with(hello(), json!({"tools": tools()})));
        let whole = chat(&request).says(0, &text, Ended::Stop).whole();
        let message = &whole["choices"][0]["message"];
        let events = chat(&with(request, json!({"stream": true}))).says(0, &text, Ended::Stop).events();
        let join = |field: &str| -> String {
            events.iter().filter_map(|event| event["choices"][0]["delta"][field].as_str()).collect()
        };
        prop_assert_eq!(join("content"), message["content"].as_str().unwrap_or_default());
        prop_assert_eq!(join("reasoning_content"), message["reasoning_content"].as_str().unwrap_or_default());
        let arguments: String = events.iter()
            .filter_map(|event| event["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str())
            .collect();
        let calls = message["tool_calls"].as_array().into_iter().flatten();
        let expected: String = calls.filter_map(|call| call["function"]["arguments"].as_str()).collect();
        prop_assert_eq!(arguments, expected);
        let finish = &events.last().unwrap()["choices"][0]["finish_reason"];
        prop_assert_eq!(finish, &whole["choices"][0]["finish_reason"]);
    }
}
