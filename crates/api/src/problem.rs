//! The one error body of the native routes: problem+json (RFC 9457).

use serde::{Deserialize, Serialize};
use types::{ErrorCode, Fault};

/// The media type of [`Problem`].
pub const PROBLEM_JSON: &str = "application/problem+json";

/// What every failed native call answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// Page that explains the error, relative to the documentation.
    #[serde(rename = "type")]
    pub kind: String,
    /// One line for a person.
    pub title: String,
    /// The HTTP status, repeated.
    pub status: u16,
    /// What happened this time.
    pub detail: String,
    /// The stable name to match on.
    pub code: String,
    /// The request, for the operator's logs.
    pub request_id: String,
    /// Seconds after which to try again, where that helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The fields that did not fit, for `invalid_input`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<serde_json::Value>,
}

impl Problem {
    /// Renders a fault for one request.
    pub fn new(fault: &Fault, request_id: &str) -> Self {
        let code = fault.code;
        Self {
            kind: format!("docs/errors/{}.md", code.slug()),
            title: code.title().into(),
            status: code.status(),
            detail: fault.detail.clone().into_owned(),
            code: code.slug().into(),
            request_id: request_id.into(),
            retry_after: fault.retry_after.map(|wait| wait.as_secs().max(1)),
            errors: None,
        }
    }

    /// The code of the table, if this build knows it.
    pub fn error_code(&self) -> Option<ErrorCode> {
        ErrorCode::from_slug(&self.code)
    }
}
