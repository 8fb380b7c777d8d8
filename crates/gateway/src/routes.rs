//! The table of paths.

use crate::{
    Gateway, batches, catalog, files, health, inference, invoke, keys, nowhere, openai, operations,
    passage, static_files,
    tasks::{self, bulk, dead_letters},
};
use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    middleware,
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use http::Method;
use tower::ServiceExt;
use types::ModelName;

/// Who answers at which path.
#[derive(Clone)]
pub(crate) struct Routes {
    table: Router,
    /// Whose calls go past the table.
    direct: Option<Gateway>,
}

impl Routes {
    /// The paths for clients.
    pub(crate) fn public(gateway: Gateway) -> Self {
        // What browsers ask of foreign origins is answered by the table.
        let direct = gateway.settings.cors_origins.is_empty().then(|| gateway.clone());
        Self { table: public_table(gateway), direct }
    }

    /// A table and nothing else.
    pub(crate) const fn of(table: Router) -> Self {
        Self { table, direct: None }
    }

    /// Answers a request.
    pub(crate) async fn answer(&self, mut request: Request) -> Response {
        if let Some(gateway) = &self.direct
            && let Some(model) = called(gateway, &request)
        {
            if let Err(refused) = gateway.keys.admit(request.headers_mut()) {
                return refused.into_response();
            }
            return invoke::call(gateway, model, request).await.into_response();
        }
        let Ok(response) = self.table.clone().oneshot(request).await;
        response
    }
}

/// The model of a `POST /invoke/{model}`. Nearly every request is one, and to look it up in the
/// table would cost a tenth of all that is done for it. What is not plainly the name of a model is
/// left to the table, which knows what to say.
fn called(gateway: &Gateway, request: &Request) -> Option<ModelName> {
    let name = request.uri().path().strip_prefix("/invoke/")?;
    let model = (request.method() == Method::POST).then(|| name.parse().ok())??;
    gateway.dispatcher.check_model(&model).is_ok().then_some(model)
}

/// Every public path and who answers it.
fn public_table(gateway: Gateway) -> Router {
    let (folder, origins) =
        (gateway.settings.static_dir.clone(), gateway.settings.cors_origins.clone());
    let mut router = ours(gateway.clone());
    router = match folder {
        Some(folder) => static_files::at_the_rest(router, &folder),
        None => router
            .route("/", get(operations::root).with_state(gateway))
            .fallback(nowhere::not_found),
    };
    if origins.is_empty() { router } else { router.layer(static_files::cors(&origins)) }
}

fn ours(gateway: Gateway) -> Router {
    with_key()
        .route_layer(middleware::from_fn_with_state(gateway.clone(), keys::ask))
        .merge(open())
        .method_not_allowed_fallback(nowhere::method_not_allowed)
        .with_state(gateway)
}

/// What everybody may ask: whether the server works, and how it is called.
fn open() -> Router<Gateway> {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/health", get(health::ready))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/openapi.json", get(operations::openapi_json))
        .route("/docs", get(operations::docs))
}

/// What needs a key where there are keys.
fn with_key() -> Router<Gateway> {
    Router::new()
        .route("/invoke/{model}", post(invoke::invoke))
        .route("/invoke/{model}/{*route}", any(passage::pass))
        .route("/tasks", get(tasks::list).post(bulk::submit))
        .route("/tasks/{name}", post(tasks::submit).get(tasks::get).delete(tasks::cancel))
        .route("/tasks/{id}/cancel", post(tasks::cancel))
        .route("/tasks/{id}/retry", post(tasks::retry))
        .route("/tasks/{id}/events", get(tasks::events))
        .route("/api/native/v1/tasks/stats", get(tasks::stats))
        .route("/api/native/v1/tasks/cancel", post(bulk::cancel))
        .route("/api/native/v1/dead-letters", get(dead_letters::list))
        .route("/api/native/v1/dead-letters/replay", post(dead_letters::replay_all))
        .route("/api/native/v1/dead-letters/discard", post(dead_letters::discard_all))
        .route(
            "/api/native/v1/dead-letters/{id}",
            get(dead_letters::show).delete(dead_letters::discard),
        )
        .route("/api/native/v1/dead-letters/{id}/replay", post(dead_letters::replay))
        .route("/api/v1/models/{model}/batch_inference", post(inference::batch))
        .route("/v1/models", get(catalog::list))
        .route("/v1/models/{name}", get(catalog::show))
        .route("/v1/chat/completions", post(openai::chat))
        .route("/v1/completions", post(openai::chat))
        .route("/v1/embeddings", post(openai::embeddings))
        .route(
            "/v1/files",
            // Files have bounds of their own, and are never in memory as a whole.
            post(files::upload).layer(DefaultBodyLimit::disable()).get(files::list),
        )
        .route("/v1/files/{id}", get(files::get).delete(files::delete))
        .route("/v1/files/{id}/content", get(files::content))
        .route("/v1/batches", post(batches::create).get(batches::list))
        .route("/v1/batches/{id}", get(batches::get))
        .route("/v1/batches/{id}/cancel", post(batches::cancel))
        .route("/generate", post(openai::chat))
        .route("/metrics", get(operations::metrics))
}

/// The template that a path belongs to: what metrics are kept by.
pub(crate) fn template(path: &str) -> &'static str {
    let mut segments = path.trim_start_matches('/').splitn(3, '/');
    match (segments.next().unwrap_or_default(), segments.next(), segments.next()) {
        ("invoke", Some(_), None) => "/invoke/{model}",
        ("invoke", Some(_), Some(_)) => "/invoke/{model}/{route}",
        ("tasks", None, _) => "/tasks",
        ("tasks", Some(_), None) => "/tasks/{name}",
        ("tasks", Some(_), Some(_)) => "/tasks/{id}/{action}",
        ("v1", Some("models"), _) => "/v1/models",
        ("v1", Some("chat"), _) => "/v1/chat/completions",
        ("v1", Some("completions"), _) => "/v1/completions",
        ("v1", Some("embeddings"), _) => "/v1/embeddings",
        ("v1", Some("files"), _) => "/v1/files",
        ("v1", Some("batches"), _) => "/v1/batches",
        ("generate", None, _) => "/generate",
        ("health" | "healthz", _, _) => "/health",
        ("metrics", None, _) => "/metrics",
        ("openapi.json" | "docs", None, _) => "/docs",
        ("", None, _) => "/",
        _ => "other",
    }
}
