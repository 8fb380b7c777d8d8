//! What the end of a call means for its task. Pure.
//!
//! An attempt is tried again when another may end otherwise: the worker died, the provider failed,
//! the time of the call ran out, the model's code raised an error (it may have met a passing
//! condition; `retry.attempts_max = 1` switches that off, `retry.on` and `retry.not_on` choose). Input that the model refuses (4xx) is not
//! tried again. What was refused before it began does not count as an attempt.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use store::{Outcome, StoredAnswer, TaskError};
use types::{ErrorCode, Fault, Retry, RetrySpec, Timestamp};

use crate::json;

/// Characters of an error that are kept: enough for a traceback.
const DETAIL_CHARS_MAX: usize = 8192;

/// Wait before a task is offered again that no worker took, where nobody said how long.
const NOT_BEGUN_WAIT: Duration = Duration::from_secs(1);

/// A whole answer of a model.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: Option<String>,
    /// From `x-error-code`.
    pub(crate) error_code: Option<ErrorCode>,
    pub(crate) body: Bytes,
}

/// What an answer means.
pub(crate) fn of_answer(answer: Answer) -> Outcome {
    let Answer { status, content_type, error_code, body } = answer;
    if status.is_client_error() || status.is_server_error() {
        let error = error_of(status, error_code, &body);
        return if is_worth_another_try(status) {
            Outcome::Retry(error)
        } else {
            Outcome::Failed(error)
        };
    }
    if content_type.is_some()
        && json::is_json(content_type.as_deref())
        && json::raw(&body).is_none()
    {
        let detail = "the worker answered with a body that is not the JSON it announces";
        return Outcome::Retry(TaskError::new(ErrorCode::WorkerFailed, detail));
    }
    Outcome::Completed(StoredAnswer { content_type, body })
}

/// What a call without an answer means.
pub(crate) fn of_fault(fault: &Fault, now: Timestamp) -> Outcome {
    let error = TaskError::new(fault.code, shortened(&fault.detail));
    match fault.code.retry() {
        Retry::No => Outcome::Failed(error),
        Retry::IfIdempotent => Outcome::Retry(error),
        Retry::Later => {
            let not_before = now.after(fault.retry_after.unwrap_or(NOT_BEGUN_WAIT));
            Outcome::NotBegun { error, not_before }
        }
    }
}

/// The same, but for the errors of which the operator decided otherwise.
pub(crate) fn as_configured(outcome: Outcome, retry: &RetrySpec) -> Outcome {
    match outcome {
        Outcome::Retry(error) if !retry.is_on(error.code, true) => Outcome::Failed(error),
        Outcome::Failed(error) if retry.is_on(error.code, false) => Outcome::Retry(error),
        outcome => outcome,
    }
}

/// The error that a failed answer tells of.
pub(crate) fn error_of(status: StatusCode, code: Option<ErrorCode>, body: &Bytes) -> TaskError {
    let code = code.unwrap_or(if status.is_client_error() {
        ErrorCode::InvalidInput
    } else {
        ErrorCode::HandlerFailed
    });
    let detail = match words(body) {
        Some(words) => shortened(&words),
        None => format!("the model answered with status {}", status.as_u16()),
    };
    TaskError::new(code, detail)
}

/// Timeout, too early and too many requests say "later"; all else of 4xx says "never".
fn is_worth_another_try(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        )
}

/// The usual places of an error's words.
#[derive(Deserialize)]
struct ErrorBody {
    detail: Option<Value>,
    error: Option<Value>,
    message: Option<Value>,
}

