//! Tasks as clients see them.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use types::{ModelName, Priority, TaskId};

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Waits for a place.
    Queued,
    /// Runs on a worker.
    Running,
    /// Has its result.
    Completed,
    /// Ended with an error that is not tried again.
    Failed,
    /// Was cancelled by a client.
    Cancelled,
    /// Used up its attempts.
    Dead,
}

impl TaskState {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::Completed, Self::Failed, Self::Cancelled, Self::Dead];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Dead => "dead",
        }
    }

    /// The seed's four words: cancelled and dead tasks show as failed.
    pub const fn status(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed | Self::Cancelled | Self::Dead => "failed",
        }
    }

    /// Whether it changes no more.
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

impl std::str::FromStr for TaskState {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(())
    }
}

/// `202` of `POST /tasks/{model}`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TaskAccepted {
    /// The new task, or the one of the same idempotency key.
    #[schema(value_type = String, format = Uuid)]
    pub task_id: TaskId,
    /// `queued`, or where the earlier task stands by now.
    pub status: String,
}

/// `GET /tasks/{id}`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TaskView {
    /// The task.
    #[schema(value_type = String, format = Uuid)]
    pub task_id: TaskId,
    /// The model that it calls.
    #[schema(value_type = String)]
    pub model: ModelName,
    /// What was submitted, verbatim.
    #[schema(value_type = serde_json::Value)]
    pub payload: Option<Box<RawValue>>,
    /// `queued`, `running`, `completed` or `failed`.
    pub status: String,
    /// The exact state.
    pub state: TaskState,
    /// Unix time of the last change, in seconds, as text.
    pub ts: String,
    /// What the model answered; `{"error": …}` of a failed task.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = serde_json::Value)]
    pub result: Option<Box<RawValue>>,
    /// Slug of the error table, for tasks that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// Attempts begun so far.
    pub attempt: u32,
    /// The class it waits in.
    #[schema(value_type = String)]
    pub priority: Priority,
    /// Unix time of the submission, in milliseconds.
    pub created_ms: u64,
    /// Unix time of the last change, in milliseconds.
    pub updated_ms: u64,
    /// Last reported progress, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<f64>,
    /// What the running attempt said last, for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The last partial result of the running attempt. It goes with the attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = serde_json::Value)]
    pub partial: Option<Box<RawValue>>,
    /// Changes with everything that is told here of where the task stands: `?after=` waits for that.
    #[serde(default)]
    pub version: String,
    /// How earlier attempts failed, where it was asked for: the first and the latest, 32 at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<Vec<AttemptView>>,
}

/// An attempt that ended without an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AttemptView {
    /// Its number, from 1.
    pub attempt: u32,
    /// The life of the server that ran it: each start of a server on the store has a larger number.
    pub server: u64,
    /// Unix time of its beginning, in milliseconds.
    pub began_ms: u64,
    /// Unix time of its end, in milliseconds.
    pub ended_ms: u64,
    /// Slug of the error table.
    pub error_code: String,
    /// What went wrong, in words.
    pub error: String,
}

/// What was done to a page of tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PageHandled {
    /// How many were cancelled, replayed or discarded.
    pub handled: u64,
    /// Give it back as `?cursor=` to go on; absent after the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Body of `POST /tasks`: many submissions, each for itself.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkSubmission {
    /// What is submitted, at most 1,000.
    pub tasks: Vec<BulkTask>,
}

/// One of many submissions.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkTask {
    /// The model to call.
    pub model: String,
    /// What is sent to it, verbatim.
    #[schema(value_type = serde_json::Value)]
    pub payload: Box<RawValue>,
    /// Another route than the default one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Makes this submission repeatable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The class it waits in; without it that of the header.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub priority: Option<Priority>,
    /// Worthless after so many milliseconds; without it what the header says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// Seconds to wait before it may run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_after: Option<f64>,
}

/// `202` of `POST /tasks`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BulkAnswer {
    /// How many are on disk.
    pub accepted: usize,
    /// How many are not.
    pub refused: usize,
    /// How it went with each, in the order of the request.
    pub tasks: Vec<BulkOutcome>,
}

/// How one of many submissions went.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum BulkOutcome {
    /// It is on disk.
    Accepted(TaskAccepted),
    /// Nothing was written.
    Refused(Refusal),
}

/// Why one of many was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Refusal {
    /// Slug of the error table.
    pub error_code: String,
    /// Words for the client.
    pub detail: String,
}

/// Body of `POST /api/native/v1/tasks/cancel`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkCancel {
    /// The tasks, at most 1,000. Those that have ended or are unknown are left out.
    #[schema(value_type = Vec<String>)]
    pub ids: Vec<TaskId>,
}

/// `GET /tasks`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TaskPage {
    /// Newest first.
    pub tasks: Vec<TaskView>,
    /// Give it back as `?cursor=` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// `GET /api/native/v1/tasks/stats`: what the store holds, and who shares it.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TaskStats {
    /// Every model that has tasks, by name.
    pub models: Vec<ModelTaskStats>,
    /// The servers that share the store, by name; empty where one server owns it.
    pub servers: Vec<ServerStats>,
}

/// How many tasks of one model stand in each state.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ModelTaskStats {
    /// The model.
    #[schema(value_type = String)]
    pub model: ModelName,
    /// Wait, for a place or for their moment.
    pub queued: u64,
    /// Run.
    pub running: u64,
    /// Have their result.
    pub completed: u64,
    /// Ended with an error that is not tried again.
    pub failed: u64,
    /// Were cancelled.
    pub cancelled: u64,
    /// Used up their attempts.
    pub dead: u64,
}

/// One of the servers that share a store.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ServerStats {
    /// Its name.
    pub name: String,
    /// Time since its last heartbeat, in milliseconds.
    pub silent_ms: u64,
}
