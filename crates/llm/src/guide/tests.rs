//! Guided answers, by a model that draws lots among what is allowed.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    parse::Thoughts,
    testing::{self, token},
    tokenizer::Tokenizer,
};

struct Model {
    tokenizer: Tokenizer,
    vocabulary: Arc<Vocabulary>,
    grammars: Grammars,
}

fn model() -> &'static Model {
    static MODEL: LazyLock<Model> = LazyLock::new(make_model);
    &MODEL
}

fn make_model() -> Model {
    let tokenizer = Tokenizer::open(testing::folder().path(), 300).unwrap();
    let vocabulary = Arc::new(tokenizer.vocabulary().unwrap());
    let end = [token("<|im_end|>"), token("<|endoftext|>")];
    let grammars = Grammars::new(Arc::clone(&vocabulary), &end).unwrap();
    Model { tokenizer, vocabulary, grammars }
}

impl Model {
    fn guide(&self, grammar: &Grammar) -> Guide {
        self.grammars.guide(grammar, Thoughts::None).unwrap()
    }

    fn complaint(&self, grammar: &Grammar) -> String {
        self.grammars
            .guide(grammar, Thoughts::None)
            .err()
            .map(|error| error.reason)
            .unwrap_or_default()
    }

    /// Whether this is a whole answer.
    fn takes(&self, grammar: &Grammar, text: &str) -> bool {
        let mut guide = self.guide(grammar);
        for token in self.tokenizer.encode(text, false).unwrap() {
            if !allowed(&mut guide, token) {
                return false;
            }
            guide.accept(token).unwrap();
        }
        allowed(&mut guide, token("<|im_end|>"))
    }

    /// An answer of somebody who takes any token that is allowed.
    fn stumble(&self, guide: &mut Guide, mut seed: u64, tokens_max: usize) -> Option<String> {
        let mut bytes = Vec::new();
        for _ in 0..tokens_max {
            let choices: Vec<TokenId> = (0..300).filter(|&token| allowed(guide, token)).collect();
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let token = choices[usize::try_from(seed >> 33).unwrap() % choices.len()];
            if self.vocabulary.is_special(token) {
                return Some(String::from_utf8(bytes).unwrap());
            }
            bytes.extend_from_slice(self.vocabulary.bytes(token));
            guide.accept(token).unwrap();
        }
        None
    }
}

fn allowed(guide: &mut Guide, token: TokenId) -> bool {
    guide.mask().unwrap().allows(token)
}

fn json_of(schema: Value) -> Grammar {
    Grammar::Json { schema, whitespace: None }
}

fn person() -> Value {
    json!({"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
           "required": ["name", "age"], "additionalProperties": false})
}

