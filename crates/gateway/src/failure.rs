//! What a handler returns when it fails, and the one place where that becomes an answer.

use std::sync::Arc;

use api::{
    Problem,
    ieops::{REGISTER_PATH, Reply, UNREGISTER_PATH},
    problem::PROBLEM_JSON,
};
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use types::{ErrorCode, Fault, chain};

/// A failed request on its way to [`render`], which knows the request's id and its family.
pub(crate) struct Failure(pub(crate) Fault);

/// Carried from the handler to the door among the answer's extensions.
#[derive(Clone)]
struct Carried(Arc<Fault>);

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

impl Failure {
    pub(crate) fn new(code: ErrorCode, detail: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self(Fault::new(code, detail))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = status(self.0.code).into_response();
        response.extensions_mut().insert(Carried(Arc::new(self.0)));
        response
    }
}

/// The families of paths, each with its own shape of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// problem+json.
    Native,
    /// `{"error": {"message", "type", "code"}}`.
    OpenAi,
    /// `{"error": "…"}`.
    Generate,
    /// `{"message": "…", "data": null}`, for workers that register.
    Ieops,
}

impl Family {
    pub(crate) fn of(path: &str) -> Self {
        match path {
            "/generate" => Self::Generate,
            _ if path.starts_with("/v1/") => Self::OpenAi,
            REGISTER_PATH | UNREGISTER_PATH => Self::Ieops,
            _ => Self::Native,
        }
    }
}

/// Gives a failed answer its body.
pub(crate) fn render(mut response: Response, family: Family, request_id: &str) -> Response {
    let Some(Carried(fault)) = response.extensions_mut().remove::<Carried>() else {
        return response;
    };
    log(&fault, request_id);
    let (content_type, body) = shaped(&fault, family, request_id);
    *response.body_mut() = Body::from(body);
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if fault.code == ErrorCode::Unauthorized {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(wait) = fault.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    response
}

/// The last event of a stream that cannot go on.
pub(crate) fn last_event(fault: &Fault, family: Family, request_id: &str) -> Vec<u8> {
    log(fault, request_id);
    let (_, data) = shaped(fault, family, request_id);
    let field: &[u8] = match family {
        // Its clients know an error by its shape, and look at no other field.
        Family::OpenAi | Family::Generate => b"data: ",
        Family::Native | Family::Ieops => b"event: error\ndata: ",
    };
    // JSON in one line, as serde writes it.
    [field, &data, b"\n\n"].concat()
}

/// A fault in the shape of a family, and the type of that.
fn shaped(fault: &Fault, family: Family, request_id: &str) -> (&'static str, Vec<u8>) {
    let (content_type, body) = match family {
        Family::Native => (PROBLEM_JSON, serde_json::to_vec(&Problem::new(fault, request_id))),
        Family::OpenAi => ("application/json", serde_json::to_vec(&openai(fault))),
        Family::Generate => {
            ("application/json", serde_json::to_vec(&json!({ "error": fault.detail })))
        }
        Family::Ieops => {
            let reply = Reply { message: fault.detail.to_string(), data: None };
            ("application/json", serde_json::to_vec(&reply))
        }
    };
    // These shapes are made of text and numbers; they always serialise.
    (content_type, body.unwrap_or_default())
}

fn openai(fault: &Fault) -> serde_json::Value {
    let kind = match fault.code.status() {
        401 => "auth_error",
        429 => "rate_limit_error",
        400..500 => "invalid_request_error",
        _ => "server_error",
    };
    json!({"error": {
        "message": fault.detail,
        "type": kind,
        "param": fault.param,
        "code": fault.code.slug(),
    }})
}

/// The operator sees the whole chain; the caller saw only the detail.
fn log(fault: &Fault, request_id: &str) {
    let line = chain(fault);
    if fault.code.status() >= 500 && fault.code != ErrorCode::ModelUnavailable {
        tracing::warn!(request_id, "{line}");
    } else {
        tracing::debug!(request_id, "{line}");
    }
}

fn status(code: ErrorCode) -> StatusCode {
    StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
