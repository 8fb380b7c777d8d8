//! Answers, told apart.

use proptest::prelude::*;

use super::*;

const TOOLS: Format = Format { thoughts: Thoughts::None, calls: true };
const THINKER: Format = Format { thoughts: Thoughts::Possible, calls: true };

/// All pieces of a text that comes in these parts, with neighbours of a kind put together.
fn parse<'a>(format: Format, parts: impl IntoIterator<Item = &'a str>) -> Vec<Piece> {
    let mut parser = OutputParser::new(format);
    let mut pieces = Vec::new();
    for part in parts {
        parser.push(part, &mut pieces);
    }
    parser.finish(&mut pieces);
    pieces.into_iter().fold(Vec::new(), |mut joined, piece| {
        match (joined.last_mut(), piece) {
            (Some(Piece::Reasoning(last)), Piece::Reasoning(more))
            | (Some(Piece::Content(last)), Piece::Content(more))
            | (Some(Piece::Arguments(last)), Piece::Arguments(more)) => last.push_str(&more),
            (_, piece) => joined.push(piece),
        }
        joined
    })
}

fn content(text: &str) -> Piece {
    Piece::Content(text.into())
}

fn reasoning(text: &str) -> Piece {
    Piece::Reasoning(text.into())
}

fn call(name: &str, arguments: &str) -> [Piece; 2] {
    [Piece::Call { name: name.into() }, Piece::Arguments(arguments.into())]
}

#[test]
fn thoughts_are_told_apart_from_what_is_said() {
    let text = "<think>\nLet me see.\n\nYes.\n</think>\n\nIt is 4.";
    let parts = [reasoning("Let me see.\n\nYes."), content("It is 4.")];
    assert_eq!(parse(THINKER, [text]), parts);
}

#[test]
fn a_prompt_may_have_opened_the_thoughts() {
    let format = Format { thoughts: Thoughts::Open, calls: false };
    assert_eq!(parse(format, ["so\n</think>\nyes"]), [reasoning("so"), content("yes")]);
    assert_eq!(parse(format, ["cut off in thou"]), [reasoning("cut off in thou")]);
}

#[test]
fn thoughts_come_only_at_the_beginning() {
    let text = "Write <think> to think.";
    assert_eq!(parse(THINKER, [text]), [content(text)]);
    assert_eq!(parse(Format::default(), ["<think>no</think>"]), [content("<think>no</think>")]);
}

#[test]
fn several_calls_follow_some_content() {
    let text = "I look.\n<tool_call>\n{\"name\": \"find\", \"arguments\": {\"q\": \"a}\\\"b\"}}\n</tool_call>\n\
                <tool_call>\n{\"name\": \"open\", \"arguments\": {}}\n</tool_call>";
    let [find, find_arguments] = call("find", r#"{"q": "a}\"b"}"#);
    let [open, open_arguments] = call("open", "{}");
    let parts = [content("I look."), find, find_arguments, open, open_arguments];
    assert_eq!(parse(TOOLS, [text]), parts);
}

#[test]
fn arguments_are_told_while_they_are_written() {
    let mut parser = OutputParser::new(TOOLS);
    let mut pieces = Vec::new();
    parser.push("<tool_call>{\"name\": \"f\", \"argum", &mut pieces);
    assert_eq!(pieces, []);
    parser.push("ents\": {\"city\": \"Par", &mut pieces);
    assert_eq!(pieces, call("f", "{\"city\": \"Par"));
    pieces.clear();
    parser.push("is\"}", &mut pieces);
    assert_eq!(pieces, [Piece::Arguments("is\"}".into())]);
    assert_eq!(parser.phase(), Phase::Call);
}

#[test]
fn what_is_no_call_is_content_word_for_word() {
    for text in [
        "<tool_call>not json</tool_call>",
        "<tool_call>{\"arguments\": {}}</tool_call>",
        "<tool_call>{\"name\": 3, \"arguments\": {}}</tool_call>",
        "<tool_call>{\"name\": \"cut o",
        "<tool_call>",
        "<tool_ca",
    ] {
        assert_eq!(parse(TOOLS, [text]), [content(text)], "{text}");
    }
}

#[test]
fn unusual_calls_are_understood_once_they_are_whole() {
    for (body, arguments) in [
        (r#"{"arguments": {"a": 1}, "name": "f"}"#, r#"{"a": 1}"#),
        (r#"{"name": "f", "arguments": "{\"a\": 1}"}"#, r#"{"a": 1}"#),
        (r#"{"name": "f", "id": 7, "parameters": {"a": 1}}"#, r#"{"a": 1}"#),
        (r#"{"name": "f"}"#, "{}"),
    ] {
        let text = format!("<tool_call>\n{body}\n</tool_call>");
        assert_eq!(parse(TOOLS, [text.as_str()]), call("f", arguments), "{body}");
        let unclosed = format!("<tool_call>{body}");
        assert_eq!(parse(TOOLS, [unclosed.as_str()]), call("f", arguments), "{body}");
    }
}

#[test]
fn broken_arguments_end_with_their_call() {
    let text = "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": </tool_call>after";
    let [name, arguments] = call("f", "{\"a\": ");
    assert_eq!(parse(TOOLS, [text]), [name, arguments, content("after")]);
}

#[test]
fn tags_are_content_where_no_tools_were_given() {
    let text = "<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call> ";
    assert_eq!(parse(Format::default(), [text]), [content(text)]);
}

#[test]
fn blank_space_at_the_end_is_kept_where_no_call_follows() {
    assert_eq!(parse(TOOLS, ["a \n"]), [content("a \n")]);
    assert_eq!(parse(THINKER, ["<think>a</think>\n\n"]), [reasoning("a")]);
    assert_eq!(parse(THINKER, [" \n "]), [content(" \n ")]);
}

fn fragments() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        Just("<think>"),
        Just("</think>"),
        Just("<tool_call>"),
        Just("</tool_call>"),
        Just("{\"name\": \"f\", \"arguments\": "),
        Just("{\"a\": [1, \"}\\\"<\"]}"),
        Just("{\"name\":\"é\"}"),
        Just("}"),
        Just("\""),
        Just("<"),
        Just("</tool"),
        Just("word"),
        Just("é"),
        Just("\n"),
        Just(" "),
    ];
    prop::collection::vec(fragment, 0..14).prop_map(|parts| parts.concat())
}

fn formats() -> impl Strategy<Value = Format> {
    let thoughts =
        prop_oneof![Just(Thoughts::None), Just(Thoughts::Possible), Just(Thoughts::Open)];
    (thoughts, any::<bool>()).prop_map(|(thoughts, calls)| Format { thoughts, calls })
}

proptest! {
    #[test]
    fn it_does_not_matter_where_the_text_is_cut(
        format in formats(),
        text in fragments(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        places.push(text.len());
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| *cut.get(&places)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let parts = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]);
        prop_assert_eq!(parse(format, parts), parse(format, [text.as_str()]));
        let letters = text.char_indices().map(|(at, letter)| &text[at..at + letter.len_utf8()]);
        prop_assert_eq!(parse(format, letters), parse(format, [text.as_str()]));
    }
}