/// The words in the body of a failed answer; `None` if there are none.
fn words(body: &[u8]) -> Option<Cow<'_, str>> {
    let text = std::str::from_utf8(body).ok()?.trim();
    let Ok(parsed) = serde_json::from_str::<ErrorBody>(text) else {
        return Some(text).filter(|text| !text.is_empty()).map(Cow::Borrowed);
    };
    let said = [parsed.detail, parsed.error, parsed.message].into_iter().flatten().next();
    Some(match said {
        Some(Value::String(said)) => Cow::Owned(said),
        Some(Value::Object(fields)) => match fields.get("message") {
            Some(Value::String(said)) => Cow::Owned(said.clone()),
            _ => Cow::Owned(Value::Object(fields).to_string()),
        },
        Some(other) => Cow::Owned(other.to_string()),
        None => Cow::Borrowed(text),
    })
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(DETAIL_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1000);

    fn answer(status: u16, body: &'static str) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        let content_type = Some("application/json".to_owned());
        Answer { status, content_type, error_code: None, body: Bytes::from_static(body.as_bytes()) }
    }

    fn word(outcome: &Outcome) -> &'static str {
        match outcome {
            Outcome::Completed(_) => "completed",
            Outcome::Failed(_) => "failed",
            Outcome::Retry(_) => "again",
            Outcome::NotBegun { .. } => "not begun",
        }
    }

    #[test]
    fn a_status_decides_whether_to_try_again() {
        for (status, expected) in [
            (200, "completed"),
            (204, "completed"),
            (302, "completed"),
            (400, "failed"),
            (404, "failed"),
            (422, "failed"),
            (408, "again"),
            (429, "again"),
            (500, "again"),
            (503, "again"),
            (504, "again"),
        ] {
            assert_eq!(word(&of_answer(answer(status, "{}"))), expected, "{status}");
        }
    }

    #[test]
    fn json_that_is_none_is_not_taken_for_an_answer() {
        let Outcome::Retry(error) = of_answer(answer(200, "{\"half\":")) else { panic!() };
        assert_eq!(error.code, ErrorCode::WorkerFailed);
        let text = Answer { content_type: Some("text/plain".into()), ..answer(200, "{\"half\":") };
        assert_eq!(word(&of_answer(text)), "completed");
        let nothing = Answer { content_type: None, ..answer(204, "") };
        assert_eq!(word(&of_answer(nothing)), "completed");
    }

    #[test]
    fn the_words_of_an_error_are_found_where_they_usually_are() {
        for (body, expected) in [
            (r#"{"detail":"boom","code":"handler_failed"}"#, "boom"),
            (r#"{"error":{"message":"no credit","type":"x"}}"#, "no credit"),
            (r#"{"error":"plain"}"#, "plain"),
            (r#"{"message":"said"}"#, "said"),
            (r#"{"detail":[{"loc":["body"]}]}"#, r#"[{"loc":["body"]}]"#),
            ("Internal Server Error", "Internal Server Error"),
            (r#"{"other":1}"#, r#"{"other":1}"#),
            ("", "the model answered with status 500"),
        ] {
            let body = Bytes::from_static(body.as_bytes());
            let error = error_of(StatusCode::INTERNAL_SERVER_ERROR, None, &body);
            assert_eq!(error, TaskError::new(ErrorCode::HandlerFailed, expected));
        }
        let long = Bytes::from("é".repeat(10_000));
        let error = error_of(StatusCode::BAD_REQUEST, Some(ErrorCode::InvalidJson), &long);
        assert_eq!(error.code, ErrorCode::InvalidJson);
        assert_eq!(error.detail.chars().count(), DETAIL_CHARS_MAX + 1);
    }

    #[test]
    fn an_operator_may_name_the_errors_that_are_worth_another_try() {
        let slugs = |all: &[&str]| all.iter().map(|&slug| slug.to_owned()).collect::<Vec<_>>();
        let spec = |on: &[&str], not_on: &[&str]| RetrySpec {
            on: slugs(on),
            not_on: slugs(not_on),
            ..RetrySpec::default()
        };
        for (retry, status, expected) in [
            (spec(&[], &[]), 500, "again"),
            (spec(&[], &[]), 422, "failed"),
            (spec(&[], &["handler_failed"]), 500, "failed"),
            (spec(&["worker_failed"], &[]), 500, "failed"),
            (spec(&["handler_failed"], &[]), 500, "again"),
            (spec(&["invalid_input"], &[]), 422, "again"),
            (spec(&["invalid_input"], &["invalid_input"]), 422, "failed"),
            (spec(&["worker_failed"], &["handler_failed"]), 200, "completed"),
        ] {
            let outcome = as_configured(of_answer(answer(status, "{}")), &retry);
            assert_eq!(word(&outcome), expected, "{retry:?} {status}");
        }
        let not_begun = of_fault(&Fault::new(ErrorCode::ModelUnavailable, "x"), NOW);
        let outcome = as_configured(not_begun, &spec(&[], &["model_unavailable"]));
        assert_eq!(word(&outcome), "not begun");
    }

    #[test]
    fn the_error_table_decides_over_a_call_without_an_answer() {
        for (code, expected) in [
            (ErrorCode::WorkerFailed, "again"),
            (ErrorCode::ProviderFailed, "again"),
            (ErrorCode::DeadlineExceeded, "again"),
            (ErrorCode::ModelUnavailable, "not begun"),
            (ErrorCode::QueueFull, "not begun"),
            (ErrorCode::ModelNotFound, "failed"),
            (ErrorCode::InvalidInput, "failed"),
        ] {
            assert_eq!(word(&of_fault(&Fault::new(code, "x"), NOW)), expected, "{code:?}");
        }
        let later = Fault::new(ErrorCode::QueueFull, "x").retry_after(Duration::from_secs(5));
        let Outcome::NotBegun { not_before, .. } = of_fault(&later, NOW) else { panic!() };
        assert_eq!(not_before, NOW.after(Duration::from_secs(5)));
    }
}
