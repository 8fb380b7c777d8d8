//! Records: what is written about one task.

use std::time::Duration;

use api::task::TaskState;
use bytes::Bytes;
use policy::task::TaskPolicy;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use types::{ErrorCode, ModelName, Priority, TaskId, Tenant, Timestamp, WebhookEvent};

use crate::{Outcome, Place, Standing};

/// One life of one server on a store; later lives have larger numbers. Part of the fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Owner(pub u64);

/// The right to say how one attempt ended. Whoever holds an older one is not listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fence {
    /// The task.
    pub id: TaskId,
    /// The server that runs it.
    pub owner: Owner,
    /// The attempt, from 1; never used twice for a task.
    pub attempt: u32,
}

/// What the client sent, as it is sent on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredRequest {
    /// Path and query after the model's name; `None` for the default route.
    pub route: Option<String>,
    /// Media type of the body.
    pub content_type: Option<String>,
    /// Further headers that are sent on, in their order.
    pub headers: Vec<(String, String)>,
    /// The body, byte for byte.
    pub body: Bytes,
}

/// What the model answered, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredAnswer {
    /// Media type of the body.
    pub content_type: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskError {
    /// The row of the error table.
    pub code: ErrorCode,
    /// Words for the client.
    pub detail: String,
}

impl TaskError {
    /// An error with its words for the client.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

/// An attempt that ended without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedAttempt {
    /// Its number, from 1.
    pub attempt: u32,
    /// The server that ran it.
    pub owner: Owner,
    /// When it was claimed.
    pub began: Timestamp,
    /// When its end was written.
    pub ended: Timestamp,
    /// How it ended.
    pub error: TaskError,
}

impl FailedAttempt {
    /// Failed attempts of one task that are kept: the first, which tells how the trouble began, and
    /// the latest.
    pub const KEPT_MAX: usize = 32;
}

/// What makes a submission repeatable. Scope: tenant and model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The client's key.
    pub key: String,
    /// SHA-256 of the request, so that the same key with another one is noticed.
    pub hash: [u8; 32],
}

impl Idempotency {
    /// Ties `key` to what is submitted under it: the route and the body.
    pub fn new(key: impl Into<String>, request: &StoredRequest) -> Self {
        let mut hash = Sha256::new();
        hash.update(request.route.as_deref().unwrap_or_default());
        // A route holds no zero byte, so no other split of route and body gives the same input.
        hash.update([0]);
        hash.update(&request.body);
        Self { key: key.into(), hash: hash.finalize().into() }
    }
}

/// How far an attempt is, as its code said last.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Progress {
    /// Share done, 0 to 1.
    pub fraction: Option<f64>,
    /// A word for a person.
    pub message: Option<String>,
    /// A partial result, as JSON.
    pub partial: Option<String>,
}

/// Who is told when a task ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Where a letter is sent.
    pub url: String,
    /// What it is told of; empty for all ends.
    pub events: Vec<WebhookEvent>,
}

/// The end of a task whose webhook was not told of it yet. It is written with the end itself, so that
/// no crash comes between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notice {
    /// The task.
    pub task: TaskId,
    /// Attempts begun when it ended; with the state it tells one end from another, where a task
    /// was replayed.
    pub attempt: u32,
    /// How it ended.
    pub state: TaskState,
}

/// A task that is to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTask {
    /// A fresh id (version 7, so that the index grows at its end).
    pub id: TaskId,
    /// The model that it calls.
    pub model: ModelName,
    /// Whose work it is.
    pub tenant: Tenant,
    /// The class that it waits in.
    pub priority: Priority,
    /// What is sent to the model.
    pub request: StoredRequest,
    /// Makes the submission repeatable.
    pub idempotency: Option<Idempotency>,
    /// Who is told when it ends.
    pub webhook: Option<Webhook>,
    /// How often and when it is tried again.
    pub retry: TaskPolicy,
    /// Not to be begun before this moment.
    pub not_before: Option<Timestamp>,
    /// Worthless after this moment.
    pub deadline: Option<Timestamp>,
    /// How long its record is kept after its end.
    pub keep_for: Duration,
    /// Refused if this many tasks of its model wait already.
    pub queued_max: u64,
    /// The moment of the submission.
    pub created: Timestamp,
}

/// A call that has ended already, written for the record only.
#[derive(Debug, Clone, PartialEq)]
pub struct EndedTask {
    /// What was asked; `not_before`, `deadline`, `queued_max` and `idempotency` are not used.
    pub task: NewTask,
    /// How it ended; [`Outcome::Retry`] and [`Outcome::NotBegun`] are written as failed.
    pub outcome: Outcome,
    /// When it ended.
    pub ended: Timestamp,
}

/// All that is known about one task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskRecord {
    /// The task.
    pub id: TaskId,
    /// The model that it calls.
    pub model: ModelName,
    /// Whose work it is.
    pub tenant: Tenant,
    /// What is sent to the model.
    pub request: StoredRequest,
    /// The client's key, if it gave one.
    pub idempotency_key: Option<String>,
    /// Where it stands, and all that decides about its next step.
    pub standing: Standing,
    /// Its answer, once it is completed.
    pub answer: Option<StoredAnswer>,
    /// The last error, unless it is completed.
    pub error: Option<TaskError>,
    /// Who is told when it ends.
    pub webhook: Option<Webhook>,
    /// How far the last attempt was, as far as it was written. Message and partial result are written
    /// only where other servers read them ([`crate::TaskStore::show`]).
    pub progress: Progress,
    /// The moment of the submission.
    pub created: Timestamp,
    /// The moment of the last change of state.
    pub updated: Timestamp,
}

impl TaskRecord {
    /// The state that clients see.
    pub const fn state(&self) -> TaskState {
        self.standing.place.state()
    }

    /// The right to end the attempt that runs; `None` if none does.
    pub fn fence(&self) -> Option<Fence> {
        let Standing { owner, attempt, .. } = self.standing;
        (self.standing.place == Place::Running).then_some(Fence { id: self.id, owner, attempt })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_tells_routes_and_bodies_apart() {
        let request = |route: Option<&str>, body: &'static str| StoredRequest {
            route: route.map(Into::into),
            body: Bytes::from_static(body.as_bytes()),
            ..StoredRequest::default()
        };
        let hash = |request: &StoredRequest| Idempotency::new("k", request).hash;
        assert_eq!(hash(&request(None, "{}")), hash(&request(None, "{}")));
        assert_ne!(hash(&request(None, "{}")), hash(&request(None, "{ }")));
        assert_ne!(hash(&request(Some("a"), "b")), hash(&request(Some("ab"), "")));
    }
}
