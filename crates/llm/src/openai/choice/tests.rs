//! Answers, token by token.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::{
    detokenizer::TextOptions,
    parse::{Format, Thoughts},
    testing::{self, sampled, token},
    text::TextSide,
};

type Model = TextSide;

fn model() -> &'static Model {
    testing::text_side()
}

const CHAT: Format = Format { thoughts: Thoughts::Possible, calls: true };

/// What these tests ask of a model.
trait Asked {
    fn choice(&self, stops: &[&str], format: Option<Format>) -> Choice;
    fn tokens(&self, text: &str) -> Vec<TokenId>;
    fn bytes(&self, text: &str) -> Vec<TokenId>;
}

impl Asked for Model {
    fn choice(&self, stops: &[&str], format: Option<Format>) -> Choice {
        let options = TextOptions { skip_special: true, keep: vec![], is_start: true };
        Choice::new(Reading {
            detokenizer: Detokenizer::new(Arc::clone(&self.vocabulary), options),
            scanner: StopScanner::new(stops.iter().map(|stop| (*stop).to_owned()).collect()),
            parser: format.map(OutputParser::new),
            calls_max: usize::MAX,
        })
    }

    fn tokens(&self, text: &str) -> Vec<TokenId> {
        self.tokenizer.encode(text, false).unwrap()
    }

    /// The tokens that are the single bytes of a text.
    fn bytes(&self, text: &str) -> Vec<TokenId> {
        let find =
            |byte: u8| (0..256).find(|&token| self.vocabulary.bytes(token) == [byte]).unwrap();
        text.bytes().map(find).collect()
    }
}

/// What an answer is, all in all.
#[derive(Debug, Default, PartialEq)]
struct Whole {
    reasoning: String,
    content: String,
    calls: Vec<(String, String)>,
    logprobs: Vec<TokenId>,
}

fn whole(mut choice: Choice, tokens: &[TokenId], is_full: bool) -> (Whole, Finish, Choice) {
    let mut whole = Whole::default();
    let mut add = |delta: Delta| {
        whole.logprobs.extend(delta.logprobs.iter().map(|told| told.token));
        for piece in delta.pieces {
            match piece {
                Piece::Reasoning(text) => whole.reasoning += &text,
                Piece::Content(text) => whole.content += &text,
                Piece::Call { name } => whole.calls.push((name, String::new())),
                Piece::Arguments(text) => whole.calls.last_mut().unwrap().1 += &text,
            }
        }
    };
    for &token in tokens {
        add(choice.push(&sampled(token)));
    }
    let (delta, finish) = choice.finish(is_full);
    add(delta);
    (whole, finish, choice)
}

#[test]
fn an_answer_ends_before_its_stop_string_and_says_stop() {
    let model = model();
    let tokens = model.tokens("and then the end. Not this.");
    let (answer, finish, _) = whole(model.choice(&["end"], None), &tokens, true);
    assert_eq!((answer.content.as_str(), finish), ("and then the ", Finish::Stop));
}

#[test]
fn an_answer_that_was_cut_off_says_length() {
    let model = model();
    let (answer, finish, _) =
        whole(model.choice(&["endless"], None), &model.tokens("the end"), true);
    assert_eq!((answer.content.as_str(), finish), ("the end", Finish::Length));
    let unfinished = &model.bytes("é")[..1];
    let (answer, ..) = whole(model.choice(&[], None), unfinished, true);
    assert_eq!(answer.content, "\u{FFFD}");
}

#[test]
fn an_answer_with_a_call_says_so() {
    let model = model();
    let text = "<think>so</think>\n\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>";
    let (answer, finish, _) = whole(model.choice(&[], Some(CHAT)), &model.tokens(text), false);
    assert_eq!(answer.reasoning, "so");
    assert_eq!(answer.content, "");
    assert_eq!(answer.calls, [("f".to_owned(), "{\"a\": 1}".to_owned())]);
    assert_eq!(finish, Finish::ToolCalls);
}

#[test]
fn calls_beyond_what_is_allowed_are_dropped() {
    let model = model();
    let call = "<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>";
    let mut choice = model.choice(&[], Some(CHAT));
    choice.reading.calls_max = 1;
    let (answer, ..) = whole(choice, &model.tokens(&format!("{call}{call}")), false);
    assert_eq!(answer.calls.len(), 1);
}

#[test]
fn tokens_of_thoughts_are_counted_and_not_told() {
    let model = model();
    let tokens = model.tokens("<think>a b</think>c");
    assert_eq!(tokens.len(), 6);
    let (answer, _, choice) = whole(model.choice(&[], Some(CHAT)), &tokens, false);
    assert_eq!(choice.reasoning_tokens(), 5);
    assert_eq!(answer.logprobs, tokens[5..]);
}

