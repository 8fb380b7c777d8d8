//! Every crate takes the lints of the workspace; one may also write `unsafe`.

use crate::repo::Repo;

/// Its lints are those of the workspace, written out with this one changed. Cargo knows no other way.
const MAY_BE_UNSAFE: &str = "crates/kernels/Cargo.toml";
const DENIED: &str = "unsafe_code = \"deny\"";
const ALLOWED: &str = "unsafe_code = \"allow\"";

pub(super) fn violations(repo: &Repo) -> anyhow::Result<Vec<String>> {
    let manifests = repo.files.iter().filter(|file| file.path.ends_with("/Cargo.toml"));
    let mut found = Vec::new();
    for file in manifests {
        if file.path == MAY_BE_UNSAFE {
            found.extend(missing(repo.text("Cargo.toml")?, &file.text));
        } else if !file.text.contains("[lints]\nworkspace = true") {
            found.push(format!("`{}` lacks `[lints] workspace = true`", file.path));
        }
    }
    Ok(found)
}

/// The lints of the workspace that the crate does not repeat.
fn missing(root: &str, manifest: &str) -> Vec<String> {
    let Some((_, lints)) = root.split_once("[workspace.lints.rust]") else { return Vec::new() };
    let (lints, _) = lints.split_once("[profile").unwrap_or((lints, ""));
    let lints = lints.lines().filter(|line| line.contains(" = "));
    let wanted = lints.map(|line| if line == DENIED { ALLOWED } else { line });
    wanted
        .filter(|lint| !manifest.lines().any(|line| line == *lint))
        .map(|lint| format!("`{MAY_BE_UNSAFE}` lacks `{lint}`"))
        .collect()
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

    #[test]
    fn the_unsafe_crate_repeats_every_other_lint() {
        let root = "[workspace.lints.rust]\nunsafe_code = \"deny\"\n\n[workspace.lints.clippy]\ntodo = \"deny\"\n";
        let good = "[lints.rust]\nunsafe_code = \"allow\"\n\n[lints.clippy]\ntodo = \"deny\"\n";
        check(violations, &[("Cargo.toml", root), (MAY_BE_UNSAFE, good)], &[]);
        let sentence = "`crates/kernels/Cargo.toml` lacks `todo = \"deny\"`";
        let bad = "[lints.rust]\nunsafe_code = \"allow\"\n";
        check(violations, &[("Cargo.toml", root), (MAY_BE_UNSAFE, bad)], &[sentence]);
    }
}
