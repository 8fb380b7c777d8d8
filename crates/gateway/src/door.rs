//! What every request passes: its id, the rendering of what failed, its access line, its metrics.

use std::{any::Any, convert::Infallible, panic::AssertUnwindSafe, time::Instant};

use api::headers;
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use http::{HeaderValue, Method, Request};
use telemetry::metrics::Metrics;
use tokio_util::task::TaskTracker;
use types::{ErrorCode, Fault, RequestId};
use uuid::Uuid;

use crate::{
    Gateway,
    failure::{Failure, Family, render},
    last_event, lingering,
    routes::{self, Routes},
};

/// Who comes in by a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visitors {
    /// Each request is worth a line.
    Clients,
    /// Heartbeats: worth a line only to who looks for a fault.
    Workers,
}

/// One of the two doors.
#[derive(Clone)]
pub(crate) struct Door {
    gateway: Gateway,
    routes: Routes,
    visitors: Visitors,
}

impl Door {
    pub(crate) const fn new(gateway: Gateway, routes: Routes, visitors: Visitors) -> Self {
        Self { gateway, routes, visitors }
    }

    /// The numbers that connections are counted in.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.gateway.metrics
    }

    /// Switched protocols that are still spoken.
    pub(crate) fn tunnels(&self) -> &TaskTracker {
        self.gateway.tunnels()
    }

    /// Answers one request. Never fails, never panics.
    pub(crate) async fn answer<B>(&self, request: Request<B>) -> Result<Response, Infallible>
    where
        B: http_body::Body<Data = bytes::Bytes> + Unpin + Send + 'static,
        B::Error: Into<api::BoxError>,
    {
        let started = Instant::now();
        let (mut request, rest) = lingering::watched(request);
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        let (id, bad_id) = request_id(&request);
        request.headers_mut().insert(headers::REQUEST_ID, id.clone());
        let response = match bad_id {
            Some(failure) => failure.into_response(),
            None => self.route(request).await,
        };
        let text = id.to_str().unwrap_or_default();
        let family = Family::of(&path);
        let mut response = last_event::watch(render(response, family, text), family, text);
        let status = response.status().as_u16();
        if let Some(rest) = rest.filter(|_| status >= 400) {
            rest.read().await;
        }
        match self.visitors {
            Visitors::Clients => {
                self.gateway.metrics.route(routes::template(&path)).answered(status);
                log_access(&method, &path, status, started, text);
            }
            Visitors::Workers => tracing::debug!(%method, path, status, "from a worker"),
        }
        response.headers_mut().insert(headers::REQUEST_ID, id);
        Ok(response)
    }

    async fn route(&self, request: Request<Body>) -> Response {
        match AssertUnwindSafe(self.routes.answer(request)).catch_unwind().await {
            Ok(response) => response,
            Err(panic) => {
                let fault = Fault::new(ErrorCode::InternalError, "the server met a bug of its own");
                Failure(fault.caused_by(message_of(&*panic))).into_response()
            }
        }
    }
}

/// The client's request id, or a fresh one; with the failure if the client's cannot be used.
fn request_id<B>(request: &Request<B>) -> (HeaderValue, Option<Failure>) {
    let Some(given) = request.headers().get(headers::REQUEST_ID) else { return (fresh_id(), None) };
    let checked = given.to_str().map_err(|_| "it is not visible ASCII".to_owned());
    match checked.and_then(|text| text.parse::<RequestId>().map_err(|error| error.to_string())) {
        Ok(_) => (given.clone(), None),
        Err(why) => {
            let detail = format!("header x-request-id cannot be used: {why}");
            (fresh_id(), Some(Failure::new(ErrorCode::InvalidHeader, detail)))
        }
    }
}

fn fresh_id() -> HeaderValue {
    let mut buffer = Uuid::encode_buffer();
    let text = Uuid::now_v7().simple().encode_lower(&mut buffer);
    // Hex digits always make a header value.
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("none"))
}

fn log_access(method: &Method, path: &str, status: u16, started: Instant, request_id: &str) {
    let took_ms = started.elapsed().as_micros() as f64 / 1000.0;
    tracing::info!(target: "access", %method, path, status, took_ms, request_id);
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it panicked without a message".into())
}
