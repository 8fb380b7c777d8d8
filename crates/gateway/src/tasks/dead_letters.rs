//! `/api/native/v1/dead-letters`: tasks that used up their attempts, for operators.

use std::str::FromStr;

use ::tasks::TaskFilter;
use api::task::{PageHandled, TaskPage, TaskView};
use axum::{
    Json,
    extract::{Path, RawQuery, State},
};
use http::StatusCode;
use types::ErrorCode;

use super::{page::Page, task_id};
use crate::{Gateway, failure::Failure, query::Query};

/// Dead letters of a model, of a tenant, with a last error.
fn by_error(query: &mut Query) -> Result<TaskFilter, Failure> {
    Ok(TaskFilter {
        model: query.take("model")?,
        tenant: query.take("tenant")?,
        error_code: query.take::<Slug>("error_code")?.map(|slug| slug.0),
        state: None,
    })
}

/// `GET /api/native/v1/dead-letters`: newest first.
pub(crate) async fn list(
    State(gateway): State<Gateway>,
    RawQuery(query): RawQuery,
) -> Result<Json<TaskPage>, Failure> {
    let Page { filter, cursor, limit } = Page::of(query.as_deref(), by_error)?;
    Ok(Json(gateway.tasks.dead_letters(filter, cursor, limit).await?))
}

/// `GET /api/native/v1/dead-letters/{id}`: with every attempt that is remembered.
pub(crate) async fn show(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Json<TaskView>, Failure> {
    Ok(Json(gateway.tasks.dead_letter(task_id(&id)?).await?))
}

/// `POST /api/native/v1/dead-letters/{id}/replay`.
pub(crate) async fn replay(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Json<TaskView>, Failure> {
    Ok(Json(gateway.tasks.replay_dead_letter(task_id(&id)?).await?))
}

/// `POST /api/native/v1/dead-letters/replay`: one page.
pub(crate) async fn replay_all(
    State(gateway): State<Gateway>,
    RawQuery(query): RawQuery,
) -> Result<Json<PageHandled>, Failure> {
    let Page { filter, cursor, limit } = Page::of(query.as_deref(), by_error)?;
    Ok(Json(gateway.tasks.replay_dead_letters(filter, cursor, limit).await?))
}

/// `DELETE /api/native/v1/dead-letters/{id}`.
pub(crate) async fn discard(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    gateway.tasks.discard_dead_letter(task_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/native/v1/dead-letters/discard`: one page.
pub(crate) async fn discard_all(
    State(gateway): State<Gateway>,
    RawQuery(query): RawQuery,
) -> Result<Json<PageHandled>, Failure> {
    let Page { filter, cursor, limit } = Page::of(query.as_deref(), by_error)?;
    Ok(Json(gateway.tasks.discard_dead_letters(filter, cursor, limit).await?))
}

/// A code of the error table.
struct Slug(ErrorCode);

impl FromStr for Slug {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        ErrorCode::from_slug(text).map(Self).ok_or_else(|| {
            let slugs = ErrorCode::ALL.iter().map(|code| code.slug());
            match types::nearest(text, slugs) {
                Some(near) => format!("there is no such error code; did you mean {near}?"),
                None => "there is no such error code; docs/errors lists them".into(),
            }
        })
    }
}
