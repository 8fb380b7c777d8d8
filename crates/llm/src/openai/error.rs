//! Why a request is refused, in this API's shape.

use api::openai::ErrorBody;
use types::ErrorCode;

/// A request that is refused. The words name the field and the fix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The row of the error table.
    pub code: ErrorCode,
    /// For the caller.
    pub message: String,
    /// The field at fault, for example `messages[0].content`.
    pub param: Option<String>,
}

impl ApiError {
    /// A request that must be changed.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        let (message, param) = (message.into(), Some(param.into()));
        Self { code: ErrorCode::InvalidRequest, message, param }
    }

    /// Something else than the request.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), param: None }
    }

    pub(super) fn body_is(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidRequest, message)
    }

    pub(super) fn unsupported(param: &str, fix: &str) -> Self {
        Self::invalid(param, format!("`{param}` is not supported; {fix}"))
    }

    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        self.code.status()
    }

    /// The body of the answer.
    pub fn body(&self) -> ErrorBody {
        ErrorBody::new(self.code, self.message.clone(), self.param.clone())
    }
}

impl From<engine::Refused> for ApiError {
    fn from(refused: engine::Refused) -> Self {
        use engine::Refused as R;
        let code = match refused {
            R::QueueFull { .. } => ErrorCode::QueueFull,
            R::ContextOverflow { .. } | R::KvOverflow { .. } => ErrorCode::ContextOverflow,
            R::EmptyPrompt | R::NoTokens | R::UnknownToken { .. } | R::Sampling(_) => {
                ErrorCode::InvalidRequest
            }
        };
        Self::new(code, refused.to_string())
    }
}
