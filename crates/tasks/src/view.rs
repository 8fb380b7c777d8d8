//! Records as clients see them.

use std::time::Duration;

use api::task::{AttemptView, ModelTaskStats, ServerStats, TaskState, TaskView};
use store::{FailedAttempt, ModelTasks, TaskError, TaskRecord};
use types::Timestamp;

use crate::json;

/// A durable task; `live` is how far its running attempt is, if that is known better than the
/// record knows it.
pub(crate) fn of_record(record: &TaskRecord, live: Option<f64>) -> TaskView {
    let state = record.state();
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
        progress: live.or(record.progress),
        attempts: None,
    }
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
