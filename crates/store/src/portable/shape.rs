//! The JSON of one task in an export. Times are milliseconds since the Unix epoch.

use std::time::Duration;

use api::task::TaskState;
use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use policy::{backoff::Backoff, task::TaskPolicy};
use serde::{Deserialize, Serialize};
use types::{ErrorCode, ModelName, Priority, TaskId, Tenant, Timestamp};

use super::{BadLine, WholeTask};
use crate::{
    FailedAttempt, Idempotency, Notice, Owner, Place, Progress, Standing, StoredAnswer,
    StoredRequest, TaskError, TaskRecord, Webhook,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskShape {
    id: TaskId,
    model: ModelName,
    tenant: Tenant,
    place: PlaceWord,
    priority: Priority,
    attempt: u32,
    failures: u32,
    attempts_max: u32,
    backoff_ms: u64,
    backoff_max_ms: u64,
    owner: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_ms: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deadline_ms: Option<Timestamp>,
    keep_ms: u64,
    created_ms: Timestamp,
    updated_ms: Timestamp,
    /// A text, because not every reader of JSON gives a number back bit for bit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    progress: Option<String>,
    request: RequestShape,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<AnswerShape>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<ErrorShape>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    idempotency: Option<KeyShape>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    webhook: Option<Webhook>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<AttemptShape>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    notices: Vec<NoticeShape>,
}

/// Where a task stands; what is ready waits in the lane of its class.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PlaceWord {
    Ready,
    Delayed,
    Running,
    Completed,
    Failed,
    Cancelled,
    Dead,
}

