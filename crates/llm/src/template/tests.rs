//! Chats, as models read them.

use serde_json::{Map, Value, json};
use tempfile::TempDir;
use time::macros::datetime;

use super::*;
use crate::testing::write;

const QWEN: &str = include_str!("../../tests/templates/qwen.jinja");
const LLAMA: &str = include_str!("../../tests/templates/llama.jinja");
const MISTRAL: &str = include_str!("../../tests/templates/mistral.jinja");

fn open(template: &str) -> ChatTemplate {
    let folder = TempDir::new().unwrap();
    let config = json!({"chat_template": template, "bos_token": "<s>",
        "eos_token": {"content": "</s>", "lstrip": false}, "pad_token": null});
    write(folder.path(), "tokenizer_config.json", &config);
    ChatTemplate::open(folder.path()).unwrap().unwrap()
}

struct Chat {
    messages: Value,
    tools: Value,
    variables: Value,
}

impl Chat {
    fn of(messages: Value) -> Self {
        Self { messages, tools: json!([]), variables: json!({}) }
    }

    fn render(&self, template: &ChatTemplate) -> Result<String, String> {
        let variables: Map<String, Value> = serde_json::from_value(self.variables.clone()).unwrap();
        let conversation = Conversation {
            messages: self.messages.as_array().unwrap(),
            tools: self.tools.as_array().unwrap(),
            add_generation_prompt: true,
            variables: &variables,
            now: datetime!(2026-11-21 12:00 UTC),
        };
        template.render(&conversation).map_err(|error| error.to_string())
    }
}

fn weather() -> Value {
    json!([{"type": "function", "function": {"name": "weather", "description": "Tells <it>",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}])
}

fn called() -> Value {
    json!([{"id": "c", "type": "function",
            "function": {"name": "weather", "arguments": {"city": "Köln", "days": [1, 2]}}}])
}

#[test]
fn a_chat_in_the_manner_of_qwen() {
    let chat = Chat::of(json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "2+2?"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\n4"},
        {"role": "user", "content": "And 3+3?"},
    ]));
    let expected = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n2+2?<|im_end|>\n\
        <|im_start|>assistant\n4<|im_end|>\n<|im_start|>user\nAnd 3+3?<|im_end|>\n\
        <|im_start|>assistant\n";
    assert_eq!(chat.render(&open(QWEN)).unwrap(), expected);
}

#[test]
fn thinking_can_be_switched_off() {
    let mut chat = Chat::of(json!([{"role": "user", "content": "Hi"}]));
    chat.variables = json!({"enable_thinking": false});
    let text = chat.render(&open(QWEN)).unwrap();
    assert!(text.ends_with("<|im_start|>assistant\n<think>\n\n</think>\n\n"), "{text}");
}

#[test]
fn tools_and_their_answers_in_the_manner_of_qwen() {
    let chat = Chat {
        messages: json!([
            {"role": "user", "content": "Rain?"},
            {"role": "assistant", "content": null, "reasoning_content": "look", "tool_calls": called()},
            {"role": "tool", "content": "sun"},
            {"role": "tool", "content": "rain"},
        ]),
        tools: weather(),
        variables: json!({}),
    };
    let expected = "<|im_start|>system\n# Tools\n\
        {\"type\": \"function\", \"function\": {\"name\": \"weather\", \"description\": \"Tells <it>\", \
        \"parameters\": {\"type\": \"object\", \"properties\": {\"city\": {\"type\": \"string\"}}}}}\
        <|im_end|>\n<|im_start|>user\nRain?<|im_end|>\n\
        <|im_start|>assistant\n<think>\nlook\n</think>\n\n\n<tool_call>\n\
        {\"name\": \"weather\", \"arguments\": {\"city\": \"Köln\", \"days\": [1, 2]}}\n</tool_call><|im_end|>\n\
        <|im_start|>user\n<tool_response>\nsun\n</tool_response>\n<tool_response>\nrain\n</tool_response><|im_end|>\n\
        <|im_start|>assistant\n";
    assert_eq!(chat.render(&open(QWEN)).unwrap(), expected);
}

#[test]
fn a_chat_in_the_manner_of_llama() {
    let mut chat = Chat::of(json!([
        {"role": "system", "content": " Be brief. "},
        {"role": "user", "content": "Rain?"},
        {"role": "assistant", "content": null, "tool_calls": called()},
        {"role": "tool", "content": "sun"},
    ]));
    chat.tools = json!([{"a": [], "b": {"c": 1}}]);
    let expected = "<s><|start_header_id|>system<|end_header_id|>\n\nDate: 21 Nov 2026\nBe brief.<|eot_id|>\
        <|start_header_id|>user<|end_header_id|>\n\n{\n  \"a\": [],\n  \"b\": {\n    \"c\": 1\n  }\n}\nRain?<|eot_id|>\
        <|start_header_id|>assistant<|end_header_id|>\n\n\
        {\"name\": \"weather\", \"parameters\": {\"city\": \"Köln\", \"days\": [1, 2]}}<|eot_id|>\
        <|start_header_id|>ipython<|end_header_id|>\n\nsun<|eot_id|>\
        <|start_header_id|>assistant<|end_header_id|>\n\n";
    assert_eq!(chat.render(&open(LLAMA)).unwrap(), expected);
}

