//! The files of the repository, as the rules see them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

/// A checkout: its root and every text file that git does not ignore.
#[derive(Debug)]
pub(crate) struct Repo {
    /// Where `Cargo.toml` of the workspace lies.
    pub(crate) root: PathBuf,
    /// Sorted by path.
    pub(crate) files: Vec<File>,
}

/// One text file.
#[derive(Debug)]
pub(crate) struct File {
    /// Relative to the root, with `/`.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
}

impl File {
    /// The part of the name after the last dot.
    pub(crate) fn extension(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(_, extension)| extension)
    }
}

impl Repo {
    /// Reads the checkout that this program was built from.
    pub(crate) fn open() -> anyhow::Result<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.parent().context("xtask lies in the workspace")?.to_path_buf();
        let mut files = Vec::new();
        let walk = ignore::WalkBuilder::new(&root)
            .hidden(false)
            .require_git(false)
            .filter_entry(|entry| entry.file_name() != ".git")
            .build();
        for entry in walk {
            let entry = entry?;
            if !entry.file_type().is_some_and(|kind| kind.is_file()) {
                continue;
            }
            let relative = entry.path().strip_prefix(&root)?.to_string_lossy().into_owned();
            // A file that is not UTF-8 is data; a file that has just gone is nobody's.
            if let Ok(text) = fs::read_to_string(entry.path()) {
                files.push(File { path: relative, text });
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { root, files })
    }

    /// The files with that extension.
    pub(crate) fn with_extension<'a>(
        &'a self,
        extension: &'a str,
    ) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.extension() == extension)
    }

    /// The text of a file that must be there.
    pub(crate) fn text(&self, path: &str) -> anyhow::Result<&str> {
        let file = self.files.iter().find(|file| file.path == path);
        Ok(&file.with_context(|| format!("`{path}` is missing"))?.text)
    }
}
