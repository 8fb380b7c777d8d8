//! Every Rust file opens with `//!` and says what it is for.

use crate::repo::Repo;

pub(super) fn violations(repo: &Repo) -> anyhow::Result<Vec<String>> {
    let silent = repo.with_extension("rs").filter(|file| !file.text.starts_with("//! "));
    Ok(silent
        .map(|file| format!("`{}` does not open with `//! ` and what it is for", file.path))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::{super::tests::check, *};

    #[test]
    fn a_file_says_what_it_is_for_in_its_first_line() {
        check(violations, &[("a.rs", "//! The words.\n")], &[]);
        let sentence = "`a.rs` does not open with `//! ` and what it is for";
        check(violations, &[("a.rs", "use std::fs;\n")], &[sentence]);
        check(violations, &[("a.py", "import os\n")], &[]);
    }
}