#[test]
fn a_chat_in_the_manner_of_mistral() {
    let mut chat = Chat::of(json!([
        {"role": "system", "content": "Rules."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": " Hello "},
        {"role": "user", "content": "Rain?"},
    ]));
    chat.tools = weather();
    let expected = "<s>[INST] Hi[/INST] Hello</s>[AVAILABLE_TOOLS] [{\"name\": \"weather\", \
        \"description\": \"Tells <it>\", \"parameters\": {\"type\": \"object\", \"properties\": \
        {\"city\": {\"type\": \"string\"}}}}][/AVAILABLE_TOOLS][INST] Rules.\n\nRain?[/INST]";
    assert_eq!(chat.render(&open(MISTRAL)).unwrap(), expected);
}

#[test]
fn a_template_may_refuse_in_its_own_words() {
    let chat = Chat::of(json!([{"role": "assistant", "content": "Hi"}]));
    let words = "the model's chat template does not take these messages: \
                 Questions and answers must alternate.";
    assert_eq!(chat.render(&open(MISTRAL)).unwrap_err(), words);
}

#[test]
fn what_goes_wrong_in_a_template_is_told_with_its_line() {
    let chat = Chat::of(json!([{"role": "user", "content": "Hi"}]));
    let error = chat.render(&open("a\n{{ messages[0].nothing.at_all }}")).unwrap_err();
    assert!(error.contains("line 2 of the template"), "{error}");
}

#[test]
fn json_is_written_as_python_does() {
    let chat = Chat::of(json!([{"b": "<é>'", "a": [1, 2.5, true, null, {}, []]}]));
    for (filter, expected) in [
        ("tojson", r#"{"b": "<é>'", "a": [1, 2.5, true, null, {}, []]}"#),
        ("tojson(separators=(',', ':'))", r#"{"b":"<é>'","a":[1,2.5,true,null,{},[]]}"#),
        ("tojson(sort_keys=true)", r#"{"a": [1, 2.5, true, null, {}, []], "b": "<é>'"}"#),
    ] {
        let text = chat.render(&open(&format!("{{{{ messages[0] | {filter} }}}}"))).unwrap();
        assert_eq!(text, expected, "{filter}");
    }
}

#[test]
fn blank_space_around_blocks_is_that_of_jinja2() {
    let template = "{% for message in messages %}\n    {% if true %}\n{{ message.content }}\n    {% endif %}\n{% endfor %}\nend\n";
    let chat = Chat::of(json!([{"content": "a"}, {"content": "b"}]));
    assert_eq!(chat.render(&open(template)).unwrap(), "a\nb\nend");
}

#[test]
fn a_request_cannot_replace_the_messages() {
    let mut chat = Chat::of(json!([{"content": "a"}]));
    chat.variables = json!({"messages": [{"content": "b"}], "bos_token": "<t>", "colour": "red"});
    let text = chat.render(&open("{{ bos_token ~ messages[0].content ~ colour }}")).unwrap();
    assert_eq!(text, "<t>ared");
}

#[test]
fn marks_of_training_change_nothing() {
    let template = "{% for message in messages %}\n  {%- generation %}{{ message.content }}{% endgeneration -%}  \n{% endfor %}";
    let chat = Chat::of(json!([{"content": "a"}, {"content": "b"}]));
    assert_eq!(chat.render(&open(template)).unwrap(), "ab");
}

#[test]
fn a_model_may_have_a_template_of_its_own_for_tools() {
    let folder = TempDir::new().unwrap();
    let config = json!({"chat_template": [{"name": "default", "template": "plain"},
                                          {"name": "tool_use", "template": "tools"}]});
    write(folder.path(), "tokenizer_config.json", &config);
    let template = ChatTemplate::open(folder.path()).unwrap().unwrap();
    let mut chat = Chat::of(json!([]));
    assert_eq!(chat.render(&template).unwrap(), "plain");
    chat.tools = weather();
    assert_eq!(chat.render(&template).unwrap(), "tools");
}

#[test]
fn a_template_in_a_file_of_its_own_comes_first() {
    let folder = TempDir::new().unwrap();
    write(
        folder.path(),
        "tokenizer_config.json",
        &json!({"chat_template": "old", "bos_token": "<s>"}),
    );
    std::fs::write(folder.path().join("chat_template.jinja"), "{{ bos_token }}new").unwrap();
    let template = ChatTemplate::open(folder.path()).unwrap().unwrap();
    assert_eq!(Chat::of(json!([])).render(&template).unwrap(), "<s>new");
}

#[test]
fn a_model_without_a_template_has_none() {
    let folder = TempDir::new().unwrap();
    assert!(ChatTemplate::open(folder.path()).unwrap().is_none());
    write(folder.path(), "tokenizer_config.json", &json!({"bos_token": "<s>"}));
    assert!(ChatTemplate::open(folder.path()).unwrap().is_none());
}

#[test]
fn damage_is_named_with_its_file() {
    for (config, words) in [
        ("{", "it is not a JSON object"),
        (r#"{"chat_template": 7}"#, "`chat_template` is neither"),
        (r#"{"chat_template": "{% if %}"}"#, "the chat template is not valid"),
    ] {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("tokenizer_config.json"), config).unwrap();
        let error = ChatTemplate::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("tokenizer_config.json: ") && error.contains(words), "{error}");
    }
}
