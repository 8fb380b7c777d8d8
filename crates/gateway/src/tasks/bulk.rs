//! Many tasks in one request.

use std::time::Duration;

use ::tasks::{Submission, TaskFilter, Webhook};
use api::{
    headers,
    task::{
        BulkAnswer, BulkCancel, BulkOutcome, BulkSubmission, BulkTask, PageHandled, Refusal,
        TaskAccepted,
    },
};
use axum::{
    Json,
    extract::{RawQuery, Request, State},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use types::{ErrorCode, Fault};

use super::{
    KEY_BYTES_MAX, Route, Seconds,
    page::{Page, by_state},
    webhook,
};
use crate::{
    Gateway, context::CallContext, failure::Failure, intake::read, passage::model_named,
    query::Query,
};

/// Most tasks of one request.
const BULK_MAX: usize = 1000;

/// What is accepted of many, and why the others are not.
type Sorted<T> = Vec<Result<T, Fault>>;

/// `POST /tasks`: answers 202 once those that are accepted are on disk, or with the first refusal if
/// none is.
pub(crate) async fn submit(
    State(gateway): State<Gateway>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<(StatusCode, Json<BulkAnswer>), Failure> {
    Query::parse(query.as_deref())?.finish()?;
    let (parts, body) = request.into_parts();
    let shared = Shared::of(&parts.headers)?;
    let bulk: BulkSubmission = parsed(&read(body, gateway.settings.body_bytes_max).await?)?;
    within("tasks", bulk.tasks.len())?;
    let wanted = bulk.tasks.into_iter().map(|task| shared.submission(&gateway, task));
    let outcomes = submit_valid(&gateway, wanted.collect()).await;
    let accepted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let refused = outcomes.len() - accepted;
    if accepted == 0 {
        if let Some(Err(fault)) = outcomes.into_iter().next() {
            return Err(Failure(fault));
        }
        return Err(no_entry("tasks"));
    }
    let tasks = outcomes.into_iter().map(told).collect();
    Ok((StatusCode::ACCEPTED, Json(BulkAnswer { accepted, refused, tasks })))
}

/// `POST /api/native/v1/tasks/cancel`: those that are named in the body, or a page of those that the
/// query describes.
pub(crate) async fn cancel(
    State(gateway): State<Gateway>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Json<PageHandled>, Failure> {
    let body = read(request.into_body(), gateway.settings.body_bytes_max).await?;
    if !body.is_empty() {
        Query::parse(query.as_deref())?.finish()?;
        let BulkCancel { ids } = parsed(&body)?;
        within("ids", ids.len())?;
        let handled = gateway.tasks.cancel_all(&ids).await?;
        return Ok(Json(PageHandled { handled, next_cursor: None }));
    }
    let Page { filter, cursor, limit } = Page::of(query.as_deref(), by_state)?;
    if filter == TaskFilter::default() {
        let detail = "name the tasks in the body, {\"ids\": [\"…\"]}, or describe them by model, \
                      state or tenant in the query; nothing was cancelled";
        return Err(Failure::new(ErrorCode::InvalidRequest, detail));
    }
    Ok(Json(gateway.tasks.cancel_page(&filter, cursor, limit).await?))
}

/// What all of one request share.
struct Shared {
    context: CallContext,
    webhook: Option<Webhook>,
    traceparent: Option<String>,
    request_id: String,
}

impl Shared {
    fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        let text =
            |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Self {
            context: CallContext::of(headers)?,
            webhook: webhook(headers)?,
            traceparent: text(headers::TRACEPARENT),
            request_id: text(headers::REQUEST_ID).unwrap_or_default(),
        })
    }

    fn submission(&self, gateway: &Gateway, task: BulkTask) -> Result<Submission, Failure> {
        let BulkTask { model, payload, route, idempotency_key, priority, deadline_ms, start_after } =
            task;
        let bad = |field: &str, why: &str| {
            Failure::new(ErrorCode::InvalidRequest, format!("{field}: {why}"))
        };
        if idempotency_key.as_ref().is_some_and(|key| !(1..=KEY_BYTES_MAX).contains(&key.len())) {
            let why = format!("it must have 1 to {KEY_BYTES_MAX} characters");
            return Err(bad("idempotency_key", &why));
        }
        let route = route.map(|text| text.parse::<Route>()).transpose();
        let start_after = start_after.map(Seconds::try_from).transpose();
        let context = &self.context;
        let of_header = context.deadline.map(|at| at.saturating_duration_since(Instant::now()));
        Ok(Submission {
            model: model_named(gateway, &model)?,
            tenant: context.tenant.clone(),
            priority: priority.unwrap_or(context.priority),
            route: route.map_err(|why| bad("route", why))?.map(|route| route.0),
            payload: Bytes::from(Box::<str>::from(payload).into_string()),
            content_type: Some("application/json".into()),
            idempotency_key,
            deadline: deadline_ms.map(Duration::from_millis).or(of_header),
            start_after: start_after.map_err(|why| bad("start_after", why))?.map(|time| time.0),
            webhook: self.webhook.clone(),
            traceparent: self.traceparent.clone(),
            request_id: self.request_id.clone(),
        })
    }
}

/// Submits those that can be, and keeps every answer in its place.
async fn submit_valid(
    gateway: &Gateway,
    wanted: Vec<Result<Submission, Failure>>,
) -> Sorted<TaskAccepted> {
    let (mut valid, mut refused) = (Vec::new(), Vec::new());
    for wish in wanted {
        match wish {
            Ok(submission) => {
                valid.push(submission);
                refused.push(None);
            }
            Err(Failure(fault)) => refused.push(Some(fault)),
        }
    }
    let mut answers = gateway.tasks.submit_all(valid).await.into_iter();
    let answer =
        |fault: Option<Fault>| fault.map_or_else(|| answers.next(), |fault| Some(Err(fault)));
    refused.into_iter().filter_map(answer).collect()
}

fn told(outcome: Result<TaskAccepted, Fault>) -> BulkOutcome {
    match outcome {
        Ok(accepted) => BulkOutcome::Accepted(accepted),
        Err(Fault { code, detail, .. }) => {
            BulkOutcome::Refused(Refusal { error_code: code.slug().into(), detail: detail.into() })
        }
    }
}

/// Reads a body, and names the field that is wrong.
fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let read: T = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let (field, why) = (error.path().to_string(), error.into_inner());
        Failure::new(ErrorCode::InvalidJson, format!("{field}: {why}"))
    })?;
    json.end().map_err(|error| Failure::new(ErrorCode::InvalidJson, error.to_string()))?;
    Ok(read)
}

fn within(field: &str, count: usize) -> Result<(), Failure> {
    if count > BULK_MAX {
        let detail = format!("{field} has {count} entries; send at most {BULK_MAX} in one request");
        return Err(Failure::new(ErrorCode::InvalidRequest, detail));
    }
    Ok(())
}

fn no_entry(field: &str) -> Failure {
    Failure::new(ErrorCode::InvalidRequest, format!("{field} is empty; send at least one entry"))
}
