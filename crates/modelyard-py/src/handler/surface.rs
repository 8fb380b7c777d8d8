//! How errors look on a server of `modelyard.handler`: `{"message", "type"}`.

use api::Body;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use types::{ErrorCode, Fault};

/// Seconds after which a caller that met a full server should try again.
const RETRY_AFTER_S: u32 = 1;

#[derive(Serialize)]
struct Told<'a> {
    message: &'a str,
    r#type: &'a str,
}

/// An error as callers see it.
pub(crate) fn error_json(status: StatusCode, message: &str, kind: &str) -> Response<Body> {
    // Text always serialises.
    let body = serde_json::to_vec(&Told { message, r#type: kind }).unwrap_or_default();
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// A fault that was met outside of a handler.
pub(crate) fn failure(fault: &Fault) -> Response<Body> {
    let status = fault.code.status();
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (message, kind) = match fault.code {
        ErrorCode::RouteNotFound => ("Not Found", "http_error"),
        ErrorCode::MethodNotAllowed => ("Method Not Allowed", "http_error"),
        ErrorCode::DeadlineExceeded => (&*fault.detail, "timeout_error"),
        _ if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE => {
            ("Internal server error", "internal_error")
        }
        _ => (&*fault.detail, "http_error"),
    };
    let mut response = error_json(status, message, kind);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_S.into());
    }
    response
}
