//! Faults, as a worker answers them.

use std::{error::Error, fmt};

use api::{Body, Problem, headers, problem::PROBLEM_JSON};
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use types::Fault;

/// One field that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Where it stands, for example `items[2].size`; empty for the body itself.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// The fields that did not fit. As the cause of a fault ([`Fault::caused_by`]) they are shown to
/// the caller in `errors`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct FieldErrors(pub Vec<FieldError>);

impl fmt::Display for FieldErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, FieldError { field, message }) in self.0.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            write!(f, "{comma}`{field}`: {message}")?;
        }
        Ok(())
    }
}

impl Error for FieldErrors {}

/// The answer that tells a fault: problem+json with the status and the slug of its code.
pub fn problem_response(fault: &Fault, request_id: &str) -> Response<Body> {
    let mut problem = Problem::new(fault, request_id);
    let fields = fault.source.as_ref().and_then(|source| source.downcast_ref::<FieldErrors>());
    problem.errors = fields.and_then(|fields| serde_json::to_value(fields).ok());
    // Strings and numbers always serialise.
    let body = serde_json::to_vec(&problem).unwrap_or_default();

    let mut response = Response::new(Body::full(body));
    *response.status_mut() =
        StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let head = response.headers_mut();
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    head.insert(headers::ERROR_CODE, HeaderValue::from_static(fault.code.slug()));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        head.insert(headers::REQUEST_ID, id);
    }
    if let Some(seconds) = problem.retry_after {
        head.insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
