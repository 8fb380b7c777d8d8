//! What is wrong with a configuration, and what to do about it.

use std::fmt;

use super::{key::KeyPath, tree::Source};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    place: Option<(KeyPath, Source)>,
    problem: String,
    fix: Option<String>,
}

impl Issue {
    /// Something wrong with the value at a key.
    pub(super) fn at(key: KeyPath, source: Source, problem: impl Into<String>) -> Self {
        Self { place: Some((key, source)), problem: problem.into(), fix: None }
    }

    /// Something wrong that no key stands for.
    pub(super) fn general(problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { place: None, problem: problem.into(), fix: Some(fix.into()) }
    }

    /// What to do about it.
    #[must_use]
    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((key, source)) = &self.place {
            write!(f, "{source}: {key}: ")?;
        }
        f.write_str(&self.problem)?;
        match &self.fix {
            Some(fix) => write!(f, "\n    {fix}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Issues(Vec<Issue>);

impl Issues {
    pub(super) fn push(&mut self, issue: Issue) {
        if !self.0.contains(&issue) {
            self.0.push(issue);
        }
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether something is wrong at a place or within it.
    pub(super) fn concern(&self, place: &KeyPath) -> bool {
        let keys = self.0.iter().filter_map(|issue| issue.place.as_ref());
        keys.into_iter().any(|(key, _)| key.starts_with(place))
    }

    /// Whether all is well.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Issues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, issue) in self.0.iter().enumerate() {
            let line_end = if at == 0 { "" } else { "\n" };
            write!(f, "{line_end}  {issue}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Issues {}
