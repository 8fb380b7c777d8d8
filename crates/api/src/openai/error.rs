//! How this API tells that something failed.

use serde::{Deserialize, Serialize};
use types::ErrorCode;

/// The body of every failed call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ErrorBody {
    /// What happened.
    pub error: ErrorDetail,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ErrorDetail {
    /// For a person: the field and the fix.
    pub message: String,
    /// The family, for example `invalid_request_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The field at fault, for example `messages[0].content`.
    #[serde(default)]
    pub param: Option<String>,
    /// The word to match on.
    #[serde(default)]
    pub code: Option<String>,
}

impl ErrorBody {
    /// A row of the error table in this API's shape.
    pub fn new(code: ErrorCode, message: impl Into<String>, param: Option<String>) -> Self {
        let error = ErrorDetail {
            message: message.into(),
            kind: Self::kind(code.status()).into(),
            param,
            code: Some(code.slug().into()),
        };
        Self { error }
    }

    /// The family of errors of an HTTP status.
    pub const fn kind(status: u16) -> &'static str {
        match status {
            401 => "auth_error",
            429 => "rate_limit_error",
            400..500 => "invalid_request_error",
            _ => "server_error",
        }
    }
}
