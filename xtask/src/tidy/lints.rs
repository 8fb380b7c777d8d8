//! Every crate takes the lints of the workspace.

use crate::repo::Repo;

pub(super) fn violations(repo: &Repo) -> anyhow::Result<Vec<String>> {
    let manifests = repo.files.iter().filter(|file| {
        file.path.ends_with("/Cargo.toml") && !file.text.contains("[lints]\nworkspace = true")
    });
    Ok(manifests.map(|file| format!("`{}` lacks `[lints] workspace = true`", file.path)).collect())
}

#[cfg(test)]
mod tests {
    use super::{super::tests::check, *};

    #[test]
    fn a_crate_without_the_lints_is_named() {
        check(violations, &[("a/Cargo.toml", "[lints]\nworkspace = true\n")], &[]);
        let sentence = "`a/Cargo.toml` lacks `[lints] workspace = true`";
        check(violations, &[("a/Cargo.toml", "[package]\n")], &[sentence]);
    }
}
