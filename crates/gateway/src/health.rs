//! Liveness, readiness, and one health answer for every kind of client.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use fleet::Availability;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use types::ModelKind;

use crate::Gateway;

/// `GET /health`: the union of what the five systems' clients look for.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Health {
    /// `healthy`, `degraded` (a model fails) or `unhealthy` (not ready).
    status: &'static str,
    /// Unix time in seconds.
    time: u64,
    /// The same as an RFC 3339 date, in UTC.
    timestamp: String,
    /// Always `modelyard`.
    service: &'static str,
    /// Version of the program.
    version: &'static str,
    /// Seconds since the start.
    uptime: f64,
    /// Part by part, `healthy` or what is wrong.
    #[schema(value_type = Object)]
    checks: BTreeMap<&'static str, Value>,
}

/// `GET /healthz`: the process answers.
pub(crate) async fn healthz() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// `GET /health/live`: the process answers.
pub(crate) async fn live(State(gateway): State<Gateway>) -> Json<Health> {
    let checks = BTreeMap::from([("service", json!("healthy"))]);
    Json(health(&gateway, "healthy", checks))
}

/// `GET /health` and `/health/ready`: listening, store usable, and the first start of every local
/// model finished or failed. A failing model degrades, it does not make the server unready.
pub(crate) async fn ready(State(gateway): State<Gateway>) -> Response {
    let store = match gateway.tasks.check().await {
        Ok(()) => json!("healthy"),
        Err(fault) => json!(fault.detail),
    };
    let models = models(&gateway);
    let starting = models.values().any(|state| state["starts"] == json!(true));
    let failing = models.values().any(|state| state["status"] == json!("failing"));
    let server = if gateway.draining.is_cancelled() { "draining" } else { "healthy" };
    let is_ready = store == "healthy" && server == "healthy" && !starting;
    let status = match (is_ready, failing) {
        (false, _) => "unhealthy",
        (true, true) => "degraded",
        (true, false) => "healthy",
    };
    let checks =
        BTreeMap::from([("server", json!(server)), ("store", store), ("models", json!(models))]);
    let code = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(health(&gateway, status, checks))).into_response()
}

fn models(gateway: &Gateway) -> BTreeMap<String, Value> {
    let mut models = BTreeMap::new();
    for (name, view) in gateway.fleet.views() {
        let availability = view.availability();
        // Only the first start holds readiness back; a later restart does not.
        let starts = view.outlook == Availability::Starting
            && availability == Availability::Starting
            && matches!(
                view.spec.kind,
                ModelKind::Builtin | ModelKind::Python | ModelKind::Command
            );
        let mut state = json!({"status": availability.as_str()});
        if starts {
            state["starts"] = json!(true);
        }
        if let Some(reason) = availability.reason() {
            state["reason"] = json!(reason);
        }
        models.insert(name.to_string(), state);
    }
    models
}

fn health(
    gateway: &Gateway,
    status: &'static str,
    checks: BTreeMap<&'static str, Value>,
) -> Health {
    let now = SystemTime::now();
    Health {
        status,
        time: now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        timestamp: humantime::format_rfc3339_seconds(now).to_string(),
        service: "modelyard",
        version: gateway.version,
        uptime: now.duration_since(gateway.started).unwrap_or_default().as_secs_f64(),
        checks,
    }
}
