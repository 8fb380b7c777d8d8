//! Files and functions stay small. What is too large is listed in `tidy.toml`, and may only shrink.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{repo::Repo, source};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// `tidy.toml`: today's offenders, with their lines.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ratchet {
    files: BTreeMap<String, usize>,
    functions: BTreeMap<String, usize>,
}

pub(super) fn violations(repo: &Repo) -> anyhow::Result<Vec<String>> {
    let ratchet: Ratchet = toml::from_str(repo.text("tidy.toml")?)?;
    let mut files = BTreeMap::new();
    let mut functions = BTreeMap::new();
    for file in repo.with_extension("rs") {
        files.insert(file.path.clone(), file.text.lines().count());
        for function in source::functions(file)? {
            let name = format!("{}::{}", file.path, function.name);
            let longest = functions.entry(name).or_default();
            *longest = function.lines.max(*longest);
        }
    }
    let mut found = judge(&files, &ratchet.files, FILE_LINES_MAX);
    found.extend(judge(&functions, &ratchet.functions, FUNCTION_LINES_MAX));
    Ok(found)
}

fn judge(
    sizes: &BTreeMap<String, usize>,
    listed: &BTreeMap<String, usize>,
    limit: usize,
) -> Vec<String> {
    let grown = sizes.iter().filter_map(|(name, &lines)| match listed.get(name) {
        None if lines > limit => {
            Some(format!("`{name}` has {lines} lines, and the limit is {limit}: split it"))
        }
        Some(&allowed) if lines > limit && lines > allowed => {
            Some(format!("`{name}` grew from {allowed} to {lines} lines: split it"))
        }
        Some(&allowed) if lines > limit && lines < allowed => {
            Some(format!("`{name}` shrank to {lines} lines: write that into tidy.toml"))
        }
        _ => None,
    });
    let done = listed.keys().filter(|name| sizes.get(*name).is_none_or(|&lines| lines <= limit));
    grown
        .chain(done.map(|name| format!("`{name}` is fine now: take it out of tidy.toml")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: usize, listed: Option<usize>, expected: &[&str]) {
        let sizes = BTreeMap::from([("a.rs".to_owned(), lines)]);
        let listed = listed.map(|lines| ("a.rs".to_owned(), lines)).into_iter().collect();
        assert_eq!(judge(&sizes, &listed, 500), expected);
    }

    #[test]
    fn a_file_within_the_limit_is_nobody_s_business() {
        check(500, None, &[]);
        check(501, None, &["`a.rs` has 501 lines, and the limit is 500: split it"]);
    }

    #[test]
    fn a_listed_file_may_only_shrink() {
        check(600, Some(600), &[]);
        check(601, Some(600), &["`a.rs` grew from 600 to 601 lines: split it"]);
        check(599, Some(600), &["`a.rs` shrank to 599 lines: write that into tidy.toml"]);
        check(500, Some(600), &["`a.rs` is fine now: take it out of tidy.toml"]);
    }
}
