//! Every line is found where it is, and every bad one is named.

use types::{ErrorCode, Fault, ModelName};

use super::{ISSUES_MAX, Rules, Span, check, spans};
use crate::line::Endpoint;

fn knows(model: &ModelName) -> Result<(), Fault> {
    match model.as_str() {
        "m" => Ok(()),
        _ => Err(Fault::new(ErrorCode::ModelNotFound, format!("model {model} not found"))),
    }
}

fn checked(text: &str, lines_max: u32) -> Result<Vec<Span>, Vec<(String, Option<u32>)>> {
    let endpoint = Endpoint::OpenAi("/v1/embeddings");
    let rules = Rules { endpoint: &endpoint, lines_max, line_bytes_max: 200, knows: &knows };
    let found = check(&mut text.as_bytes(), &rules).unwrap();
    found.map_err(|issues| issues.into_iter().map(|issue| (issue.code, issue.line)).collect())
}

fn line(name: &str, model: &str) -> String {
    format!(
        r#"{{"custom_id":"{name}","method":"POST","url":"/v1/embeddings","body":{{"model":"{model}"}}}}"#
    )
}

#[test]
fn lines_are_found_whatever_separates_them() {
    let (a, b) = (line("a", "m"), line("b", "m"));
    let text = format!("{a}\r\n\n  \n{b}");
    let spans = checked(&text, 10).unwrap();
    let read = |span: &Span| &text[span.offset as usize..][..span.length];
    assert_eq!(spans.iter().map(read).collect::<Vec<_>>(), [&*format!("{a}\r\n"), &*b]);
}

#[test]
fn all_that_is_wrong_is_named_with_its_line() {
    let long = line(&"x".repeat(300), "m");
    let lines =
        [line("a", "m"), "{".into(), long, line("a", "m"), line("b", "other"), line("c", "m")];
    let expected = [
        ("invalid_json_line", 2),
        ("line_too_long", 3),
        ("duplicate_custom_id", 4),
        ("model_not_found", 5),
    ];
    let expected = expected.map(|(code, line)| (code.to_owned(), Some(line)));
    assert_eq!(checked(&lines.join("\n"), 10).unwrap_err(), expected);
}

#[test]
fn a_file_has_a_line_and_not_too_many() {
    assert_eq!(checked("\n \n", 10).unwrap_err(), [("empty_file".to_owned(), None)]);
    let lines: Vec<_> = (0..4).map(|number| line(&number.to_string(), "m")).collect();
    assert_eq!(checked(&lines.join("\n"), 4).unwrap().len(), 4);
    let refused = checked(&lines.join("\n"), 3).unwrap_err();
    assert_eq!(refused, [("too_many_lines".to_owned(), Some(4))]);
}

#[test]
fn a_file_that_is_all_wrong_is_not_repeated_to_its_client() {
    let issues = checked(&"nonsense\n".repeat(ISSUES_MAX + 7), 50_000).unwrap_err();
    assert_eq!(issues.len(), ISSUES_MAX + 1);
    assert_eq!(issues[ISSUES_MAX], ("more".to_owned(), None));
}

#[test]
fn a_file_that_was_good_has_the_same_lines_whatever_the_rules_are_by_now() {
    let text = format!("{}\r\n\n  \n{}\n{}", line("a", "m"), line("b", "m"), line("c", "m"));
    let found = spans(&mut text.as_bytes()).unwrap();
    assert_eq!(found, checked(&text, 10).unwrap());
    assert_eq!(found.len(), 3);
    checked(&text, 2).unwrap_err();
}
