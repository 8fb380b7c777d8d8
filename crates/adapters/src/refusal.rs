//! Calls that are wrong in themselves.

use std::borrow::Cow;

use api::EndpointError;
use http::Uri;
use types::{ErrorCode, Fault};

/// Refuses a call for good. Nothing was begun, but to say so would send it to the next replica,
/// which would refuse it just the same.
pub(crate) fn refuse(code: ErrorCode, detail: impl Into<Cow<'static, str>>) -> EndpointError {
    EndpointError::maybe_begun(Fault::new(code, detail))
}

/// Lets only the default route pass: these models are one address, and a path that callers could
/// choose would open the provider's other doors with the operator's key.
///
/// # Errors
/// `route_not_found` for any other path.
pub(crate) fn only_default_route(uri: &Uri) -> Result<(), EndpointError> {
    match uri.path() {
        "" | "/" => Ok(()),
        path => Err(refuse(
            ErrorCode::RouteNotFound,
            format!("this model has no route `{path}`; call it without one"),
        )),
    }
}
