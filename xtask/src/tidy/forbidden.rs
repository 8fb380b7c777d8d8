//! Words and shapes that never stay in the repository.

use crate::repo::{File, Repo};

/// Split in two, so that this file does not break its own rule.
const IN_RUST: [(&str, &str); 4] = [
    (concat!("dbg", "!("), "a debugging print"),
    (concat!("#[ig", "nore]"), "a test that is switched off without a reason"),
    (concat!("should_", "panic"), "a test that any panic satisfies; check the error instead"),
    (concat!("FIX", "ME"), "a reminder; do it, or write it down where it is planned"),
];

const PROSE: [&str; 8] = ["rs", "md", "toml", "py", "pyi", "sh", "yml", "html"];

pub(super) fn violations(repo: &Repo) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for file in &repo.files {
        if file.path.ends_with("/mod.rs") {
            found.push(format!("`{}`: name the file after the module", file.path));
        }
        if file.extension() == "rs" {
            found.extend(words(file));
        }
        if PROSE.contains(&file.extension()) {
            found.extend(trailing_space(file));
        }
    }
    Ok(found)
}

fn words(file: &File) -> impl Iterator<Item = String> + '_ {
    let lines = file.text.lines().zip(1..);
    lines.flat_map(move |(line, number)| {
        let words = IN_RUST.iter().filter(move |(word, _)| line.contains(word));
        words.map(move |(word, why)| format!("`{}:{number}` has `{word}`: {why}", file.path))
    })
}

fn trailing_space(file: &File) -> Option<String> {
    let (_, number) = file.text.lines().zip(1..).find(|(line, _)| line.ends_with([' ', '\t']))?;
    Some(format!("`{}:{number}` ends with a space", file.path))
}

#[cfg(test)]
mod tests {
    use super::{super::tests::check, *};

    #[test]
    fn a_module_is_a_file_of_its_name() {
        let sentence = "`src/a/mod.rs`: name the file after the module";
        check(violations, &[("src/a/mod.rs", "//! A.\n")], &[sentence]);
    }

    #[test]
    fn a_forbidden_word_is_named_with_its_line() {
        let text = format!("//! A.\n{}x);\n", IN_RUST[0].0);
        let sentence = format!("`a.rs:2` has `{}`: a debugging print", IN_RUST[0].0);
        check(violations, &[("a.rs", &text)], &[&sentence]);
    }

    #[test]
    fn a_line_ends_with_its_last_word() {
        check(violations, &[("a.md", "one\ntwo \n")], &["`a.md:2` ends with a space"]);
        check(violations, &[("a.snap", "two \n")], &[]);
    }
}
