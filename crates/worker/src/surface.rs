//! How a worker looks to callers that do not know our contract.

use std::collections::HashMap;

use api::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, header, request::Parts};
use types::Fault;

use crate::cors::Cors;

/// Renders a fault that was met outside of a handler.
pub type Failure = fn(&Fault) -> Response<Body>;

/// How a worker looks to callers that do not know our contract: pages of its own, another shape of
/// errors, headers for browsers.
///
/// A worker with a surface has no control routes (`/-/`), and takes `/x` and `/x/` for the same
/// path. Everything else stays: capacity, cancelling, streams.
pub struct Surface {
    pages: HashMap<String, Page>,
    cors: Option<Cors>,
    failure: Failure,
}

/// A page that never changes. It takes no place, so it is there also while the worker is full.
pub struct Page {
    /// Its media type.
    pub content_type: HeaderValue,
    /// Its text.
    pub body: Bytes,
    /// Whether HEAD is answered as well as GET.
    pub takes_head: bool,
}

impl Surface {
    /// A surface without pages, on which faults look like that.
    pub fn new(failure: Failure) -> Self {
        Self { pages: HashMap::new(), cors: None, failure }
    }

    /// Adds a page. It goes before a route with the same path and method.
    #[must_use]
    pub fn page(mut self, path: impl Into<String>, page: Page) -> Self {
        self.pages.insert(path.into(), page);
        self
    }

    /// Lets the scripts of other sites call.
    #[must_use]
    pub fn cors(mut self, cors: Cors) -> Self {
        self.cors = Some(cors);
        self
    }

    /// The answer to a request that needs no route.
    pub(crate) fn answer(&self, request: &Parts) -> Option<Response<Body>> {
        if let Some(cors) = &self.cors
            && let Some(response) = cors.preflight(request)
        {
            return Some(response);
        }
        let page = self.pages.get(request.uri.path())?;
        page.takes(&request.method).then(|| page.response())
    }

    /// The methods of the page at a path.
    pub(crate) fn allow(&self, path: &str) -> Option<HeaderValue> {
        let page = self.pages.get(path)?;
        Some(HeaderValue::from_static(if page.takes_head { "GET, HEAD" } else { "GET" }))
    }

    /// What every answer to this request has in its head.
    pub(crate) fn overlay(&self, request: &HeaderMap) -> HeaderMap {
        self.cors.as_ref().map(|cors| cors.overlay(request)).unwrap_or_default()
    }

    pub(crate) fn failure(&self, fault: &Fault) -> Response<Body> {
        (self.failure)(fault)
    }
}

impl Page {
    fn takes(&self, method: &Method) -> bool {
        *method == Method::GET || (self.takes_head && *method == Method::HEAD)
    }

    fn response(&self) -> Response<Body> {
        let mut response = Response::new(Body::full(self.body.clone()));
        response.headers_mut().insert(header::CONTENT_TYPE, self.content_type.clone());
        response
    }
}
