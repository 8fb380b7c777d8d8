//! Public async functions of the hands and the owners say what dropping them does.

use crate::{layers, repo::Repo, source};

/// Hands and owners; below nothing is async, above are only doors.
const FLOORS: std::ops::RangeInclusive<u8> = 2..=3;

pub(super) fn violations(repo: &Repo) -> anyhow::Result<Vec<String>> {
    let plan = layers::plan(repo)?;
    let mut found = Vec::new();
    for (name, _) in plan.crates.iter().filter(|(_, room)| FLOORS.contains(&room.floor)) {
        let folder = format!("crates/{name}/src/");
        let files = repo.with_extension("rs").filter(|file| file.path.starts_with(&folder));
        for file in files.filter(|file| !is_test(&file.path)) {
            let silent = source::functions(file)?.into_iter().filter(|function| {
                function.is_public
                    && function.is_async
                    && !function.docs.contains("# Cancel safety")
            });
            found.extend(silent.map(|function| {
                format!("`{}::{}` lacks a `# Cancel safety` paragraph", file.path, function.name)
            }));
        }
    }
    Ok(found)
}

/// Whether only tests are there.
fn is_test(path: &str) -> bool {
    ["/tests", "/conformance"].iter().any(|name| path.contains(name))
}

#[cfg(test)]
mod tests {
    use super::{super::tests::check, *};

    const PLAN: (&str, &str) = (
        "layers.toml",
        "crates.store = { floor = 2 }\ncrates.words = { floor = 0 }\nowners = {}\n",
    );

    #[test]
    fn an_async_function_of_a_hand_says_what_dropping_it_does() {
        let silent = "//! A.\npub async fn wait() {}\nasync fn inner() {}\n";
        let sentence = "`crates/store/src/a.rs::wait` lacks a `# Cancel safety` paragraph";
        check(violations, &[PLAN, ("crates/store/src/a.rs", silent)], &[sentence]);
        check(violations, &[PLAN, ("crates/words/src/a.rs", silent)], &[]);
        check(violations, &[PLAN, ("crates/store/src/conformance/a.rs", silent)], &[]);
        let spoken = "//! A.\n/// # Cancel safety\n/// Nothing is lost.\npub async fn wait() {}\n";
        check(violations, &[PLAN, ("crates/store/src/a.rs", spoken)], &[]);
    }
}
