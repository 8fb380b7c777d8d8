//! The door for workers, on a listener of its own: join, renew, report, leave.

use api::worker::{Heartbeat, HeartbeatAnswer, Membership, OWN_PATHS, Registration, Reports};
use axum::{
    Json, Router,
    extract::{Path, Request, State, rejection::JsonRejection},
    middleware::{self, Next},
    response::Response,
    routing::{delete, post, put},
};
use http::{StatusCode, header, uri::PathAndQuery};
use types::{ErrorCode, WorkerId};

use crate::{Gateway, failure::Failure};

/// The routes of the internal door. Every call brings the join token.
pub(crate) fn router(gateway: Gateway) -> Router {
    Router::new()
        .route("/internal/v1/workers", post(register))
        .route("/internal/v1/workers/{id}", delete(leave))
        .route("/internal/v1/workers/{id}/heartbeat", put(heartbeat))
        .route("/internal/v1/workers/{id}/reports", post(report))
        .fallback(crate::nowhere::not_found)
        .layer(middleware::from_fn_with_state(gateway.clone(), authenticate))
        .with_state(gateway)
}

async fn authenticate(
    State(gateway): State<Gateway>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if !same(token.as_bytes(), gateway.fleet.settings().join_token.as_bytes()) {
        let detail = "workers join with `authorization: Bearer <join token>`";
        return Err(Failure::new(ErrorCode::Unauthorized, detail));
    }
    Ok(next.run(request).await)
}

/// Compares without telling by its duration where the first difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |acc, (a, b)| acc | (a ^ b)) == 0
}

async fn register(
    State(gateway): State<Gateway>,
    body: Result<Json<Registration>, JsonRejection>,
) -> Result<Json<Membership>, Failure> {
    let Json(registration) = body.map_err(bad_body)?;
    check(&registration)?;
    Ok(Json(gateway.fleet.register(registration)?))
}

/// Checks what every call of this worker depends on.
fn check(registration: &Registration) -> Result<(), Failure> {
    let path = &registration.description.default_route;
    let is_path = path.starts_with('/') && path.parse::<PathAndQuery>().is_ok();
    if !is_path || path.starts_with(OWN_PATHS) {
        let detail =
            "description.default_route must be a path with its leading slash, not below /-/";
        return Err(Failure::new(ErrorCode::InvalidRequest, detail));
    }
    let is_sendable = |token: &String| token.bytes().all(|byte| byte.is_ascii_graphic());
    if !registration.token.as_ref().is_none_or(is_sendable) {
        let detail = "token must consist of visible ASCII characters";
        return Err(Failure::new(ErrorCode::InvalidRequest, detail));
    }
    Ok(())
}

async fn heartbeat(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    body: Result<Json<Heartbeat>, JsonRejection>,
) -> Result<Json<HeartbeatAnswer>, Failure> {
    let Json(heartbeat) = body.map_err(bad_body)?;
    Ok(Json(gateway.fleet.heartbeat(worker_id(&id)?, &heartbeat)?))
}

async fn report(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    body: Result<Json<Reports>, JsonRejection>,
) -> Result<StatusCode, Failure> {
    let Json(reports) = body.map_err(bad_body)?;
    gateway.fleet.report(worker_id(&id)?, &reports)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn leave(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    gateway.fleet.leave(worker_id(&id)?);
    Ok(StatusCode::NO_CONTENT)
}

fn worker_id(text: &str) -> Result<WorkerId, Failure> {
    text.parse().map_err(|_| {
        Failure::new(ErrorCode::WorkerNotFound, format!("worker {text} is not registered here"))
    })
}

#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
fn bad_body(rejection: JsonRejection) -> Failure {
    Failure::new(ErrorCode::InvalidJson, rejection.body_text())
}
