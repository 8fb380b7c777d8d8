//! What is special about the routes of `modelyard.handler`, and about each of their calls.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use api::{Body, headers};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use types::ErrorCode;
use worker::{Incoming, PathParam};

use super::{
    StreamLimit,
    surface::error_json,
    trace::{self, TRACE_ID},
};

/// What is special about a route.
pub(crate) struct Dialect {
    /// Longest time from the arrival of a call to the end of its answer.
    pub(crate) timeout: Option<Duration>,
    /// The time as the author of the route wrote it, for example `600`.
    pub(crate) timeout_shown: String,
    /// It answers with events; the status is 200 whatever happens.
    pub(crate) events: bool,
    /// In the head of each answer of events.
    pub(crate) head: Vec<(HeaderName, HeaderValue)>,
}

/// What a call of such a route carries.
pub(crate) struct Manner {
    dialect: Arc<Dialect>,
    pub(crate) params: Vec<PathParam>,
    deadline: Option<Instant>,
    trace: OnceLock<HeaderValue>,
}

impl Manner {
    /// The manner of a call that has just come.
    pub(crate) fn new(dialect: &Arc<Dialect>, incoming: &Incoming) -> Arc<Self> {
        let trace = OnceLock::new();
        if let Some(told) = trace::told(incoming.request.headers()) {
            // It is new, so nothing is in it.
            let _ = trace.set(told);
        }
        Arc::new(Self {
            dialect: Arc::clone(dialect),
            params: incoming.path_params().to_vec(),
            deadline: dialect.timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
            trace,
        })
    }

    /// When the call is answered in any case.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// What ties the log lines of the call together: the id in its head, else in its body
    /// (`told`), else a new one.
    pub(crate) fn trace(&self, told: impl FnOnce() -> Option<HeaderValue>) -> &HeaderValue {
        self.trace.get_or_init(|| told().unwrap_or_else(trace::fresh))
    }

    /// Tells the caller the id of its call.
    pub(crate) fn sign(&self, head: &mut HeaderMap) {
        head.insert(TRACE_ID, self.trace(|| None).clone());
    }

    /// The answer to a call whose time is up.
    pub(crate) fn too_late(&self) -> Response<Body> {
        if self.dialect.events {
            return self.events(Body::full(self.last_event()));
        }
        let message = format!("Request timeout after {}s", self.dialect.timeout_shown);
        let mut response = error_json(StatusCode::GATEWAY_TIMEOUT, &message, "timeout_error");
        let head = response.headers_mut();
        // The code runs on: its place is not free before it ends.
        let slug = HeaderValue::from_static(ErrorCode::DeadlineExceeded.slug());
        head.insert(headers::ERROR_CODE, slug);
        self.sign(head);
        response
    }

    /// An answer of events around its body.
    pub(crate) fn events(&self, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        let head = response.headers_mut();
        let events = HeaderValue::from_static("text/event-stream; charset=utf-8");
        head.insert(header::CONTENT_TYPE, events);
        for (name, value) in &self.dialect.head {
            head.insert(name, value.clone());
        }
        self.sign(head);
        response
    }

    /// The end of a stream whose time is up.
    pub(crate) fn stream_limit(&self) -> Option<StreamLimit> {
        let deadline = self.deadline.filter(|_| self.dialect.events)?;
        Some(StreamLimit::new(deadline, self.last_event()))
    }

    fn last_event(&self) -> Bytes {
        let shown = &self.dialect.timeout_shown;
        format!(
            "data: {{\"message\": \"SSE timeout after {shown}s\", \"type\": \"timeout_error\"}}\n\n"
        )
        .into()
    }
}
