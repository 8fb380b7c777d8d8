//! Liveness, readiness, and one health answer for every kind of client.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use fleet::{Availability, ModelView};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use types::{Fault, ModelName};

use crate::Gateway;

/// Where anybody may ask, in plain too.
pub(crate) const PATHS: [&str; 4] = ["/health", "/healthz", "/health/live", "/health/ready"];

/// `GET /health`: the union of what the five systems' clients look for.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Health {
    /// `healthy`, `degraded` (a model fails, or the store may lose tasks) or `unhealthy` (not ready).
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

/// `GET /health` and `/health/ready`: listening, store usable, and the first load of every local
/// model finished or failed. A failing model and a store that may lose tasks degrade, and a model that is
/// loaded again starts; none of them makes the server unready.
pub(crate) async fn ready(State(gateway): State<Gateway>) -> Response {
    let checked = gateway.tasks.check().await;
    let risks = gateway.tasks.risks();
    let views = gateway.fleet.views();
    let readiness = Readiness {
        store_is_usable: checked.is_ok(),
        store_may_lose_tasks: !risks.is_empty(),
        is_draining: gateway.draining.is_cancelled(),
        loading: gateway.loading.borrow().clone(),
        a_model_fails: views
            .iter()
            .any(|(_, view)| matches!(view.availability(), Availability::Failing { .. })),
    };
    let checks = BTreeMap::from([
        ("server", json!(if readiness.is_draining { "draining" } else { "healthy" })),
        ("store", store(checked, &risks)),
        ("models", models(&views, &readiness.loading)),
    ]);
    let (code, status) = readiness.verdict();
    (code, Json(health(&gateway, status, checks))).into_response()
}

fn store(checked: Result<(), Fault>, risks: &[String]) -> Value {
    match checked {
        Ok(()) if risks.is_empty() => json!("healthy"),
        Ok(()) => json!(risks.join("; ")),
        Err(fault) => json!(fault.detail),
    }
}

/// What the answer to "are you ready" depends on.
struct Readiness {
    store_is_usable: bool,
    store_may_lose_tasks: bool,
    is_draining: bool,
    /// Models whose first load has neither finished nor failed.
    loading: BTreeSet<ModelName>,
    a_model_fails: bool,
}

impl Readiness {
    fn verdict(&self) -> (StatusCode, &'static str) {
        let is_ready = self.store_is_usable && !self.is_draining && self.loading.is_empty();
        match (is_ready, self.a_model_fails || self.store_may_lose_tasks) {
            (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy"),
            (true, true) => (StatusCode::OK, "degraded"),
            (true, false) => (StatusCode::OK, "healthy"),
        }
    }
}

fn models(views: &[(ModelName, Arc<ModelView>)], loading: &BTreeSet<ModelName>) -> Value {
    let state = |(name, view): &(ModelName, Arc<ModelView>)| {
        let availability = view.availability();
        let mut state = json!({"status": availability.as_str()});
        if loading.contains(name) {
            state["loading"] = json!(true);
        }
        if let Some(reason) = availability.reason() {
            state["reason"] = json!(reason);
        }
        (name.to_string(), state)
    };
    views.iter().map(state).collect::<serde_json::Map<_, _>>().into()
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

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Readiness = Readiness {
        store_is_usable: true,
        store_may_lose_tasks: false,
        is_draining: false,
        loading: BTreeSet::new(),
        a_model_fails: false,
    };

    #[test]
    fn what_the_server_itself_lacks_makes_it_unready_and_everything_else_degrades_it() {
        let loading = BTreeSet::from(["m".parse().unwrap()]);
        for (readiness, code, status) in [
            (WELL, 200, "healthy"),
            (Readiness { a_model_fails: true, ..WELL }, 200, "degraded"),
            (Readiness { store_may_lose_tasks: true, ..WELL }, 200, "degraded"),
            (Readiness { loading, ..WELL }, 503, "unhealthy"),
            (Readiness { is_draining: true, ..WELL }, 503, "unhealthy"),
            (Readiness { store_is_usable: false, ..WELL }, 503, "unhealthy"),
        ] {
            let (answer, word) = readiness.verdict();
            assert_eq!((answer.as_u16(), word), (code, status));
        }
    }
}
