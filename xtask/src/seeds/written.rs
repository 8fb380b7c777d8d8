//! The tests that somebody has written, by the names under which their runners print them.

use std::collections::BTreeSet;

use super::{python, rust};
use crate::repo::Repo;

/// Every test of the repository.
#[derive(Debug, Default)]
pub(super) struct Written {
    names: BTreeSet<String>,
}

impl Written {
    /// Reads every source that can hold tests.
    pub(super) fn of(repo: &Repo) -> anyhow::Result<Self> {
        let mut names = rust::tests(repo)?;
        names.extend(repo.with_extension("py").flat_map(python::tests));
        Ok(Self { names })
    }

    /// Whether a test has this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }
}
