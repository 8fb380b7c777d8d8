//! What is asked of a model, and the request that a replica gets for it.

use std::mem;

use api::{Body, headers};
use fleet::Replica;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header, uri::PathAndQuery};
use policy::{lane::Wish, prefix::Prefix};
use tokio::time::Instant;
use types::{CallId, ErrorCode, Fault, ModelName, Priority, Tenant};

/// Routes that an error lists at most.
const ROUTES_NAMED: usize = 16;

/// Which route of the model is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// The one that the worker declares as its default.
    Default,
    /// This path and query, verbatim.
    Path(PathAndQuery),
}

/// One call of a model.
#[derive(Debug)]
pub struct Call {
    /// Names this attempt towards the worker.
    pub call_id: CallId,
    /// The model.
    pub model: ModelName,
    /// Its route.
    pub route: Route,
    /// Whose call it is.
    pub tenant: Tenant,
    /// Its class.
    pub priority: Priority,
    /// When its caller stops waiting; the model's own timeout holds as well.
    pub deadline: Option<Instant>,
    /// What its prompt begins with, for replicas that remember prompts.
    pub prefix: Prefix,
    /// Method, headers and body for the worker; the query is used for the default route only.
    pub request: Request<Body>,
}

impl Call {
    pub(crate) fn ask(&self) -> Ask {
        Ask {
            model: self.model.clone(),
            tenant: self.tenant.clone(),
            priority: self.priority,
            deadline: self.deadline,
            wish: Wish { avoid: None, prefix: self.prefix.clone() },
        }
    }
}

/// A place on a replica is asked for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The model.
    pub model: ModelName,
    /// Whose call it is.
    pub tenant: Tenant,
    /// Its class.
    pub priority: Priority,
    /// When to stop waiting; the model's own timeout holds as well.
    pub deadline: Option<Instant>,
    /// What it wishes of its replica.
    pub wish: Wish,
}

/// The parts of a call from which the request of each attempt is made.
pub(crate) struct Outgoing {
    method: Method,
    route: Route,
    query: Option<String>,
    headers: HeaderMap,
    body: Option<Body>,
    deadline: Instant,
    /// Nothing needs to be kept for another attempt.
    once: bool,
}

impl Outgoing {
    /// - `once`: there will be one attempt only.
    pub(crate) fn new(call: Call, deadline: Instant, once: bool) -> Self {
        let (parts, body) = call.request.into_parts();
        let mut headers = parts.headers;
        remove_hop_by_hop(&mut headers);
        set(&mut headers, headers::CALL_ID, &call.call_id.to_string());
        set(&mut headers, headers::TENANT, call.tenant.as_str());
        headers.insert(headers::PRIORITY, HeaderValue::from_static(call.priority.as_str()));
        Self {
            method: parts.method,
            route: call.route,
            query: parts.uri.query().map(str::to_owned),
            headers,
            body: Some(body),
            deadline,
            once,
        }
    }

    /// Whether another attempt could be made: a streamed body can be sent only once.
    pub(crate) const fn can_be_sent(&self) -> bool {
        self.body.is_some()
    }

    /// The request for one attempt at `replica`.
    pub(crate) fn request(&mut self, replica: &Replica) -> Result<Request<Body>, Fault> {
        let left = self.deadline.saturating_duration_since(Instant::now()).as_millis();
        let left = u64::try_from(left).unwrap_or(u64::MAX);
        if left == 0 {
            let detail = "the time of the call was up before it could be sent";
            return Err(Fault::new(ErrorCode::DeadlineExceeded, detail));
        }
        self.headers.insert(headers::DEADLINE_MS, HeaderValue::from(left));
        let copy = if self.once { None } else { self.body.as_ref().and_then(Body::try_clone) };
        let (headers, body) = match copy {
            Some(copy) => (self.headers.clone(), copy),
            None => (mem::take(&mut self.headers), self.body.take().unwrap_or_default()),
        };
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri(replica)?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    fn uri(&self, replica: &Replica) -> Result<Uri, Fault> {
        let uri = match (&self.route, &self.query) {
            (Route::Path(path), _) => return Ok(path.clone().into()),
            (Route::Default, _) if replica.description.default_route.is_empty() => {
                return Err(no_default(replica));
            }
            (Route::Default, None) => replica.description.default_route.parse(),
            (Route::Default, Some(query)) => {
                format!("{}?{query}", replica.description.default_route).parse()
            }
        };
        uri.map_err(|error: http::uri::InvalidUri| {
            let detail = "the worker declares a default route that is not a path";
            Fault::new(ErrorCode::WorkerFailed, detail).caused_by(error)
        })
    }
}

/// Which route is meant only its caller knows.
fn no_default(replica: &Replica) -> Fault {
    let (model, routes) = (&replica.model, &replica.description.routes);
    let known: Vec<_> = routes.iter().map(|route| route.path.as_str()).take(ROUTES_NAMED).collect();
    let detail = format!(
        "model {model} has no route that calls without one go to; call /invoke/{model}/{{route}}, \
         its routes are: {}",
        if known.is_empty() { "not known here".to_owned() } else { known.join(", ") }
    );
    Fault::new(ErrorCode::RouteNotFound, detail)
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // Ids and names are visible ASCII, so this cannot fail; a header less would do no harm.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// What belongs to the client's connection (RFC 9110, 7.6.1), beside what `Connection` names.
static HOP_BY_HOP: [HeaderName; 8] = [
    header::HOST,
    header::EXPECT,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Leaves the headers that are not for the client's connection only. A WebSocket handshake keeps
/// two of those, because the worker answers it.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    headers::remove_where(headers, |name| HOP_BY_HOP.contains(name));
    if headers.contains_key(header::UPGRADE) {
        return;
    }
    if let Some(connection) = headers.remove(header::CONNECTION) {
        let named = connection.to_str().unwrap_or_default().split(',').map(str::trim);
        for name in named.filter(|name| !name.eq_ignore_ascii_case("close")) {
            headers.remove(name);
        }
    }
}
