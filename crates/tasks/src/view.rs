//! Records as clients see them.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use api::task::{AttemptView, ModelTaskStats, PageHandled, ServerStats, TaskState, TaskView};
use serde_json::value::RawValue;
use store::{Cursor, FailedAttempt, ModelTasks, Progress, TaskError, TaskRecord};
use types::Timestamp;

use crate::json;

/// A durable task; `live` is how far its running attempt is, if that is known better than the
/// record knows it.
pub(crate) fn of_record(record: &TaskRecord, live: Option<Progress>) -> TaskView {
    let state = record.state();
    let is_running = state == TaskState::Running;
    let Progress { fraction, message, partial } = live.unwrap_or_default();
    let written = &record.progress;
    let fraction = fraction.or(written.fraction);
    let message = message.or_else(|| written.message.clone()).filter(|_| is_running);
    let partial = partial.or_else(|| written.partial.clone()).filter(|_| is_running);
    let version = version(record, fraction, message.as_deref(), partial.as_deref());
    let error = record.error.as_ref().filter(|_| state.is_terminal());
    let request = &record.request;
    TaskView {
        task_id: record.id,
        model: record.model.clone(),
        payload: json::embed(request.content_type.as_deref(), &request.body),
        status: state.status().into(),
        state,
        ts: seconds(record.updated),
        result: match (&record.answer, error) {
            (Some(answer), _) => json::embed(answer.content_type.as_deref(), &answer.body),
            (None, Some(error)) => json::error(&error.detail),
            (None, None) => None,
        },
        error_code: error.map(slug),
        attempt: record.standing.attempt,
        priority: record.standing.priority,
        created_ms: record.created.millis(),
        updated_ms: record.updated.millis(),
        progress: fraction,
        message,
        partial: partial.and_then(|json| RawValue::from_string(json).ok()),
        version,
        attempts: None,
    }
}

/// Changes with what is told of a task, and is the same on each server that tells the same.
fn version(
    record: &TaskRecord,
    fraction: Option<f64>,
    message: Option<&str>,
    partial: Option<&str>,
) -> String {
    // Its keys are fixed, unlike those of a map.
    let mut hasher = DefaultHasher::new();
    (record.state(), record.standing.attempt, record.updated).hash(&mut hasher);
    (fraction.map(f64::to_bits), message, partial).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// An attempt that ended without an answer.
pub(crate) fn of_attempt(failed: FailedAttempt) -> AttemptView {
    AttemptView {
        attempt: failed.attempt,
        server: failed.owner.0,
        began_ms: failed.began.millis(),
        ended_ms: failed.ended.millis(),
        error_code: slug(&failed.error),
        error: failed.error.detail,
    }
}

pub(crate) fn slug(error: &TaskError) -> String {
    error.code.slug().into()
}

/// As the seed writes it: seconds with a fraction, as text.
pub(crate) fn seconds(time: Timestamp) -> String {
    time.seconds().to_string()
}

/// What was done to a page of tasks, and where the next begins.
pub(crate) fn of_page(handled: u64, next: Option<Cursor>) -> PageHandled {
    PageHandled { handled, next_cursor: next.map(|next| next.to_string()) }
}

/// How the tasks of a model stand.
pub(crate) fn of_model(of: &ModelTasks) -> ModelTaskStats {
    ModelTaskStats {
        model: of.model.clone(),
        queued: of.count(TaskState::Queued),
        running: of.count(TaskState::Running),
        completed: of.count(TaskState::Completed),
        failed: of.count(TaskState::Failed),
        cancelled: of.count(TaskState::Cancelled),
        dead: of.count(TaskState::Dead),
    }
}

pub(crate) fn of_server((name, silent): (String, Duration)) -> ServerStats {
    ServerStats { name, silent_ms: u64::try_from(silent.as_millis()).unwrap_or(u64::MAX) }
}
