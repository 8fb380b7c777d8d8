//! Requests, good and bad: what they become, and how the bad ones are told.

use serde_json::{Value, json};

use super::*;
use crate::testing::{folder, stamp, text_side, token, write};
use crate::text::TextSide;

fn with(fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("fields of a request") };
    let mut request = json!({"messages": [{"role": "user", "content": "Hi"}]});
    request.as_object_mut().unwrap().extend(fields);
    request
}

fn chat(request: &Value) -> Result<Call, ApiError> {
    text_side().chat(request.to_string().as_bytes(), &stamp())
}

fn completion(request: &Value) -> Result<Call, ApiError> {
    text_side().completion(request.to_string().as_bytes(), &stamp())
}

fn refused(result: Result<Call, ApiError>) -> ApiError {
    match result {
        Ok(_) => panic!("it was taken"),
        Err(error) => error,
    }
}

fn prompt(call: &Call) -> String {
    tokenize::text_of(&text_side().vocabulary, &call.sequences[0].prompt)
}

fn weather() -> Value {
    json!([{"type": "function", "function": {"name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}])
}

#[test]
fn a_conversation_becomes_the_prompt_of_its_template() {
    let call =
        chat(&with(json!({"model": "whatever", "user": "u", "metadata": {}, "store": true})))
            .unwrap();
    assert_eq!(prompt(&call), "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
    let wanted = &call.sequences[0];
    assert_eq!(wanted.stop_tokens, [token("<|im_end|>"), token("<|endoftext|>")]);
    assert_eq!(wanted.max_tokens, 4000 - wanted.prompt.len());
    assert!(wanted.guide.is_none() && wanted.watch.is_none());
}

#[test]
fn what_a_request_does_not_say_the_model_recommends() {
    let sampling = chat(&with(json!({}))).unwrap().sequences[0].sampling.clone();
    assert_eq!((sampling.temperature, sampling.top_k, sampling.top_p), (0.7, 20, 0.8));
    assert_eq!(sampling.seed, 42);
    let request = with(json!({"temperature": 0, "top_k": -1, "top_p": 1, "min_p": 0.1, "seed": -1,
        "presence_penalty": 1, "frequency_penalty": -1, "repetition_penalty": 1.1,
        "logit_bias": {"3": 5.0}}));
    let sampling = chat(&request).unwrap().sequences[0].sampling.clone();
    let expected = SamplingParams {
        temperature: 0.0,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.1,
        repetition_penalty: 1.1,
        presence_penalty: 1.0,
        frequency_penalty: -1.0,
        logit_bias: vec![(3, 5.0)],
        seed: u64::MAX,
        logprobs: None,
    };
    assert_eq!(sampling, expected);
}

#[test]
fn content_may_come_in_parts() {
    let parts = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
    let call = chat(
        &json!({"messages": [{"role": "developer", "content": "c"}, {"role": "user", "content": parts}]}),
    );
    let expected = "<|im_start|>system\nc<|im_end|>\n<|im_start|>user\na\nb<|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(prompt(&call.unwrap()), expected);
}

#[test]
fn earlier_calls_are_shown_as_objects() {
    let call =
        json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}});
    let call = chat(&json!({"messages": [{"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c", "content": "y"}]}));
    let prompt = prompt(&call.unwrap());
    assert!(
        prompt.contains("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>"),
        "{prompt}"
    );
}

#[test]
fn tools_are_shown_unless_they_are_not_to_be_called() {
    let shows = |fields: Value| prompt(&chat(&with(fields)).unwrap()).contains("weather");
    assert!(shows(json!({"tools": weather()})));
    assert!(!shows(json!({"tools": weather(), "tool_choice": "none"})));
}

#[test]
fn whoever_must_call_begins_at_once_unless_asked_to_think() {
    let named = json!({"type": "function", "function": {"name": "weather"}});
    let kwargs = json!({"enable_thinking": true});
    for (fields, thinks) in [
        (json!({"tool_choice": "required"}), false),
        (json!({"tool_choice": named}), false),
        (json!({"tool_choice": "required", "enable_thinking": false}), false),
        (json!({"tool_choice": "required", "enable_thinking": true}), true),
        (json!({"tool_choice": "required", "chat_template_kwargs": kwargs}), true),
    ] {
        let mut request = with(fields.clone());
        request["tools"] = weather();
        let mut call = chat(&request).unwrap();
        let mask = call.sequences[0].guide.as_mut().unwrap().mask().unwrap();
        assert!(mask.allows(token("<tool_call>")) && !mask.allows(0), "{fields}");
        assert_eq!(mask.allows(token("<think>")), thinks, "{fields}");
    }
}

#[test]
fn shapes_have_many_names() {
    let schema = json!({"type": "integer"});
    for fields in [
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": true}}}),
        json!({"guided_json": schema}),
        json!({"guided_json": schema.to_string()}),
        json!({"guided_regex": "[0-9]+"}),
        json!({"guided_choice": ["7", "8"]}),
        json!({"guided_grammar": "start: /[0-9]+/"}),
        json!({"structured_outputs": {"json": schema}}),
        json!({"structured_outputs": {"regex": "[0-9]+"}}),
        json!({"structured_outputs": {"choice": ["7"]}}),
        json!({"structured_outputs": {"grammar": "start: /[0-9]+/"}}),
    ] {
        let mut request = json!({"prompt": "x"});
        request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let mut call = completion(&request).unwrap();
        let mask = call.sequences[0].guide.as_mut().unwrap().mask().unwrap();
        let [seven, letter] = ["7", "x"].map(|text| text_side().tokenizer.token(text).unwrap());
        assert!(mask.allows(seven) && !mask.allows(letter), "{fields}");
    }
    for fields in [
        json!({"response_format": {"type": "json_object"}}),
        json!({"structured_outputs": {"json_object": true}}),
    ] {
        let mut call = chat(&with(fields)).unwrap();
        let brace = text_side().tokenizer.token("{").unwrap();
        assert!(call.sequences[0].guide.as_mut().unwrap().mask().unwrap().allows(brace));
    }
    assert!(
        chat(&with(json!({"response_format": {"type": "text"}}))).unwrap().sequences[0]
            .guide
            .is_none()
    );
}

#[test]
fn stop_strings_are_watched() {
    let call = chat(&with(json!({"stop": "the"}))).unwrap();
    let mut watch = call.sequences.into_iter().next().unwrap().watch.unwrap();
    let tokens = text_side().tokenizer.encode("a the", false).unwrap();
    let ends: Vec<bool> = tokens.iter().map(|&token| watch.ends(token)).collect();
    assert_eq!(ends, [false, true]);
}

#[test]
fn end_tokens_can_be_ignored_and_added() {
    let call = chat(&with(json!({"ignore_eos": true, "stop_token_ids": [5]}))).unwrap();
    assert_eq!(call.sequences[0].stop_tokens, [5]);
}

/// Each chat is refused: the field, and some of the words.
fn blamed(cases: &[(Value, &str, &str)]) {
    for (fields, param, words) in cases {
        let error = refused(chat(&with(fields.clone())));
        assert_eq!(error.param.as_deref(), Some(*param), "{fields}: {error}");
        assert!(error.message.contains(words), "{fields}: {error}");
        assert_eq!(error.status(), 400, "{fields}");
    }
}

#[test]
fn the_part_of_a_conversation_at_fault_is_named() {
    blamed(&[
        (json!({"messages": []}), "messages", "No messages provided"),
        (json!({"messages": "Hi"}), "messages", "`messages`: invalid type: string"),
        (
            json!({"messages": [{"role": "user", "content": 3}]}),
            "messages[0].content",
            "expected a string or an array",
        ),
        (
            json!({"messages": [{"role": "robot", "content": "a"}]}),
            "messages[0].role",
            "not `robot`",
        ),
        (json!({"messages": [{"role": "user"}]}), "messages[0].content", "is missing"),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}),
            "messages[0].content[0]",
            "of type `image_url`; this model takes text",
        ),
        (json!({"tool_choice": "required"}), "tool_choice", "needs `tools`"),
        (json!({"tools": weather(), "tool_choice": "must"}), "tool_choice", "not `must`"),
        (
            json!({"tools": weather(), "tool_choice": {"type": "function", "function": {"name": "rain"}}}),
            "tool_choice.function.name",
            "`rain`, which is not among",
        ),
        (
            json!({"tools": [{"type": "search", "function": {"name": "a"}}]}),
            "tools[0].type",
            "not `search`",
        ),
        (
            json!({"tools": [{"type": "function", "function": {"name": ""}}]}),
            "tools[0].function.name",
            "1 to 64 bytes",
        ),
        (json!({"functions": []}), "functions", "use `tools`"),
        (json!({"chat_template": "x"}), "chat_template", "not supported"),
        (json!({"continue_final_message": true}), "continue_final_message", "not supported"),
    ]);
}

