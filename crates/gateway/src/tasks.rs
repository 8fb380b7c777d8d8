//! `/tasks`: durable work, submitted now and answered later.

pub(crate) mod bulk;
pub(crate) mod dead_letters;
mod page;

use std::{convert::Infallible, str::FromStr, time::Duration};

use ::tasks::{Submission, TaskEvent, Webhook};
use api::{
    headers,
    task::{TaskAccepted, TaskPage, TaskStats, TaskView},
    worker::OWN_PATHS,
};
use axum::{
    Json,
    extract::{Path, RawQuery, Request, State},
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, StatusCode, header};
use tokio::time::Instant;
use types::{ErrorCode, TaskId, WebhookEvent};

use self::page::{Page, by_state};
use crate::{
    Gateway,
    context::{CallContext, parsed},
    failure::Failure,
    intake::{check_json, is_json, read},
    passage::model_named,
    query::Query,
};

/// Longest time that `?wait=` holds an answer back.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Longest idempotency key, in bytes.
const KEY_BYTES_MAX: usize = 255;

/// `POST /tasks/{model}`: answers 202 once the task is on disk.
pub(crate) async fn submit(
    State(gateway): State<Gateway>,
    Path(model): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<(StatusCode, Json<TaskAccepted>), Failure> {
    let model = model_named(&gateway, &model)?;
    let mut query = Query::parse(query.as_deref())?;
    let route = query.take::<Route>("route")?.map(|route| route.0);
    let start_after = query.take::<Seconds>("start_after")?.map(|seconds| seconds.0);
    query.finish()?;
    let (parts, body) = request.into_parts();
    let context = CallContext::of(&parts.headers)?;
    let idempotency_key = idempotency_key(&parts.headers)?;
    let payload = read(body, gateway.settings.body_bytes_max).await?;
    if is_json(&parts.headers) {
        check_json(&payload)?;
    }
    let text = |name: header::HeaderName| {
        parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let submission = Submission {
        model,
        tenant: context.tenant,
        priority: context.priority,
        route,
        payload,
        content_type: text(header::CONTENT_TYPE),
        idempotency_key,
        deadline: context.deadline.map(|at| at.saturating_duration_since(Instant::now())),
        start_after,
        webhook: webhook(&parts.headers)?,
        traceparent: text(headers::TRACEPARENT),
        request_id: text(headers::REQUEST_ID).unwrap_or_default(),
    };
    let accepted = gateway.tasks.submit(submission).await?;
    Ok((StatusCode::ACCEPTED, Json(accepted)))
}

/// `GET /tasks/{id}`, with `?wait=` seconds until it has ended, or until it stands otherwise than in
/// `?after=` a version; and `?attempts=true` for its history.
pub(crate) async fn get(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<TaskView>, Failure> {
    let id = task_id(&id)?;
    let mut query = Query::parse(query.as_deref())?;
    let wait = query.take::<Seconds>("wait")?;
    let after = query.take::<String>("after")?;
    let attempts = query.take::<bool>("attempts")?.unwrap_or_default();
    query.finish()?;
    let view = match (wait, after) {
        (Some(Seconds(time)), Some(known)) => {
            gateway.tasks.wait_for_change(id, &known, time.min(WAIT_MAX)).await?
        }
        (Some(Seconds(time)), None) => gateway.tasks.wait(id, time.min(WAIT_MAX)).await?,
        (None, _) => gateway.tasks.get(id).await?,
    };
    Ok(Json(if attempts { gateway.tasks.with_attempts(view).await? } else { view }))
}

/// `GET /tasks`: newest first.
pub(crate) async fn list(
    State(gateway): State<Gateway>,
    RawQuery(query): RawQuery,
) -> Result<Json<TaskPage>, Failure> {
    let Page { filter, cursor, limit } = Page::of(query.as_deref(), by_state)?;
    Ok(Json(gateway.tasks.list(filter, cursor, limit).await?))
}

/// `GET /api/native/v1/tasks/stats`: how many tasks stand where, for operators.
pub(crate) async fn stats(
    State(gateway): State<Gateway>,
    RawQuery(query): RawQuery,
) -> Result<Json<TaskStats>, Failure> {
    Query::parse(query.as_deref())?.finish()?;
    Ok(Json(gateway.tasks.stats().await?))
}

/// `POST /tasks/{id}/cancel`, `DELETE /tasks/{id}`.
pub(crate) async fn cancel(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Json<TaskView>, Failure> {
    Ok(Json(gateway.tasks.cancel(task_id(&id)?).await?))
}

/// `POST /tasks/{id}/retry`: a task that ended without a result is queued again.
pub(crate) async fn retry(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Json<TaskView>, Failure> {
    Ok(Json(gateway.tasks.retry(task_id(&id)?).await?))
}

/// `GET /tasks/{id}/events`: the present state, then every change until it has ended.
pub(crate) async fn events(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failure> {
    let events = gateway.tasks.events(task_id(&id)?).await?;
    Ok(Sse::new(events.map(|event| Ok(render(&event)))).keep_alive(KeepAlive::default()))
}

fn render(event: &TaskEvent) -> Event {
    let name = match event {
        TaskEvent::State(_) => "state",
        TaskEvent::Progress { .. } => "progress",
    };
    // Only a map with keys that are not text could fail here, and there is none.
    Event::default().event(name).json_data(event).unwrap_or_default()
}

fn task_id(text: &str) -> Result<TaskId, Failure> {
    text.parse()
        .map_err(|_| Failure::new(ErrorCode::TaskNotFound, format!("task {text} not found")))
}

/// Who is told of the end: `x-webhook-url`, and `x-webhook-events` for some ends only.
fn webhook(headers: &HeaderMap) -> Result<Option<Webhook>, Failure> {
    let events = parsed::<Events>(headers, &headers::WEBHOOK_EVENTS, "a list of ends")?;
    match (parsed::<String>(headers, &headers::WEBHOOK_URL, "an address")?, events) {
        (Some(url), events) => {
            Ok(Some(Webhook { url, events: events.map(|events| events.0).unwrap_or_default() }))
        }
        (None, Some(_)) => {
            let detail = "header x-webhook-events needs x-webhook-url beside it";
            Err(Failure::new(ErrorCode::InvalidHeader, detail))
        }
        (None, None) => Ok(None),
    }
}

/// `completed,dead`
struct Events(Vec<WebhookEvent>);

impl FromStr for Events {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let key = parsed::<String>(headers, &headers::IDEMPOTENCY_KEY, "text")?;
    match key {
        Some(key) if key.is_empty() || key.len() > KEY_BYTES_MAX => Err(Failure::new(
            ErrorCode::InvalidHeader,
            format!("header idempotency-key must have 1 to {KEY_BYTES_MAX} characters"),
        )),
        key => Ok(key),
    }
}

/// A path below the model, as given in `?route=`.
struct Route(String);

impl FromStr for Route {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let path = format!("/{}", text.trim_start_matches('/'));
        match path.parse::<http::uri::PathAndQuery>() {
            Ok(_) if path.starts_with(OWN_PATHS) => Err("what is below /-/ is not for calls"),
            Ok(_) => Ok(Self(path)),
            Err(_) => Err("it must be a path, for example explain"),
        }
    }
}

/// A time in seconds, fractions allowed.
struct Seconds(Duration);

impl FromStr for Seconds {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        text.parse().unwrap_or(f64::NAN).try_into()
    }
}

impl TryFrom<f64> for Seconds {
    type Error = &'static str;
    fn try_from(seconds: f64) -> Result<Self, &'static str> {
        if (0.0..1e9).contains(&seconds) {
            Ok(Self(Duration::from_secs_f64(seconds)))
        } else {
            Err("it must be a number of seconds, 0 or more")
        }
    }
}

struct StateWord(api::task::TaskState);

impl FromStr for StateWord {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        text.parse()
            .map(Self)
            .map_err(|()| "it must be queued, running, completed, failed, cancelled or dead")
    }
}

/// How many tasks one page shows.
struct Limit(u32);

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

impl FromStr for Limit {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let limit = text.parse().ok().filter(|limit| (1..=1000).contains(limit));
        limit.map(Self).ok_or("it must be a number from 1 to 1000")
    }
}
