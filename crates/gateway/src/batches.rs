//! `/v1/batches`: many calls in one file.

use api::openai::{BatchObject, BatchRequest, ListPage};
use axum::{
    Json,
    extract::{Path, RawQuery, Request, State},
};
use types::ErrorCode;

use crate::{
    Gateway,
    context::CallContext,
    failure::Failure,
    files::Limit,
    intake::{is_json, read},
    query::Query,
};

/// Batches on a page at most, and where nobody says how many.
const PAGE_MAX: u32 = 100;
const PAGE: u32 = 20;

/// A request is a few fields.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// `POST /v1/batches`: answers once the batch is on disk.
pub(crate) async fn create(
    State(gateway): State<Gateway>,
    request: Request,
) -> Result<Json<BatchObject>, Failure> {
    let (parts, body) = request.into_parts();
    if !is_json(&parts.headers) {
        let detail = "send the body as JSON, with the header `Content-Type: application/json`";
        return Err(Failure::new(ErrorCode::UnsupportedMediaType, detail));
    }
    let context = CallContext::of(&parts.headers)?;
    let bytes = read(body, BODY_BYTES_MAX.min(gateway.settings.body_bytes_max)).await?;
    let request = asked(&bytes)?;
    Ok(Json(gateway.batches.create(request, context.tenant).await?))
}

/// `GET /v1/batches`: newest first.
pub(crate) async fn list(
    State(gateway): State<Gateway>,
    RawQuery(query): RawQuery,
) -> Result<Json<ListPage<BatchObject>>, Failure> {
    let mut query = Query::parse(query.as_deref())?;
    let after = query.take::<String>("after")?;
    let limit = query.take::<Limit<PAGE_MAX>>("limit")?.map_or(PAGE, |limit| limit.0);
    query.finish()?;
    Ok(Json(gateway.batches.list(after, limit).await?))
}

/// `GET /v1/batches/{id}`.
pub(crate) async fn get(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Json<BatchObject>, Failure> {
    Ok(Json(gateway.batches.get(&id).await?))
}

/// `POST /v1/batches/{id}/cancel`.
pub(crate) async fn cancel(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Json<BatchObject>, Failure> {
    Ok(Json(gateway.batches.cancel(&id).await?))
}

fn asked(bytes: &[u8]) -> Result<BatchRequest, Failure> {
    // Serde would take the items of an array for the fields of an object, one after another.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        let detail = "the body must be a JSON object with `input_file_id`, `endpoint` and \
                      `completion_window`";
        return Err(Failure::new(ErrorCode::InvalidRequest, detail));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        Failure::new(ErrorCode::InvalidRequest, format!("the body cannot be read: {error}"))
    })
}
