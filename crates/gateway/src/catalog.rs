//! `GET /v1/models`: what can be called, and what cannot and why.

use std::time::UNIX_EPOCH;

use axum::{
    Json,
    extract::{Path, State},
};
use fleet::{ModelView, Phase};
use serde::Serialize;
use types::{ErrorCode, ModelKind, ModelName};

use crate::{Gateway, failure::Failure};

/// The OpenAI list of models.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ModelList {
    /// Always `list`.
    object: &'static str,
    /// By name.
    data: Vec<ModelCard>,
}

/// One model: OpenAI's fields, and ours.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ModelCard {
    /// The name to call it by.
    id: String,
    /// Always `model`.
    object: &'static str,
    /// Unix time of the server's start, in seconds.
    created: u64,
    /// Always `modelyard`.
    owned_by: &'static str,
    /// `ready`, `starting`, `failing` or `disabled`.
    status: String,
    /// Why it cannot be called, if it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What stands behind it.
    #[schema(value_type = String)]
    kind: ModelKind,
    /// Its version.
    version: String,
    /// What its workers declare that they can do.
    capabilities: Vec<String>,
    /// Replicas that take work.
    replicas: usize,
    /// Routes that its workers declare.
    #[schema(value_type = Vec<Object>)]
    routes: Vec<api::worker::Route>,
    /// Free fields of the configuration.
    #[schema(value_type = Object)]
    metadata: serde_json::Map<String, serde_json::Value>,
}

/// Lists all models.
pub(crate) async fn list(State(gateway): State<Gateway>) -> Json<ModelList> {
    let views = gateway.fleet.views();
    let data = views.iter().map(|(name, view)| card(&gateway, name, view)).collect();
    Json(ModelList { object: "list", data })
}

/// Shows one model.
pub(crate) async fn show(
    State(gateway): State<Gateway>,
    Path(name): Path<String>,
) -> Result<Json<ModelCard>, Failure> {
    let found = name
        .parse::<ModelName>()
        .ok()
        .and_then(|name| gateway.fleet.view(&name).map(|view| card(&gateway, &name, &view)));
    found
        .map(Json)
        .ok_or_else(|| Failure::new(ErrorCode::ModelNotFound, format!("model {name} not found")))
}

fn card(gateway: &Gateway, name: &ModelName, view: &ModelView) -> ModelCard {
    let availability = view.availability();
    let ready = || view.members.iter().filter(|member| member.phase == Phase::Ready);
    let description = ready().next().map(|member| &member.replica.description);
    let created = gateway.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    ModelCard {
        id: name.to_string(),
        object: "model",
        created,
        owned_by: "modelyard",
        status: availability.as_str().into(),
        reason: availability.reason().map(str::to_owned),
        kind: view.spec.kind,
        version: view.spec.version.clone(),
        capabilities: description.map(|it| it.capabilities.clone()).unwrap_or_default(),
        replicas: ready().count(),
        routes: description.map(|it| it.routes.clone()).unwrap_or_default(),
        metadata: view.spec.metadata.clone(),
    }
}
