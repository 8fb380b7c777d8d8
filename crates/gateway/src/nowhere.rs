//! Paths and methods that are not ours.

use types::ErrorCode;

use crate::failure::Failure;

/// Answers where nothing else does.
pub(crate) async fn not_found(uri: http::Uri) -> Failure {
    let detail = format!("nothing answers at {}; see /docs", uri.path());
    Failure::new(ErrorCode::RouteNotFound, detail)
}

/// Answers where something does, but not to this method.
pub(crate) async fn method_not_allowed(method: http::Method, uri: http::Uri) -> Failure {
    let detail = format!("{} does not take {method}; see /docs", uri.path());
    Failure::new(ErrorCode::MethodNotAllowed, detail)
}
