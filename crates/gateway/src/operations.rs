//! `/metrics`, `/openapi.json`, `/docs`, and what stands at `/`.

use axum::{
    Json,
    extract::State,
    response::{Html, IntoResponse, Response},
};
use http::header;
use serde_json::{Value, json};
use telemetry::metrics::CONTENT_TYPE;

use crate::{Gateway, openapi};

/// Every number, in the text format that Prometheus scrapes.
pub(crate) async fn metrics(State(gateway): State<Gateway>) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], gateway.metrics.encode()).into_response()
}

/// The machine-readable description of the native routes.
pub(crate) async fn openapi_json() -> Json<Value> {
    Json(openapi::document())
}

/// The same for people. One static page of our own; it loads `/openapi.json` and nothing else.
pub(crate) async fn docs() -> Html<&'static str> {
    Html(include_str!("docs.html"))
}

/// Says what this is and where to go on.
pub(crate) async fn root(State(gateway): State<Gateway>) -> Json<Value> {
    Json(json!({
        "service": "modelyard",
        "version": gateway.version,
        "status": "running",
        "docs": "/docs",
        "health": "/health",
        "models": "/v1/models",
    }))
}
