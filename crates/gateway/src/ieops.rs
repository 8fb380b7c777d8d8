//! The door at which workers of the IEOPS SDK register, on a socket of its own. Whoever may open
//! that socket may register; nothing else is asked of them.

use api::ieops::{Beat, Farewell, REGISTER_PATH, Reply, UNREGISTER_PATH};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State, rejection::JsonRejection},
    routing::post,
};
use serde_json::{Value, json};
use types::ErrorCode;

use crate::{Gateway, failure::Failure, nowhere};

/// Longest body: the metrics of a busy worker take some hundred KiB.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The routes of the door.
pub(crate) fn router(gateway: Gateway) -> Router {
    Router::new()
        .route(REGISTER_PATH, post(register))
        .route(UNREGISTER_PATH, post(unregister))
        .fallback(nowhere::not_found)
        .method_not_allowed_fallback(nowhere::method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(gateway)
}

async fn register(
    State(gateway): State<Gateway>,
    body: Result<Json<Beat>, JsonRejection>,
) -> Result<Json<Reply>, Failure> {
    let Json(beat) = body.map_err(bad_body)?;
    let registered = proxy(&gateway)?.register(beat).await?;
    let data = json!({
        "id": registered.id,
        "endpoint": registered.model,
        "expires_in_seconds": registered.silence_ms_max as f64 / 1000.0,
    });
    Ok(Json(reply("registered", data)))
}

async fn unregister(
    State(gateway): State<Gateway>,
    body: Result<Json<Farewell>, JsonRejection>,
) -> Result<Json<Reply>, Failure> {
    let Json(farewell) = body.map_err(bad_body)?;
    let count = proxy(&gateway)?.unregister(farewell).await?;
    Ok(Json(reply("unregistered", json!({ "unregistered": count }))))
}

fn proxy(gateway: &Gateway) -> Result<&::ieops::Proxy, Failure> {
    gateway.ieops.as_ref().ok_or_else(|| {
        Failure::new(ErrorCode::RouteNotFound, "no workers register here; set `ieops.socket`")
    })
}

fn reply(message: &str, data: Value) -> Reply {
    Reply { message: message.to_owned(), data: Some(data) }
}

#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
fn bad_body(rejection: JsonRejection) -> Failure {
    Failure::new(ErrorCode::InvalidRequest, rejection.body_text())
}