#[test]
fn the_number_at_fault_is_named() {
    blamed(&[
        (
            json!({"temperature": "hot"}),
            "temperature",
            "`temperature`: invalid type: string \"hot\", expected f64",
        ),
        (json!({"temperature": -1}), "temperature", "`temperature` must be from 0 to 2, not -1.0"),
        (json!({"temperature": 2.1}), "temperature", "`temperature` must be from 0 to 2, not 2.1"),
        (json!({"temperature": 1e38}), "temperature", "must be from 0 to 2, not 1e38"),
        (json!({"top_p": 0}), "top_p", "must be above 0 and at most 1"),
        (json!({"top_k": -2}), "top_k", "must be from 0"),
        (json!({"min_p": 2}), "min_p", "from 0 to 1"),
        (json!({"presence_penalty": 3}), "presence_penalty", "from -2 to 2"),
        (json!({"repetition_penalty": 0}), "repetition_penalty", "above 0"),
        (json!({"logit_bias": {"the": 1}}), "logit_bias", "`the` is none"),
        (json!({"logit_bias": {"300": 1}}), "logit_bias", "below 300; `300` is none"),
        (json!({"logit_bias": {"3": 101}}), "logit_bias", "from -100 to 100"),
        (json!({"n": 0}), "n", "`n` must be from 1 to 8, not 0"),
        (json!({"n": 9}), "n", "not 9"),
        (json!({"max_tokens": 0}), "max_tokens", "must be at least 1, not 0"),
        (
            json!({"max_tokens": 1, "max_completion_tokens": 2}),
            "max_completion_tokens",
            "give one of them",
        ),
        (json!({"stop": 3}), "stop", "expected a string or an array of strings"),
        (json!({"stop": ["a", ""]}), "stop", "1 to 1024 bytes"),
        (json!({"stop": vec!["a"; 17]}), "stop", "at most 16"),
        (json!({"stop_token_ids": [300]}), "stop_token_ids", "from 0 to 299"),
        (json!({"top_logprobs": 3}), "top_logprobs", "needs `logprobs`"),
        (json!({"logprobs": true, "top_logprobs": 21}), "top_logprobs", "from 0 to 20"),
    ]);
}

