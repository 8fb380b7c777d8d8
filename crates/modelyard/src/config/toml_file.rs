//! The file: `--config`, or `modelyard.toml` in the working directory.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use toml::Table;

use super::{
    FILE_NAME, Inputs, Issue, Issues,
    tree::{Source, Tree},
};

/// Lays the file over the tree; returns which one was read, absolute.
pub(super) fn read_into(tree: &mut Tree, inputs: &Inputs, issues: &mut Issues) -> Option<PathBuf> {
    let shown = inputs.file.clone().unwrap_or_else(|| FILE_NAME.into());
    let path = inputs.directory.join(&shown);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && inputs.file.is_none() => {
            return None;
        }
        Err(error) => {
            issues.push(unreadable(&shown, &error));
            return None;
        }
    };
    match text.parse::<Table>() {
        Ok(table) => tree.lay_over(table, &Source::File(shown)),
        Err(error) => issues.push(malformed(&shown, &error)),
    }
    Some(path)
}

fn unreadable(path: &Path, error: &io::Error) -> Issue {
    Issue::general(
        format!("{}: could not read the file: {error}", path.display()),
        "check the path given with --config",
    )
}

fn malformed(path: &Path, error: &toml::de::Error) -> Issue {
    // The parser draws the place: several lines, which are kept together by the indent.
    let drawing = error.to_string().trim_end().replace('\n', "\n    ");
    Issue::general(format!("{}: {drawing}", path.display()), "correct the line that is shown")
}
