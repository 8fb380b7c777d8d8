//! Nothing names the machine that it was written on, or a package registry.

use crate::repo::Repo;

/// Split in two, so that this file does not break its own rule.
const WORDS: [&str; 6] = [
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("crates", ".io"),
    concat!("py", "pi."),
    concat!("npm", "js."),
    concat!("hugging", "face.co"),
];

/// Written by tools, which name their registry.
const LOCK_FILES: [&str; 1] = ["Cargo.lock"];

pub(super) fn violations(repo: &Repo) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for file in repo.files.iter().filter(|file| !LOCK_FILES.contains(&file.path.as_str())) {
        for (line, number) in file.text.lines().zip(1..) {
            for word in WORDS.iter().filter(|word| line.contains(**word)) {
                found.push(format!("`{}:{number}` mentions `{word}`", file.path));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{super::tests::check, *};

    #[test]
    fn a_path_of_somebody_s_machine_is_found() {
        let text = format!("see {}notes\n", WORDS[1]);
        check(violations, &[("a.md", &text)], &[&format!("`a.md:1` mentions `{}`", WORDS[1])]);
        check(violations, &[("Cargo.lock", &text)], &[]);
    }
}
