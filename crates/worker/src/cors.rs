//! What browsers ask before the scripts of another site may call (cross-origin resource sharing).

use api::Body;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts};

/// Asked about with a preflight, in this order.
const METHODS: &str = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";

/// How long a browser may remember the answer to a preflight, in seconds.
const REMEMBERED_S: u32 = 600;

/// Whose scripts may call. Every method and header is allowed, and so are credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// `None` for everybody.
    origins: Option<Vec<HeaderValue>>,
}

impl Cors {
    /// The scripts of these sites may call, for example `https://shop.example`; `*` among them
    /// stands for all.
    pub fn new(origins: impl IntoIterator<Item = HeaderValue>) -> Self {
        let origins: Vec<_> = origins.into_iter().collect();
        let is_open = origins.iter().any(|origin| origin == "*");
        Self { origins: (!is_open).then_some(origins) }
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        self.origins.as_ref().is_none_or(|origins| origins.contains(origin))
    }

    /// The answer to a browser that asks before it calls.
    pub(crate) fn preflight(&self, request: &Parts) -> Option<Response<Body>> {
        let asked = &request.headers;
        let origin = asked.get(header::ORIGIN)?;
        let asks = asked.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if request.method != Method::OPTIONS || !asks {
            return None;
        }
        let mut response = Response::new(Body::full("OK"));
        let is_allowed = self.allows(origin);
        if !is_allowed {
            response = Response::new(Body::full("Disallowed CORS origin"));
            *response.status_mut() = StatusCode::BAD_REQUEST;
        }
        let head = response.headers_mut();
        head.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        head.insert(header::VARY, HeaderValue::from_static("Origin"));
        head.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        head.insert(header::ACCESS_CONTROL_MAX_AGE, REMEMBERED_S.into());
        head.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        if let Some(headers) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            head.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, headers.clone());
        }
        if is_allowed {
            head.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        }
        Some(response)
    }

    /// What the answer to a script of another site has in its head; nothing for everybody else.
    pub(crate) fn overlay(&self, request: &HeaderMap) -> HeaderMap {
        let mut head = HeaderMap::new();
        let Some(origin) = request.get(header::ORIGIN) else { return head };
        head.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        // With credentials a browser does not take the star.
        let star = self.origins.is_none() && !request.contains_key(header::COOKIE);
        if star {
            head.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        } else if self.allows(origin) {
            head.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            head.insert(header::VARY, HeaderValue::from_static("Origin"));
        }
        head
    }
}