#[test]
fn the_shape_at_fault_is_named() {
    blamed(&[
        (json!({"response_format": {"type": "yaml"}}), "response_format.type", "not `yaml`"),
        (
            json!({"response_format": {"type": "json_schema"}}),
            "response_format.json_schema.schema",
            "is missing",
        ),
        (json!({"guided_json": {"type": "strin"}}), "guided_json", "`guided_json` cannot be used"),
        (json!({"guided_json": "{"}), "guided_json", "is not JSON"),
        (json!({"guided_regex": "("}), "guided_regex", "`guided_regex` cannot be used"),
        (
            json!({"structured_outputs": {"grammar": "begin: x"}}),
            "structured_outputs.grammar",
            "cannot be used",
        ),
        (json!({"guided_regex": "a", "guided_choice": ["a"]}), "guided_choice", "cannot both"),
        (json!({"guided_regex": "a", "ignore_eos": true}), "ignore_eos", "complete"),
        (
            json!({"tools": weather(), "tool_choice": "required", "guided_regex": "a"}),
            "guided_regex",
            "forces a call",
        ),
    ]);
}

#[test]
fn what_completions_cannot_do_is_said() {
    for (request, param, words) in [
        (json!({}), "prompt", "is missing"),
        (json!({"prompt": []}), "prompt", "at least one text"),
        (json!({"prompt": ""}), "prompt", "nothing to continue"),
        (json!({"prompt": [[1], []]}), "prompt", "is empty"),
        (json!({"prompt": [300]}), "prompt", "below 300"),
        (json!({"prompt": {}}), "prompt", "expected a string, an array of strings"),
        (json!({"prompt": vec!["a"; 5], "n": 2}), "prompt", "10 answers at once"),
        (json!({"prompt": "a", "suffix": "b"}), "suffix", "not supported"),
        (json!({"prompt": "a", "best_of": 3}), "best_of", "not supported"),
        (json!({"prompt": "a", "echo": true, "logprobs": 1}), "echo", "not supported"),
        (json!({"prompt": "a", "logprobs": 21}), "logprobs", "from 0 to 20"),
    ] {
        let error = refused(completion(&request));
        assert_eq!(error.param.as_deref(), Some(param), "{request}: {error}");
        assert!(error.message.contains(words), "{request}: {error}");
    }
}

