//! Errors on their way out, in the shape of the OpenAI API.

use api::{Body, headers};
use http::{HeaderValue, Response, StatusCode, header};
use types::{ErrorCode, Fault};
use worker::json;

use crate::{encoder::EmbedRefused, openai::ApiError, service::Refused};

/// When to come back to an engine that is full: about the time of one answer.
const RETRY_AFTER_SECONDS: u16 = 1;

/// How a family of routes tells an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// As the OpenAI API does.
    OpenAi,
    /// As `ai-platform` does at `/generate`: `{"error": words}`.
    Plain,
}

/// The answer that tells an error.
pub(super) fn response(error: &ApiError, family: Family) -> Response<Body> {
    let body = match family {
        Family::OpenAi => serde_json::to_vec(&error.body()),
        Family::Plain => serde_json::to_vec(&serde_json::json!({"error": plain_words(error)})),
    };
    // Strings always serialise.
    let mut response = json::response(body.unwrap_or_default());
    *response.status_mut() =
        StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let head = response.headers_mut();
    head.insert(headers::ERROR_CODE, HeaderValue::from_static(error.code.slug()));
    // Refused before anything was computed: another replica may have room.
    if error.code == ErrorCode::ModelUnavailable {
        head.insert(headers::NOT_BEGUN, HeaderValue::from_static("1"));
        head.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
    }
    response
}

fn plain_words(error: &ApiError) -> String {
    match error.code {
        ErrorCode::HandlerFailed | ErrorCode::WorkerFailed => {
            format!("Error during generation: {}", error.message)
        }
        _ => error.message.clone(),
    }
}

/// A fault of the worker's own reading, in words of the API.
pub(super) fn of_fault(fault: &Fault) -> ApiError {
    ApiError::new(fault.code, fault.detail.clone())
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Engine(engine::Refused::QueueFull { .. })
            | Refused::Busy
            | Refused::Stopped => Self::new(ErrorCode::ModelUnavailable, refused.to_string()),
            Refused::Engine(refused) => refused.into(),
        }
    }
}

impl From<EmbedRefused> for ApiError {
    fn from(refused: EmbedRefused) -> Self {
        let code = match refused {
            EmbedRefused::Busy | EmbedRefused::Stopped => ErrorCode::ModelUnavailable,
            EmbedRefused::Failed(_) => ErrorCode::HandlerFailed,
        };
        Self::new(code, refused.to_string())
    }
}