#[test]
fn an_answer_fits_its_schema_and_has_no_blank_space() {
    let (model, grammar) = (model(), json_of(person()));
    assert!(model.takes(&grammar, r#"{"name":"the","age":7}"#));
    for text in
        [r#"{"name":"the"}"#, r#"{"name": "the","age":7}"#, r#"{"age":7,"name":"a"}"#, "7", ""]
    {
        assert!(!model.takes(&grammar, text), "{text}");
    }
}

#[test]
fn blank_space_is_allowed_where_it_is_asked_for() {
    let grammar = Grammar::Json { schema: person(), whitespace: Some("[ ]".into()) };
    let model = model();
    assert!(model.takes(&grammar, r#"{"name": "the", "age": 7}"#));
    assert!(!model.takes(&grammar, "{\"name\":\n\"the\",\"age\":7}"));
}

#[test]
fn a_schema_cannot_bring_options_of_its_own() {
    let mut schema = person();
    schema["x-guidance"] = json!({"whitespace_flexible": true});
    assert!(!model().takes(&json_of(schema), r#"{"name": "the","age":7}"#));
}

#[test]
fn any_json_object_is_an_object() {
    let (model, grammar) = (model(), Grammar::json_object());
    assert!(model.takes(&grammar, r#"{"a":[1,{"b":null}],"é":"the"}"#));
    assert!(!model.takes(&grammar, "[1]"));
}

#[test]
fn expressions_choices_and_grammars_are_followed_to_the_end() {
    let model = model();
    let regex = Grammar::Regex(r"\d{2,3}/(a|b)".into());
    let choice = Grammar::Choice(vec!["the \"end\"".into(), "\n".into()]);
    let lark = Grammar::Lark("start: \"a\" start | \"b\"".into());
    for (grammar, good, bad) in
        [(regex, "123/a", "1/a"), (choice, "the \"end\"", "the"), (lark, "aaab", "aaa")]
    {
        assert!(model.takes(&grammar, good), "{good}");
        assert!(!model.takes(&grammar, bad), "{bad}");
    }
}

#[test]
fn nothing_follows_an_answer_that_is_complete() {
    let model = model();
    let mut guide = model.guide(&Grammar::Choice(vec!["in".into()]));
    assert!(!guide.is_done());
    let [word] = model.tokenizer.encode("in", false).unwrap()[..] else { panic!("one word") };
    guide.accept(word).unwrap();
    assert!(guide.is_done());
    let follow: Vec<TokenId> = (0..300).filter(|&token| allowed(&mut guide, token)).collect();
    assert_eq!(follow, [token("<|endoftext|>"), token("<|im_end|>")]);
}

#[test]
fn special_tokens_are_no_text() {
    let model = model();
    let mut guide = model.guide(&Grammar::Regex(".*".into()));
    assert!(!allowed(&mut guide, token("<|im_start|>")));
    assert!(allowed(&mut guide, token("<think>")));
}

#[test]
fn forced_calls_have_the_form_that_is_read_back() {
    let tool = |name: &str, parameters: Value| Callable { name: name.into(), parameters };
    let tools = vec![tool("add", person()), tool("now", Value::Null)];
    let one = Grammar::Calls { tools: tools.clone(), several: false };
    let more = Grammar::Calls { tools, several: true };
    let add = "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"name\": \"the\", \"age\": 7}}\n</tool_call>";
    let now = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
    let model = model();
    assert!(model.takes(&one, add) && model.takes(&one, now));
    let both = format!("{add}\n{now}");
    assert!(!model.takes(&one, &both) && model.takes(&more, &both));
    assert!(!model.takes(&one, "I cannot.") && !model.takes(&one, ""));
}

#[test]
fn the_grammar_waits_until_the_model_has_thought() {
    let model = model();
    let grammar = Grammar::Choice(vec!["in".into()]);
    let text = "<think>Whatever.</think>\n\nin";
    for (thoughts, text) in
        [(Thoughts::Possible, text), (Thoughts::Open, &text[7..]), (Thoughts::Possible, "in")]
    {
        let mut guide = model.grammars.guide(&grammar, thoughts).unwrap();
        for token in model.tokenizer.encode(text, false).unwrap() {
            assert!(allowed(&mut guide, token), "{text}: {}", model.vocabulary.text(token));
            guide.accept(token).unwrap();
        }
        assert!(guide.is_done(), "{text}");
    }
    assert!(!allowed(&mut model.guide(&grammar), token("<think>")));
}

#[test]
fn thoughts_do_not_end_the_answer_that_is_owed() {
    let model = model();
    let grammar = Grammar::Choice(vec!["in".into()]);
    let mut guide = model.grammars.guide(&grammar, Thoughts::Open).unwrap();
    for mark in ["<|im_end|>", "<|endoftext|>", "<|im_start|>"] {
        assert!(!allowed(&mut guide, token(mark)), "{mark}");
    }
    assert!(allowed(&mut guide, token("</think>")) && allowed(&mut guide, 0));
    assert!(!allowed(&mut guide, 290));
}

#[test]
fn a_token_that_is_not_allowed_is_an_error_and_no_panic() {
    let model = model();
    let mut guide = model.guide(&Grammar::Choice(vec!["in".into()]));
    assert!(guide.accept(0).is_err());
    assert!(guide.mask().is_err());
}

#[test]
fn what_is_wrong_with_a_grammar_is_told() {
    let model = model();
    for (grammar, words) in [
        (json_of(json!({"type": "strin"})), "strin"),
        (json_of(json!([1])), "a JSON schema is an object"),
        (json_of(json!({"$ref": "#/nowhere"})), "nowhere"),
        (
            json_of(
                json!({"type": "object", "properties": {"a": {"type": "integer", "minimum": 3, "maximum": 1}}, "required": ["a"]}),
            ),
            "",
        ),
        (Grammar::Regex("(".into()), "regex"),
        (Grammar::Lark("start: nowhere".into()), "nowhere"),
        (Grammar::Choice(vec![]), "at least one choice"),
    ] {
        let complaint = model.complaint(&grammar);
        assert!(!complaint.is_empty() && complaint.contains(words), "{grammar:?}: {complaint}");
        assert!(!complaint.contains('\n'), "{complaint}");
    }
}

#[test]
fn a_schema_of_unreasonable_size_is_refused() {
    let mut deep = json!({"type": "integer"});
    for _ in 0..50 {
        deep = json!({"type": "array", "items": deep});
    }
    assert!(
        model().takes(&json_of(deep.clone()), &format!("{}7{}", "[".repeat(50), "]".repeat(50)))
    );
    for _ in 0..50 {
        deep = json!({"type": "array", "items": deep});
    }
    assert!(model().complaint(&json_of(deep)).contains("nested deeper"));
    let large: Vec<String> = (0..60_000).map(|number| format!("choice {number}")).collect();
    assert!(model().complaint(&Grammar::Choice(large)).contains("larger than"));
}

#[test]
fn a_model_without_an_end_token_cannot_be_guided() {
    let vocabulary = Arc::new(model().tokenizer.vocabulary().unwrap());
    let error = Grammars::new(vocabulary, &[]).err().unwrap();
    assert!(error.reason.contains("ends a text"), "{error}");
}

/// `Guide` goes from the thread that reads requests to the one that runs steps.
#[test]
fn a_guide_may_change_threads() {
    fn check<T: Send>() {}
    check::<Guide>();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_is_allowed_leads_to_json_that_fits(seed in any::<u64>()) {
        let schema = json!({"type": "object", "additionalProperties": false,
            "properties": {"n": {"type": "integer", "minimum": 1, "maximum": 120},
                           "kind": {"enum": ["the", "in", 7, null]},
                           "list": {"type": "array", "items": {"type": "boolean"}, "maxItems": 3}},
            "required": ["n", "kind", "list"]});
        let model = model();
        let mut guide = model.guide(&json_of(schema));
        let text = model.stumble(&mut guide, seed, 200).expect("every road through this schema ends");
        let value: Value = serde_json::from_str(&text).unwrap();
        prop_assert!((1..=120).contains(&value["n"].as_i64().unwrap()), "{}", text);
        prop_assert!([json!("the"), json!("in"), json!(7), Value::Null].contains(&value["kind"]));
        prop_assert!(value["list"].as_array().unwrap().iter().all(Value::is_boolean));
        prop_assert_eq!(value.to_string(), text);
    }
}