#[test]
fn prompts_may_be_tokens() {
    let call = completion(&json!({"prompt": [[1, 2], [3]], "stream": null})).unwrap();
    let prompts: Vec<&[TokenId]> =
        call.sequences.iter().map(|wanted| wanted.prompt.as_slice()).collect();
    assert_eq!(prompts, [&[1, 2][..], &[3]]);
    assert_eq!(call.sequences[0].max_tokens, 16);
}

#[test]
fn a_prompt_that_does_not_fit_is_told_with_the_numbers() {
    let long = "a".repeat(5000);
    let error = refused(completion(&json!({"prompt": long})));
    assert_eq!(error.body().error.code.as_deref(), Some("context_length_exceeded"));
    assert!(error.message.contains("holds 4000 tokens, and `prompt` alone has 5000"), "{error}");
    let error = refused(completion(&json!({"prompt": "aaa", "max_tokens": 4000})));
    assert!(
        error
            .message
            .contains("asks for 4003: 3 of `prompt` and 4000 of `max_tokens`; at most 3997"),
        "{error}"
    );
    assert_eq!(
        completion(&json!({"prompt": "aaa", "max_tokens": 3997})).unwrap().sequences[0].max_tokens,
        3997
    );
}

#[test]
fn a_prompt_far_beyond_the_context_is_refused_by_its_bytes() {
    let bytes = "</tool_response>".len();
    // So many bytes might be so few tokens; whether they are is counted.
    let longest = "</tool_response>".repeat(4000);
    let error = refused(completion(&json!({"prompt": longest})));
    assert!(error.message.contains("alone has 4000;"), "{error}");
    assert_eq!(
        completion(&json!({"prompt": longest[bytes..]})).unwrap().sequences[0].max_tokens,
        1
    );
    // One more cannot be.
    for (request, field) in [
        (completion(&json!({"prompt": format!("{longest}a")})), "prompt"),
        (chat(&with(json!({"messages": [{"role": "user", "content": longest}]}))), "messages"),
    ] {
        let error = refused(request);
        assert_eq!(error.code.slug(), "context_length_exceeded");
        assert_eq!(error.param.as_deref(), Some(field));
        assert!(error.message.contains("bytes, which are at least 400"), "{error}");
    }
}

