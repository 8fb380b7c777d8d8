//! What a webhook is told. Pure.

use std::time::{Duration, UNIX_EPOCH};

use api::task::TaskState;
use policy::task::TaskPolicy;
use serde::Serialize;
use serde_json::value::RawValue;
use store::{Idempotency, NewTask, Notice, Progress, StoredRequest, TaskRecord, Webhook};
use types::{ModelName, Priority, TaskId, Timestamp, WebhookEvent};
use uuid::Uuid;

use crate::{results, view};

/// A larger result is left out; its receiver can ask for the task.
const RESULT_BYTES_MAX: usize = 256 << 10;

/// Letters that may wait. Far more than receivers that work ever let come together.
const WAITING_MAX: u64 = 1_000_000;

/// How far a task was a minute ago is nobody's business any more.
const PROGRESS_TIME: Duration = Duration::from_secs(60);

/// The body of a letter.
#[derive(Serialize)]
struct Letter<'a> {
    r#type: String,
    timestamp: String,
    data: Data<'a>,
}

/// The task as it stands; the words are those of `GET /tasks/{id}`.
#[derive(Serialize)]
struct Data<'a> {
    task_id: TaskId,
    model: &'a ModelName,
    status: &'static str,
    state: TaskState,
    attempt: u32,
    created_ms: u64,
    updated_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partial: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    /// The result is too large for a letter.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    result_omitted: bool,
}

/// The letter about an end, as a task; `None` if the webhook does not care.
pub(super) fn of(
    record: &TaskRecord,
    notice: Notice,
    retry: TaskPolicy,
    keep_for: Duration,
) -> Option<NewTask> {
    let webhook = record.webhook.as_ref()?;
    let event = event(notice.state)?;
    if !webhook.events.is_empty() && !webhook.events.contains(&event) {
        return None;
    }
    let letter = task(record, webhook, body(record, notice, event), retry, keep_for);
    let key = format!("{} {} {}", notice.task, notice.attempt, event.as_str());
    let idempotency = Some(Idempotency::new(key, &letter.request));
    Some(NewTask { idempotency, ..letter })
}

/// The letter about how far a task is at `now`, as a task that is worthless soon and
/// forgotten soon after.
pub(super) fn of_progress(
    record: &TaskRecord,
    progress: &Progress,
    retry: TaskPolicy,
    now: Timestamp,
) -> Option<NewTask> {
    let webhook = record.webhook.as_ref()?;
    let view = view::of_record(record, Some(progress.clone()));
    let data = Data {
        progress: view.progress,
        message: view.message,
        partial: view.partial,
        ..Data::of(record, record.state(), record.standing.attempt)
    };
    let body = written(WebhookEvent::Progress, now, data);
    let deadline = Some(now.after(PROGRESS_TIME));
    let letter = task(record, webhook, body, retry, PROGRESS_TIME);
    Some(NewTask { deadline, created: now, ..letter })
}

/// A letter that waits to be sent.
fn task(
    record: &TaskRecord,
    webhook: &Webhook,
    body: String,
    retry: TaskPolicy,
    keep_for: Duration,
) -> NewTask {
    NewTask {
        id: TaskId::new(Uuid::now_v7()),
        model: ModelName::webhooks(),
        tenant: record.tenant.clone(),
        priority: Priority::Normal,
        idempotency: None,
        request: StoredRequest {
            route: Some(webhook.url.clone()),
            content_type: Some("application/json".into()),
            body: body.into(),
            ..StoredRequest::default()
        },
        webhook: None,
        retry,
        not_before: None,
        deadline: None,
        keep_for,
        queued_max: WAITING_MAX,
        created: record.updated,
    }
}

fn event(state: TaskState) -> Option<WebhookEvent> {
    match state {
        TaskState::Queued | TaskState::Running => None,
        TaskState::Completed => Some(WebhookEvent::Completed),
        TaskState::Failed => Some(WebhookEvent::Failed),
        TaskState::Cancelled => Some(WebhookEvent::Cancelled),
        TaskState::Dead => Some(WebhookEvent::Dead),
    }
}

fn body(record: &TaskRecord, notice: Notice, event: WebhookEvent) -> String {
    let view = view::of_record(record, None);
    // It may have been replayed since; then what it says by now belongs to another end.
    let is_current = view.state == notice.state && view.attempt == notice.attempt;
    let result = view.result.filter(|_| is_current);
    let is_large = |raw: &RawValue| raw.get().len() > RESULT_BYTES_MAX;
    let result_omitted =
        result.as_ref().is_some_and(|raw| is_large(raw) || results::is_in_file(record));
    let data = Data {
        error_code: view.error_code.filter(|_| is_current),
        result: result.filter(|_| !result_omitted),
        result_omitted,
        ..Data::of(record, notice.state, notice.attempt)
    };
    written(event, record.updated, data)
}

impl<'a> Data<'a> {
    fn of(record: &'a TaskRecord, state: TaskState, attempt: u32) -> Self {
        Self {
            task_id: record.id,
            model: &record.model,
            status: state.status(),
            state,
            attempt,
            created_ms: record.created.millis(),
            updated_ms: record.updated.millis(),
            progress: None,
            message: None,
            partial: None,
            error_code: None,
            result: None,
            result_omitted: false,
        }
    }
}

fn written(event: WebhookEvent, at: Timestamp, data: Data<'_>) -> String {
    let at = UNIX_EPOCH + Duration::from_millis(at.millis());
    let letter = Letter {
        r#type: format!("task.{}", event.as_str()),
        timestamp: humantime::format_rfc3339_millis(at).to_string(),
        data,
    };
    // Texts, numbers and JSON that was read before can always be written.
    serde_json::to_string(&letter).unwrap_or_default()
}

#[cfg(test)]
mod tests;
