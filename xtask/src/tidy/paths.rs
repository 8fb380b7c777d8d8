//! Documents mention only paths that exist.

use std::collections::BTreeSet;

use crate::repo::{File, Repo};

/// A code span that starts with one of these is meant as a path of this repository.
const TOP: [&str; 8] =
    ["crates/", "docs/", "examples/", "tests/", "scripts/", "xtask/", "bench/", ".ci/"];

pub(super) fn violations(repo: &Repo) -> anyhow::Result<Vec<String>> {
    let known = known(repo);
    let mut found = Vec::new();
    for file in repo.with_extension("md") {
        for (line, number) in prose(&file.text) {
            let wanted = links(line).map(|link| resolve(file, link)).chain(spans(line));
            for path in wanted.filter(|path| !exists(&known, path)) {
                found.push(format!(
                    "`{}:{number}` mentions `{path}`, which does not exist",
                    file.path
                ));
            }
        }
    }
    Ok(found)
}

/// Every file and every folder.
fn known(repo: &Repo) -> BTreeSet<&str> {
    let mut known = BTreeSet::new();
    for file in &repo.files {
        known.insert(file.path.as_str());
        known.extend(file.path.match_indices('/').map(|(end, _)| &file.path[..end]));
    }
    known
}

fn exists(known: &BTreeSet<&str>, path: &str) -> bool {
    let path = path.trim_end_matches('/');
    path.is_empty() || known.contains(path)
}

/// The numbered lines outside of fenced code.
fn prose(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut fenced = false;
    text.lines().zip(1..).filter(move |(line, _)| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return false;
        }
        !fenced
    })
}

/// Targets of links that stay in the repository, without their anchors.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split(')').next()?.split('#').next()?;
        (!target.is_empty() && !target.contains("://")).then_some(target)
    })
}

/// A link as a path from the root.
fn resolve(file: &File, link: &str) -> String {
    let mut parts: Vec<_> = file.path.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// Code spans that name a path of ours; patterns and commands are not paths.
fn spans(line: &str) -> impl Iterator<Item = String> {
    let spans = line.split('`').skip(1).step_by(2).map(without_line_number);
    spans
        .filter(|span| TOP.iter().any(|top| span.starts_with(top)))
        .filter(|span| !span.contains(['*', '<', '{', ' ', ':', '…']))
        .map(String::from)
}

/// `a.rs:12` as `a.rs`.
fn without_line_number(span: &str) -> &str {
    match span.rsplit_once(':') {
        Some((path, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => path,
        _ => span,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::check, *};

    const CODE: (&str, &str) = ("crates/a/src/lib.rs", "");

    #[test]
    fn a_path_in_a_document_exists() {
        check(violations, &[CODE, ("a.md", "`crates/a/src/lib.rs:3` and `crates/a/`\n")], &[]);
        let sentence = "`a.md:1` mentions `crates/b`, which does not exist";
        check(violations, &[CODE, ("a.md", "See `crates/b`.\n")], &[sentence]);
    }

    #[test]
    fn a_link_is_read_from_where_it_stands() {
        let page = "[lib](../crates/a/src/lib.rs#L3) [web](https://example.com) [up](#there)\n";
        check(violations, &[CODE, ("docs/a.md", page)], &[]);
        let sentence = "`docs/a.md:1` mentions `docs/gone.md`, which does not exist";
        check(violations, &[CODE, ("docs/a.md", "[gone](gone.md)\n")], &[sentence]);
    }

    #[test]
    fn patterns_and_fenced_code_are_not_paths() {
        let page = "`crates/*/src` `docs/errors/<slug>.md`\n```sh\ncat `crates/zzz`\n```\n";
        check(violations, &[CODE, ("a.md", page)], &[]);
    }
}