#[test]
fn a_conversation_has_a_bounded_number_of_messages() {
    let messages = vec![json!({"role": "user", "content": ""}); 2049];
    let error = refused(chat(&with(json!({"messages": messages}))));
    assert_eq!(error.message, "`messages` has 1 to 2048 messages, not 2049");
}

#[test]
fn bodies_that_are_no_requests_are_told_in_the_words_of_ai_platform() {
    let text = text_side();
    let message = |body: &str| refused(text.chat(body.as_bytes(), &stamp())).message;
    assert_eq!(message(" "), "No request body provided.");
    assert!(message("{\"messages\": [").starts_with("Invalid JSON in request body: EOF"));
    assert!(message("{} {}").starts_with("Invalid JSON in request body: trailing characters"));
    let array = "The request body must be a JSON object, not an array.";
    assert_eq!(message("[]"), array);
    let error = refused(text.generate(b" [\"a\", [\"b\"]]", &stamp()));
    assert_eq!(error.message, array);
    assert!(message("7").contains("invalid type: integer `7`"));
    let error = refused(text.generate(b"{\"prompts\": []}", &stamp()));
    assert_eq!(error.message, "No prompts provided.");
    let error = refused(
        text.generate(b"{\"prompts\": [\"a\"], \"sampling_params\": {\"top_p\": \"x\"}}", &stamp()),
    );
    assert_eq!(error.param.as_deref(), Some("sampling_params.top_p"));
}

#[test]
fn what_ai_platform_asks_for_in_the_wrong_place_counts_as_well() {
    let text = text_side();
    let generate = |fields: Value| {
        let mut request = json!({"prompts": ["a"], "sampling_params": {"temperature": 1}});
        request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        text.generate(request.to_string().as_bytes(), &stamp())
    };
    let error = refused(generate(json!({"max_tokens": -3})));
    assert_eq!(error.message, "`max_tokens` must be at least 1, not -3");
    let call = generate(json!({"max_tokens": 3, "temperature": 0})).unwrap();
    let wanted = &call.sequences[0];
    assert_eq!((wanted.max_tokens, wanted.sampling.temperature), (3, 1.0));
    let error = refused(generate(json!({"sampling_params": {"max_tokens": -3}})));
    assert_eq!(error.message, "`max_tokens` must be at least 1, not -3");
}

#[test]
fn a_model_without_a_template_cannot_chat_but_continue() {
    let folder = folder();
    write(folder.path(), "tokenizer_config.json", &json!({}));
    let text = TextSide::open(folder.path(), crate::testing::facts()).unwrap();
    assert!(!text.can_chat());
    let error = refused(text.chat(with(json!({})).to_string().as_bytes(), &stamp()));
    assert!(
        error.message.contains("no chat template") && error.message.contains("/v1/completions"),
        "{error}"
    );
    assert!(text.completion(b"{\"prompt\": \"a\"}", &stamp()).is_ok());
}

#[test]
fn texts_are_cut_and_put_together() {
    let text = text_side();
    let answer = text.tokenize(b"{\"prompt\": \"in the\"}", stamp().now).unwrap();
    assert_eq!((answer.count, answer.max_model_len), (2, 4000));
    let body = json!({"tokens": answer.tokens}).to_string();
    assert_eq!(text.detokenize(body.as_bytes()).unwrap().prompt, "in the");
    let chat = text.tokenize(with(json!({})).to_string().as_bytes(), stamp().now).unwrap();
    assert_eq!(chat.tokens[0], token("<|im_start|>"));
    assert!(text.tokenize(b"{}", stamp().now).is_err());
    assert!(text.detokenize(b"{\"tokens\": [300]}").unwrap_err().message.contains("below 300"));
}

#[test]
fn refusals_of_the_engine_keep_their_meaning() {
    let full = engine::Refused::QueueFull { waiting: 3, max_queue: 3 };
    assert_eq!(ApiError::from(full).status(), 429);
    let overflow = engine::Refused::ContextOverflow { prompt: 9, max_model_len: 9 };
    assert_eq!(ApiError::from(overflow).code.slug(), "context_length_exceeded");
}
