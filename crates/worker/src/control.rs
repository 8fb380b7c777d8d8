//! The routes of the contract: what the worker is, how it is, and the request to drain.

use std::borrow::Cow;

use api::{
    Body,
    worker::{DESCRIBE_PATH, DRAIN_PATH, LIVE_PATH, READY_PATH},
};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use types::{ErrorCode, Fault};

use crate::{Surface, refusal::Refusal, server::Server};

/// Answers a request that is for none of the worker's own routes.
pub(crate) fn answer<B>(server: &Server, request: &Request<B>) -> Result<Response<Body>, Refusal> {
    let expected = match request.uri().path() {
        DESCRIBE_PATH | LIVE_PATH | READY_PATH => Method::GET,
        DRAIN_PATH => Method::POST,
        path => return Err(not_found(path).into()),
    };
    if request.method() != expected {
        let allow = if expected == Method::GET { "GET" } else { "POST" };
        return Err(Refusal::Method { allow: HeaderValue::from_static(allow) });
    }
    match request.uri().path() {
        DESCRIBE_PATH => Ok(json(server.description.clone())),
        LIVE_PATH => Ok(json(Bytes::from_static(br#"{"status":"live"}"#))),
        READY_PATH => ready(server),
        _ => Ok(drain(server)),
    }
}

fn ready(server: &Server) -> Result<Response<Body>, Refusal> {
    if server.ledger.is_draining() {
        return Err(Refusal::draining());
    }
    if !server.is_warm() {
        let fault = Fault::new(ErrorCode::ModelUnavailable, "this worker is still warming up");
        return Err(Refusal::NotBegun(fault));
    }
    Ok(json(Bytes::from_static(br#"{"status":"ready"}"#)))
}

fn drain(server: &Server) -> Response<Body> {
    server.ledger.drain();
    json(format!(r#"{{"status":"draining","calls":{}}}"#, server.ledger.held()).into())
}

fn json(body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::full(body));
    let content_type = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// The refusal of a path that leads nowhere, on a worker that has a surface.
pub(crate) fn nothing_at(surface: &Surface, path: &str) -> Refusal {
    match surface.allow(path) {
        Some(allow) => Refusal::Method { allow },
        None => Fault::new(ErrorCode::RouteNotFound, "there is no such route").into(),
    }
}

fn not_found(path: &str) -> Fault {
    // A path can be as long as the head of a request.
    let shown: Cow<'_, str> = match path.char_indices().nth(128) {
        Some((end, _)) => format!("{}…", &path[..end]).into(),
        None => path.into(),
    };
    let detail = format!("no route `{shown}`; GET {DESCRIBE_PATH} lists the routes of this worker");
    Fault::new(ErrorCode::RouteNotFound, detail)
}