#[test]
fn a_log_probability_comes_with_the_text_of_its_token() {
    let model = model();
    let mut choice = model.choice(&["xyz"], None);
    let [x, y, a] = model.bytes("xya")[..] else { panic!("three tokens") };
    assert_eq!(choice.push(&sampled(x)), Delta::default());
    assert_eq!(choice.push(&sampled(y)), Delta::default());
    let delta = choice.push(&sampled(a));
    assert_eq!(delta.pieces, [Piece::Content("xya".into())]);
    let offsets: Vec<usize> = delta.logprobs.iter().map(|told| told.offset).collect();
    assert_eq!(offsets, [0, 1, 2]);
}

#[test]
fn tokens_of_a_stop_string_are_not_told() {
    let model = model();
    let (answer, ..) = whole(model.choice(&["bc"], None), &model.bytes("abcd"), false);
    assert_eq!(answer.logprobs, model.bytes("a"));
}

#[test]
fn a_token_that_a_stop_string_cuts_in_two_is_not_told() {
    let model = model();
    let [the] = model.tokens(" the")[..] else { panic!("one token") };
    let tokens = [model.bytes("a"), vec![the], model.bytes("b")].concat();
    let (answer, ..) = whole(model.choice(&["the"], None), &tokens, false);
    assert_eq!((answer.content.as_str(), answer.logprobs), ("a ", model.bytes("a")));
    // Held back for a while, for it might have been the beginning of a stop string.
    let (answer, ..) = whole(model.choice(&["hex"], None), &tokens, false);
    assert_eq!((answer.content.as_str(), answer.logprobs), ("a theb", tokens));
    // Of a character in two tokens the first has no text of its own.
    let tokens = model.bytes("aéb");
    let (answer, ..) = whole(model.choice(&["é"], None), &tokens, false);
    assert_eq!((answer.content.as_str(), answer.logprobs), ("a", model.bytes("a")));
    let (answer, ..) = whole(model.choice(&["b"], None), &tokens, false);
    assert_eq!((answer.content.as_str(), answer.logprobs), ("aé", model.bytes("aé")));
}

#[test]
fn special_tokens_are_no_text() {
    let model = model();
    let tokens = [token("<|im_end|>"), model.bytes("a")[0]];
    let (answer, ..) = whole(model.choice(&[], Some(CHAT)), &tokens, false);
    assert_eq!(answer.content, "a");
}

fn texts() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("<think>"),
        Just("</think>"),
        Just("<tool_call>\n"),
        Just("\n</tool_call>"),
        Just("{\"name\": \"f\", \"arguments\": {\"é\": [\"the\"]}}"),
        Just(" the"),
        Just("é"),
        Just("and"),
        Just("\n\n"),
        Just("<"),
        Just("STO"),
        Just("STOP"),
    ];
    prop::collection::vec(part, 0..10).prop_map(|parts| parts.concat())
}

proptest! {
    /// The same text as words or as single bytes is the same answer.
    #[test]
    fn it_does_not_matter_how_a_text_is_cut_into_tokens(
        text in texts(),
        stops in prop_oneof![Just(vec![]), Just(vec!["STOP", "é\n"])],
        format in prop_oneof![Just(None), Just(Some(CHAT)), Just(Some(Format::default()))],
        is_full in any::<bool>(),
    ) {
        let model = model();
        let (words, words_finish, _) = whole(model.choice(&stops, format), &model.tokens(&text), is_full);
        let (bytes, bytes_finish, _) = whole(model.choice(&stops, format), &model.bytes(&text), is_full);
        prop_assert_eq!(words_finish, bytes_finish);
        prop_assert_eq!(
            (words.reasoning, words.content, words.calls),
            (bytes.reasoning, bytes.content, bytes.calls)
        );
    }

    /// Whoever watches for the end finds it at the same token.
    #[test]
    fn the_watch_stops_where_the_answer_does(text in texts()) {
        let model = model();
        let mut choice = model.choice(&["STOP", "é\n"], None);
        let options = TextOptions { skip_special: true, keep: vec![], is_start: true };
        let detokenizer = Detokenizer::new(Arc::clone(&model.vocabulary), options);
        let scanner = StopScanner::new(vec!["STOP".into(), "é\n".into()]);
        let mut watch = crate::stop::StopWatch::new(detokenizer, scanner);
        for token in model.tokens(&text) {
            choice.push(&sampled(token));
            let ends = watch.ends(token);
            prop_assert_eq!(ends, choice.is_stopped);
            if ends {
                break;
            }
        }
    }
}
