//! When failed work is tried again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigIssue, issue};
use crate::{ErrorCode, nearest};

/// When and how often failed work is tried again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetrySpec {
    /// Attempts in all, the first included.
    pub attempts_max: u32,
    /// Wait before the second attempt, in milliseconds; it doubles with every further one.
    pub backoff_ms: u64,
    /// The longest wait between attempts, in milliseconds.
    pub backoff_ms_max: u64,
    /// Codes of the errors after which a durable task is tried again, for example
    /// `["worker_failed"]`, and no others. Default: those of docs/errors that may pass. What was never
    /// begun, or lost with its server, is always tried again.
    pub on: Vec<String>,
    /// Codes of the errors after which a durable task is not tried again.
    pub not_on: Vec<String>,
}

impl Default for RetrySpec {
    fn default() -> Self {
        let (on, not_on) = (Vec::new(), Vec::new());
        Self { attempts_max: 3, backoff_ms: 500, backoff_ms_max: 30_000, on, not_on }
    }
}

impl RetrySpec {
    /// Whether a durable task is tried again after an error with this code; `usually` is what
    /// holds where nothing is configured.
    pub fn is_on(&self, code: ErrorCode, usually: bool) -> bool {
        let names = |codes: &[String]| codes.iter().any(|slug| slug == code.slug());
        let wanted = if self.on.is_empty() { usually } else { names(&self.on) };
        wanted && !names(&self.not_on)
    }

    /// What is wrong with its codes.
    pub(super) fn issues(&self) -> Vec<ConfigIssue> {
        let both = [("retry.on", &self.on), ("retry.not_on", &self.not_on)];
        let mut issues = Vec::new();
        for (field, slug) in both.into_iter().flat_map(|(f, all)| all.iter().map(move |s| (f, s))) {
            if ErrorCode::from_slug(slug).is_some() {
                continue;
            }
            let near = nearest(slug, ErrorCode::ALL.iter().map(|code| code.slug()));
            let fix = near.map_or_else(
                || "docs/errors has a page for each".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            issues.push(issue(field, &format!("there is no error code `{slug}`; {fix}")));
        }
        issues
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(on: &[&str], not_on: &[&str]) -> RetrySpec {
        let slugs = |all: &[&str]| all.iter().map(|&slug| slug.to_owned()).collect();
        RetrySpec { on: slugs(on), not_on: slugs(not_on), ..RetrySpec::default() }
    }

    #[test]
    fn only_named_codes_are_tried_again_and_exceptions_never() {
        let code = ErrorCode::HandlerFailed;
        for (spec, usually, expected) in [
            (spec(&[], &[]), true, true),
            (spec(&[], &[]), false, false),
            (spec(&["handler_failed"], &[]), false, true),
            (spec(&["worker_failed"], &[]), true, false),
            (spec(&[], &["handler_failed"]), true, false),
            (spec(&["handler_failed"], &["handler_failed"]), true, false),
        ] {
            assert_eq!(spec.is_on(code, usually), expected, "{spec:?} {usually}");
        }
    }

    #[test]
    fn a_code_that_does_not_exist_is_named_with_the_one_that_was_meant() {
        let issues = spec(&["worker_failed", "handler_faild"], &["colour"]).issues();
        let told: Vec<_> = issues.iter().map(|issue| (issue.field, &*issue.message)).collect();
        assert_eq!(
            told,
            [
                (
                    "retry.on",
                    "there is no error code `handler_faild`; did you mean `handler_failed`?"
                ),
                (
                    "retry.not_on",
                    "there is no error code `colour`; docs/errors has a page for each"
                ),
            ]
        );
    }
}
