//! Why a request got no answer from a handler.

use api::{Body, headers};
use http::{HeaderValue, Response, header};
use types::{ErrorCode, Fault};

use crate::{Surface, problem_response};

/// Why a request got no answer from a handler.
pub(crate) enum Refusal {
    /// It failed.
    Fault(Fault),
    /// It may go to another worker: its code has not run here.
    NotBegun(Fault),
    /// The path takes other methods.
    Method {
        /// These.
        allow: HeaderValue,
    },
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Refusal {
    /// The worker holds as many calls as it can.
    pub(crate) fn full() -> Self {
        Self::NotBegun(Fault::new(
            ErrorCode::ModelUnavailable,
            "this worker holds as many calls as it can; try another one, or later",
        ))
    }

    /// The worker takes nothing new.
    pub(crate) fn draining() -> Self {
        Self::NotBegun(Fault::new(
            ErrorCode::ServerDraining,
            "this worker is about to end and takes nothing new; try another one",
        ))
    }

    /// The fault beneath.
    pub(crate) fn into_fault(self) -> Fault {
        match self {
            Self::Fault(fault) | Self::NotBegun(fault) => fault,
            Self::Method { allow } => {
                let methods = allow.to_str().unwrap_or_default();
                let detail = format!("this path does not take that method; use {methods}");
                Fault::new(ErrorCode::MethodNotAllowed, detail)
            }
        }
    }

    pub(crate) fn response(self, request_id: &str, surface: Option<&Surface>) -> Response<Body> {
        let mark = match &self {
            Self::Fault(fault) if fault.code == ErrorCode::Unauthorized => {
                Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
            }
            Self::Fault(_) => None,
            Self::NotBegun(_) => Some((headers::NOT_BEGUN, HeaderValue::from_static("1"))),
            Self::Method { allow } => Some((header::ALLOW, allow.clone())),
        };
        let fault = self.into_fault();
        let mut response = match surface {
            None => problem_response(&fault, request_id),
            Some(surface) => surface.failure(&fault),
        };
        if let Some((name, value)) = mark {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
