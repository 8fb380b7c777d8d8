//! What a webhook is told. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::task::TaskState;
use policy::task::TaskPolicy;
use serde::Serialize;
use serde_json::value::RawValue;
use store::{Idempotency, NewTask, Notice, StoredRequest, TaskRecord};
use types::{ModelName, Priority, TaskId, WebhookEvent};
use uuid::Uuid;

use crate::view;

/// A larger result is left out; its receiver can ask for the task.
const RESULT_BYTES_MAX: usize = 256 << 10;

/// Letters that may wait. Far more than receivers that work ever let come together.
const WAITING_MAX: u64 = 1_000_000;

/// The body of a letter.
#[derive(Serialize)]
struct Letter<'a> {
    r#type: String,
    timestamp: String,
    data: Data<'a>,
}

/// The task at its end; the words are those of `GET /tasks/{id}`.
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
    let request = StoredRequest {
        route: Some(webhook.url.clone()),
        content_type: Some("application/json".into()),
        body: body(record, notice, event).into(),
        ..StoredRequest::default()
    };
    let key = format!("{} {} {}", notice.task, notice.attempt, event.as_str());
    Some(NewTask {
        id: TaskId::new(Uuid::now_v7()),
        model: ModelName::webhooks(),
        tenant: record.tenant.clone(),
        priority: Priority::Normal,
        idempotency: Some(Idempotency::new(key, &request)),
        request,
        webhook: None,
        retry,
        not_before: None,
        deadline: None,
        keep_for,
        queued_max: WAITING_MAX,
        created: record.updated,
    })
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
    let result_omitted = result.as_ref().is_some_and(|raw| raw.get().len() > RESULT_BYTES_MAX);
    let at = UNIX_EPOCH + Duration::from_millis(record.updated.millis());
    let letter = Letter {
        r#type: format!("task.{}", event.as_str()),
        timestamp: rfc3339(at),
        data: Data {
            task_id: record.id,
            model: &record.model,
            status: notice.state.status(),
            state: notice.state,
            attempt: notice.attempt,
            created_ms: view.created_ms,
            updated_ms: view.updated_ms,
            error_code: view.error_code.filter(|_| is_current),
            result: result.filter(|_| !result_omitted),
            result_omitted,
        },
    };
    // Texts, numbers and JSON that was read before can always be written.
    serde_json::to_string(&letter).unwrap_or_default()
}

fn rfc3339(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}

#[cfg(test)]
mod tests;
