//! Turns values of the file into types of the house, and tells of those that cannot be turned.

use std::{fmt::Display, str::FromStr, time::Duration};

use super::{
    Issue, Issues,
    key::KeyPath,
    tree::{Source, Tree},
};

/// Ten years: beyond it a time is a slip of the finger, and sums of times would overflow.
const SECONDS_MAX: f64 = 10.0 * 365.0 * 86_400.0;

/// Collects what is wrong while settings are made; each answer to a wrong value is a filler that
/// nobody gets to see.
pub(super) struct Judge<'a> {
    pub(super) tree: &'a Tree,
    pub(super) issues: &'a mut Issues,
}

impl Judge<'_> {
    /// Tells of a value that cannot be used; `fix` may be empty where the problem says it all.
    pub(super) fn refuse(&mut self, key: &KeyPath, problem: impl Into<String>, fix: &str) {
        // What is missing has no source; then what stands beside it has.
        let parent = key.prefix(key.keys().len().saturating_sub(1));
        let source = self.tree.source(key).or_else(|| self.tree.source(&parent));
        let issue = Issue::at(key.clone(), source.cloned().unwrap_or(Source::BuiltIn), problem);
        self.issues.push(if fix.is_empty() { issue } else { issue.fix(fix) });
    }

    /// A time of at least `least` seconds.
    pub(super) fn seconds(&mut self, key: &str, value: f64, least: f64) -> Duration {
        if value.is_finite() && value >= least && value <= SECONDS_MAX {
            return Duration::from_secs_f64(value);
        }
        let fix = format!("write a number of at least {least}");
        self.refuse(&KeyPath::dotted(key), format!("`{value}` is out of range"), &fix);
        Duration::ZERO
    }

    /// A count of at least one.
    pub(super) fn positive(&mut self, key: &str, value: u32) -> usize {
        if value == 0 {
            self.refuse(&KeyPath::dotted(key), "`0` is too small", "write 1 or more");
        }
        value as usize
    }

    /// A text that has to be understood.
    pub(super) fn parse<T>(&mut self, key: &str, text: &str, fix: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(&KeyPath::dotted(key), T::Err::to_string(&error), fix);
                None
            }
        }
    }
}
