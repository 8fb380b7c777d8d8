//! The rules of the house that a machine can check. One rule is one file.

mod cancel_safety;
mod error_pages;
mod forbidden;
mod lints;
mod machine;
mod opening;
mod paths;
mod purity;
mod size;

use crate::repo::Repo;

type Rule = fn(&Repo) -> anyhow::Result<Vec<String>>;

const RULES: [Rule; 9] = [
    cancel_safety::violations,
    error_pages::violations,
    forbidden::violations,
    lints::violations,
    machine::violations,
    opening::violations,
    paths::violations,
    purity::violations,
    size::violations,
];

/// Every breach in this checkout, as sentences.
pub(crate) fn violations_of(repo: &Repo) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for rule in RULES {
        found.extend(rule(repo)?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::File;

    #[test]
    fn the_house_is_tidy() {
        let found = violations_of(&Repo::open().unwrap()).unwrap();
        assert!(found.is_empty(), "\n{}", found.join("\n"));
    }

    /// What a rule says of a repository that has only these files.
    #[track_caller]
    pub(super) fn check(rule: Rule, files: &[(&str, &str)], expected: &[&str]) {
        let file = |&(path, text): &(&str, &str)| File { path: path.into(), text: text.into() };
        let files = files.iter().map(file).collect();
        let repo = Repo { root: "nowhere".into(), files };
        assert_eq!(rule(&repo).unwrap(), expected);
    }
}
