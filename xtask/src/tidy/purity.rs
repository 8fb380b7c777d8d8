//! Words and minds (floors 0 and 1) have no clock, disk, socket, thread or randomness.

use crate::{layers, repo::Repo};

const TOP_FLOOR: u8 = 1;

const OUTSIDE_WORLD: [&str; 10] = [
    "Instant::now",
    "SystemTime::now",
    "now_v7",
    "new_v4",
    "std::fs",
    "std::net",
    "std::thread",
    "std::env::",
    "tokio::",
    "rand::",
];

pub(super) fn violations(repo: &Repo) -> anyhow::Result<Vec<String>> {
    let plan = layers::plan(repo)?;
    let mut found = Vec::new();
    for (name, _) in plan.crates.iter().filter(|(_, room)| room.floor <= TOP_FLOOR) {
        let folder = format!("crates/{name}/src/");
        for file in repo.with_extension("rs").filter(|file| file.path.starts_with(&folder)) {
            for (line, number) in code(&file.text) {
                for word in OUTSIDE_WORLD.iter().filter(|word| line.contains(**word)) {
                    found.push(format!(
                        "`{}:{number}` uses `{word}`; let the caller bring it",
                        file.path
                    ));
                }
            }
        }
    }
    Ok(found)
}

/// The numbered lines of a file before its tests, without comments.
fn code(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let before_tests = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    before_tests.lines().zip(1..).filter(|(line, _)| !line.trim_start().starts_with("//"))
}

#[cfg(test)]
mod tests {
    use super::{super::tests::check, *};

    const PLAN: (&str, &str) = (
        "layers.toml",
        "crates.policy = { floor = 1 }\ncrates.store = { floor = 2 }\nowners = {}\n",
    );

    #[test]
    fn a_mind_has_no_clock() {
        let text = "//! A.\nlet now = Instant::now();\n";
        let sentence = "`crates/policy/src/a.rs:2` uses `Instant::now`; let the caller bring it";
        check(violations, &[PLAN, ("crates/policy/src/a.rs", text)], &[sentence]);
        check(violations, &[PLAN, ("crates/store/src/a.rs", text)], &[]);
    }

    #[test]
    fn a_comment_may_name_the_clock() {
        let text = "//! A.\n/// Like `Instant::now`.\n";
        check(violations, &[PLAN, ("crates/policy/src/a.rs", text)], &[]);
    }
}