/// Text where it can be, so that a person and `grep` can read it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Body {
    Text(String),
    Base64(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestShape {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, String)>,
    body: Body,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerShape {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    body: Body,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorShape {
    code: ErrorCode,
    detail: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyShape {
    key: String,
    sha256: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttemptShape {
    attempt: u32,
    owner: u64,
    began_ms: Timestamp,
    ended_ms: Timestamp,
    error: ErrorShape,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoticeShape {
    attempt: u32,
    state: TaskState,
}

impl From<&WholeTask> for TaskShape {
    fn from(whole: &WholeTask) -> Self {
        let WholeTask { record, idempotency, attempts, notices } = whole;
        let Standing { place, priority, attempt, failures, retry, owner, due, deadline, keep_for } =
            record.standing;
        Self {
            id: record.id,
            model: record.model.clone(),
            tenant: record.tenant.clone(),
            place: place.into(),
            priority,
            attempt,
            failures,
            attempts_max: retry.attempts_max,
            backoff_ms: millis(retry.backoff.base),
            backoff_max_ms: millis(retry.backoff.max),
            owner: owner.0,
            due_ms: due,
            deadline_ms: deadline,
            keep_ms: millis(keep_for),
            created_ms: record.created,
            updated_ms: record.updated,
            progress: record.progress.fraction.map(|fraction| fraction.to_string()),
            request: RequestShape::from(&record.request),
            answer: record.answer.as_ref().map(AnswerShape::from),
            error: record.error.as_ref().map(ErrorShape::from),
            idempotency: idempotency.as_ref().map(KeyShape::from),
            webhook: record.webhook.clone(),
            attempts: attempts.iter().map(AttemptShape::from).collect(),
            notices: notices
                .iter()
                .map(|Notice { attempt, state, .. }| NoticeShape {
                    attempt: *attempt,
                    state: *state,
                })
                .collect(),
        }
    }
}

impl TaskShape {
    /// The task, or the field that makes no sense.
    pub(super) fn read(self) -> Result<WholeTask, BadLine> {
        let standing = self.standing()?;
        let idempotency = self.idempotency.map(KeyShape::read).transpose()?;
        let answer = self.answer.map(AnswerShape::read).transpose()?;
        if (standing.place == Place::Completed) != answer.is_some() {
            let reason = "completed tasks have one, and no others";
            return Err(BadLine::new("task.answer", reason));
        }
        let fraction = self.progress.as_deref().map(str::parse::<f64>).transpose();
        let fraction = fraction.map_err(|error| BadLine::new("task.progress", error))?;
        if self.notices.iter().any(|notice| !notice.state.is_terminal()) {
            return Err(BadLine::new("task.notices", "only ends are told"));
        }
        let id = self.id;
        let notice = |NoticeShape { attempt, state }| Notice { task: id, attempt, state };
        Ok(WholeTask {
            record: TaskRecord {
                id,
                model: self.model,
                tenant: self.tenant,
                request: self.request.read()?,
                idempotency_key: idempotency.as_ref().map(|given| given.key.clone()),
                standing,
                answer,
                error: self.error.map(ErrorShape::read),
                webhook: self.webhook,
                progress: Progress { fraction, ..Progress::default() },
                created: self.created_ms,
                updated: self.updated_ms,
            },
            idempotency,
            attempts: self.attempts.into_iter().map(AttemptShape::read).collect(),
            notices: self.notices.into_iter().map(notice).collect(),
        })
    }

    fn standing(&self) -> Result<Standing, BadLine> {
        let place = self.place.of(self.priority);
        if self.due_ms.is_none() && !matches!(place, Place::Ready(_)) {
            let reason = "only a task that is ready may wait for ever";
            return Err(BadLine::new("task.due_ms", reason));
        }
        let [base, max, keep_for] =
            [self.backoff_ms, self.backoff_max_ms, self.keep_ms].map(Duration::from_millis);
        Ok(Standing {
            place,
            priority: self.priority,
            attempt: self.attempt,
            failures: self.failures,
            retry: TaskPolicy { attempts_max: self.attempts_max, backoff: Backoff { base, max } },
            owner: Owner(self.owner),
            due: self.due_ms,
            deadline: self.deadline_ms,
            keep_for,
        })
    }
}

impl From<Place> for PlaceWord {
    fn from(place: Place) -> Self {
        match place {
            Place::Ready(_) => Self::Ready,
            Place::Delayed => Self::Delayed,
            Place::Running => Self::Running,
            Place::Completed => Self::Completed,
            Place::Failed => Self::Failed,
            Place::Cancelled => Self::Cancelled,
            Place::Dead => Self::Dead,
        }
    }
}

impl PlaceWord {
    const fn of(self, priority: Priority) -> Place {
        match self {
            Self::Ready => Place::Ready(priority),
            Self::Delayed => Place::Delayed,
            Self::Running => Place::Running,
            Self::Completed => Place::Completed,
            Self::Failed => Place::Failed,
            Self::Cancelled => Place::Cancelled,
            Self::Dead => Place::Dead,
        }
    }
}

impl From<&Bytes> for Body {
    fn from(bytes: &Bytes) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64(BASE64.encode(bytes)),
        }
    }
}

impl Body {
    fn read(self, field: &'static str) -> Result<Bytes, BadLine> {
        match self {
            Self::Text(text) => Ok(text.into()),
            Self::Base64(text) => match BASE64.decode(text.as_bytes()) {
                Ok(bytes) => Ok(bytes.into()),
                Err(error) => Err(BadLine::new(field, error)),
            },
        }
    }
}

impl From<&StoredRequest> for RequestShape {
    fn from(request: &StoredRequest) -> Self {
        let StoredRequest { route, content_type, headers, body } = request;
        Self {
            route: route.clone(),
            content_type: content_type.clone(),
            headers: headers.clone(),
            body: body.into(),
        }
    }
}

impl RequestShape {
    fn read(self) -> Result<StoredRequest, BadLine> {
        let body = self.body.read("task.request.body.base64")?;
        let Self { route, content_type, headers, .. } = self;
        Ok(StoredRequest { route, content_type, headers, body })
    }
}

impl From<&StoredAnswer> for AnswerShape {
    fn from(answer: &StoredAnswer) -> Self {
        Self { content_type: answer.content_type.clone(), body: (&answer.body).into() }
    }
}

impl AnswerShape {
    fn read(self) -> Result<StoredAnswer, BadLine> {
        let body = self.body.read("task.answer.body.base64")?;
        Ok(StoredAnswer { content_type: self.content_type, body })
    }
}

impl From<&TaskError> for ErrorShape {
    fn from(error: &TaskError) -> Self {
        Self { code: error.code, detail: error.detail.clone() }
    }
}

impl ErrorShape {
    fn read(self) -> TaskError {
        TaskError { code: self.code, detail: self.detail }
    }
}

impl From<&Idempotency> for KeyShape {
    fn from(given: &Idempotency) -> Self {
        Self { key: given.key.clone(), sha256: HEXLOWER.encode(&given.hash) }
    }
}

impl KeyShape {
    fn read(self) -> Result<Idempotency, BadLine> {
        let hash = HEXLOWER.decode(self.sha256.as_bytes()).ok().and_then(|it| it.try_into().ok());
        let reason = "not the 64 hexadecimal digits of a SHA-256";
        let hash = hash.ok_or_else(|| BadLine::new("task.idempotency.sha256", reason))?;
        Ok(Idempotency { key: self.key, hash })
    }
}

impl From<&FailedAttempt> for AttemptShape {
    fn from(failed: &FailedAttempt) -> Self {
        let FailedAttempt { attempt, owner, began, ended, error } = failed;
        let (began_ms, ended_ms) = (*began, *ended);
        Self { attempt: *attempt, owner: owner.0, began_ms, ended_ms, error: error.into() }
    }
}

impl AttemptShape {
    fn read(self) -> FailedAttempt {
        FailedAttempt {
            attempt: self.attempt,
            owner: Owner(self.owner),
            began: self.began_ms,
            ended: self.ended_ms,
            error: self.error.read(),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
