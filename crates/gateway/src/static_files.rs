//! A folder of the operator's, and pages of other origins that may call us.

use std::path::Path;

use axum::{Router, routing::get_service};
use http::{HeaderValue, header, request};
use tower_http::{
    cors::{AllowHeaders, AllowOrigin, Any, CorsLayer},
    services::{ServeDir, ServeFile},
};

use crate::nowhere::not_found;

/// Serves the folder at every path that is not ours, and its `index.html` at `/`.
pub(crate) fn at_the_rest(router: Router, folder: &Path) -> Router {
    let index = get_service(ServeFile::new(folder.join("index.html")));
    let missing = Router::new().fallback(not_found);
    router.route("/", index).fallback_service(ServeDir::new(folder).fallback(missing))
}

/// Lets pages of these origins call us from a browser. Origins that cannot be header values match
/// nothing.
pub(crate) fn cors(origins: &[String]) -> CorsLayer {
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        let origins: Vec<_> =
            origins.iter().filter_map(|origin| HeaderValue::try_from(origin).ok()).collect();
        AllowOrigin::predicate(move |origin, _: &request::Parts| origins.contains(origin))
    };
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods(Any)
        // Browsers take no `*` for `Authorization`.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([header::RETRY_AFTER, api::headers::REQUEST_ID, api::headers::TASK_ID])
}
