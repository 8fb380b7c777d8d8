//! Tests in Python, named as pytest does: `tests/llm/chat_test.py::test_a_question_is_answered`.

use crate::repo::File;

/// The tests of a file, those in classes too; whatever else it defines is none.
pub(super) fn tests(file: &File) -> Vec<String> {
    let mut class = None;
    let mut found = Vec::new();
    for line in file.text.lines() {
        let code = line.trim_start();
        let is_outermost = code.len() == line.len();
        if is_outermost && !code.is_empty() {
            class = code.strip_prefix("class ").map(name);
        }
        let function = code.strip_prefix("async ").unwrap_or(code).strip_prefix("def ").map(name);
        let Some(function) = function.filter(|function| function.starts_with("test_")) else {
            continue;
        };
        match class {
            Some(class) if !is_outermost => {
                found.push(format!("{}::{class}::{function}", file.path));
            }
            _ if is_outermost => found.push(format!("{}::{function}", file.path)),
            // A function within a function is not collected.
            _ => {}
        }
    }
    found
}

fn name(rest: &str) -> &str {
    rest.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap_or(rest)
}
