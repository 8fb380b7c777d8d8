//! `/v1/*` and `/generate` go, untouched, to the worker or upstream server of the model that they
//! name, or of the one that answers by default.

use api::{Body, headers};
use axum::{
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use dispatch::Prefix;
use http::uri::PathAndQuery;
use serde::Deserialize;
use serde_json::value::RawValue;
use types::{ErrorCode, Fault, ModelKind, ModelName, Placement};

use crate::{
    Gateway,
    default_model::{self, Ability, LOCAL_MODEL},
    failure::Failure,
    intake::{is_json, read},
    passage::{Passage, model_named, pass_to},
};

/// What `ai-platform` says of a model that could not be loaded; its cause follows.
const NOT_LOADED: &str =
    "Model not loaded. Please ensure MODEL_PATH is correct and model can be loaded.";

/// All that we read of such a body.
#[derive(Deserialize)]
#[serde(expecting = "a JSON object")]
struct Named<'a> {
    model: Option<String>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    prompt: Option<&'a RawValue>,
}

impl Named<'_> {
    /// The bytes that a prompt is made from: requests that share their beginning share it here.
    fn prefix(&self) -> Prefix {
        let text = self.messages.or(self.prompt).map(RawValue::get).unwrap_or_default();
        Prefix::of(text.as_bytes())
    }
}

/// `/v1/chat/completions`, `/v1/completions`, `/generate`.
pub(crate) async fn chat(gateway: State<Gateway>, request: Request) -> Result<Response, Failure> {
    pass(&gateway, Ability::Chat, request).await
}

/// `/v1/embeddings`.
pub(crate) async fn embeddings(
    gateway: State<Gateway>,
    request: Request,
) -> Result<Response, Failure> {
    pass(&gateway, Ability::Embeddings, request).await
}

/// Finds the model in the body and passes the call on.
async fn pass(gateway: &Gateway, ability: Ability, request: Request) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    if !is_json(&parts.headers) {
        let detail = "send the body as JSON, with the header `Content-Type: application/json`";
        return Err(Failure::new(ErrorCode::UnsupportedMediaType, detail));
    }
    let bytes = read(body, gateway.settings.body_bytes_max).await?;
    let named = named(&bytes)?;
    let model = match named.model.as_deref() {
        None => default_model::choose(gateway, ability)?,
        Some(LOCAL_MODEL) if !is_known(gateway, LOCAL_MODEL) => {
            default_model::choose(gateway, ability)?
        }
        Some(name) => model_named(gateway, name)?,
    };
    let spec = gateway.fleet.view(&model).map(|view| view.spec.clone());
    let remembers = spec.as_ref().is_some_and(|spec| spec.placement == Placement::Prefix);
    let prefix = if remembers { named.prefix() } else { Prefix::default() };
    let route = parts.uri.path_and_query().cloned();
    let route = route.unwrap_or_else(|| PathAndQuery::from_static("/"));
    let body = axum::body::Body::new(Body::full(bytes.clone()));
    let passage = Passage { model: model.clone(), route, prefix };
    match pass_to(gateway, passage, Request::from_parts(parts, body)).await {
        Ok(answer) if lacks_route(&answer) => Err(cannot(ability, &model)),
        Err(failure) if spec.is_some_and(|spec| spec.kind == ModelKind::Llm) => {
            Err(not_loaded(failure))
        }
        answer => answer,
    }
}

/// A worker tells this in the shape of its own errors, which clients of these paths do not read.
fn lacks_route(answer: &Response) -> bool {
    let code = answer.headers().get(headers::ERROR_CODE);
    code.is_some_and(|code| code == ErrorCode::RouteNotFound.slug())
}

fn cannot(ability: Ability, model: &ModelName) -> Failure {
    let word = ability.word();
    let detail = format!(
        "model {model} cannot do `{word}`; `capabilities` in GET /v1/models tells which can"
    );
    Failure::new(ErrorCode::RouteNotFound, detail)
}

fn named(bytes: &Bytes) -> Result<Named<'_>, Failure> {
    if bytes.trim_ascii().is_empty() {
        return Err(Failure::new(ErrorCode::InvalidRequest, "No request body provided."));
    }
    // Serde would take the items of an array for the fields of an object, one after another.
    if bytes.trim_ascii_start().starts_with(b"[") {
        let detail = "The request body must be a JSON object, not an array.";
        return Err(Failure::new(ErrorCode::InvalidRequest, detail));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let detail = match error.classify() {
            serde_json::error::Category::Data => format!("Invalid request body: {error}"),
            _ => format!("Invalid JSON in request body: {error}"),
        };
        Failure::new(ErrorCode::InvalidRequest, detail)
    })
}

fn is_known(gateway: &Gateway, name: &str) -> bool {
    name.parse::<ModelName>().is_ok_and(|name| gateway.fleet.view(&name).is_some())
}

/// The words of `ai-platform` before the cause, for a language model that cannot be called.
fn not_loaded(Failure(fault): Failure) -> Failure {
    if fault.code != ErrorCode::ModelUnavailable {
        return Failure(fault);
    }
    let detail = format!("{NOT_LOADED} {}", fault.detail);
    let mut said = Fault::new(ErrorCode::ModelUnavailable, detail);
    said.retry_after = fault.retry_after;
    Failure(said)
}
