//! Making endpoints and calling them: the one place of the tests that knows how.

use std::sync::Arc;

use adapters::Unavailable;
use api::{Begun, Body, Endpoint, EndpointError};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use types::{ErrorCode, ModelSpec, RetrySpec};

/// Three attempts, so short that no test waits for them.
pub(crate) const QUICK: RetrySpec = RetrySpec {
    attempts_max: 3,
    backoff_ms: 1,
    backoff_ms_max: 1,
    on: Vec::new(),
    not_on: Vec::new(),
};

/// A model as the configuration would give it.
pub(crate) fn spec(json: Value) -> ModelSpec {
    serde_json::from_value(json).unwrap()
}

pub(crate) fn env(name: &str) -> Option<String> {
    match name {
        "NANOBANANA_API_KEY" => Some("banana".into()),
        "TOKEN" => Some("t0ken".into()),
        _ => None,
    }
}

pub(crate) fn build(spec: &ModelSpec) -> Result<Arc<dyn Endpoint>, Unavailable> {
    adapters::build(&"ours".parse().unwrap(), spec, &env)
}

/// `POST /` with a body, as `/invoke/{model}` calls.
pub(crate) fn post(body: impl Into<Bytes>) -> Request<Body> {
    to("/", body)
}

pub(crate) fn to(path: &str, body: impl Into<Bytes>) -> Request<Body> {
    let request = Request::post(path).header("content-type", "application/json");
    request.body(Body::full(body)).unwrap()
}

/// What came back, read to its end.
pub(crate) struct Told {
    pub(crate) status: StatusCode,
    pub(crate) head: Response<()>,
    pub(crate) text: String,
}

impl Told {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

pub(crate) async fn call(
    endpoint: &dyn Endpoint,
    request: Request<Body>,
) -> Result<Told, EndpointError> {
    let (parts, body) = endpoint.call(request).await?.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Ok(Told {
        status: parts.status,
        head: Response::from_parts(parts, ()),
        text: String::from_utf8(bytes.to_vec()).unwrap(),
    })
}

/// Calls a model once; the answer must be a success.
pub(crate) async fn answer(spec: &ModelSpec, request: Request<Body>) -> Told {
    match call(&*build(spec).unwrap(), request).await {
        Ok(told) => told,
        Err(error) => panic!("{error:?}"),
    }
}

/// Calls a model once, which must fail: its code, whether it was begun, and its words.
pub(crate) async fn failure(
    spec: &ModelSpec,
    request: Request<Body>,
) -> (ErrorCode, Begun, String) {
    match call(&*build(spec).unwrap(), request).await {
        Ok(told) => panic!("answered {} {}", told.status, told.text),
        Err(error) => (error.fault.code, error.begun, error.fault.detail.into_owned()),
    }
}
