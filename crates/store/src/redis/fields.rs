//! Records as the fields of a hash, and back.
//!
//! The seed's fields keep their names and meaning (`task_id`, `model`, `payload`, `status`, `ts`,
//! `result`); ours stand beside them. Absent values are empty texts.

use std::{collections::HashMap, str::FromStr, time::Duration};

use bytes::Bytes;
use policy::{backoff::Backoff, task::TaskPolicy};
use serde_json::json;
use types::{ErrorCode, Timestamp};

use crate::{
    NewTask, Outcome, Owner, Place, Standing, StoredAnswer, StoredRequest, TaskError, TaskRecord,
    Webhook, standing::Step,
};

/// A hash as it is read.
pub(super) type Hash = HashMap<String, Bytes>;

/// Fields as they are written, in pairs.
pub(super) type Pairs = Vec<(&'static str, Bytes)>;

/// What [`standing`] reads, and what names the record for a step.
pub(super) const STANDING: [&str; 15] = [
    "place",
    "class",
    "attempt",
    "failures",
    "attempts_max",
    "backoff_ms",
    "backoff_ms_max",
    "owner",
    "due",
    "deadline",
    "keep_ms",
    "rev",
    "model",
    "op",
    "updated",
];

/// A field that makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("the field `{field}` of a record reads `{text}`; was it written by another program?")]
pub(super) struct Unreadable {
    field: &'static str,
    text: String,
}

/// All fields of a new record.
pub(super) fn of_new(task: &NewTask, step: &Step, updated: Timestamp) -> Pairs {
    let Standing { priority, retry, keep_for, .. } = step.to;
    let request = &task.request;
    let mut pairs = vec![
        ("task_id", text(&task.id)),
        ("model", text(&task.model)),
        ("payload", request.body.clone()),
        ("tenant", text(&task.tenant)),
        ("class", text(&Place::Ready(priority).code())),
        ("attempts_max", text(&retry.attempts_max)),
        ("backoff_ms", millis(retry.backoff.base)),
        ("backoff_ms_max", millis(retry.backoff.max)),
        ("keep_ms", millis(keep_for)),
        ("route", optional(request.route.as_ref())),
        ("content_type", optional(request.content_type.as_ref())),
        ("headers", headers_text(&request.headers)),
        ("key", optional(task.idempotency.as_ref().map(|given| &given.key))),
        ("webhook", task.webhook.as_ref().map_or_else(Bytes::new, |webhook| text(&json!(webhook)))),
        ("created", text(&task.created.millis())),
        ("progress", Bytes::new()),
    ];
    pairs.extend(of_step(step, updated));
    pairs
}

/// The fields that a step changes.
pub(super) fn of_step(step: &Step, now: Timestamp) -> Pairs {
    let Standing { place, attempt, failures, owner, due, deadline, .. } = step.to;
    let mut pairs = vec![
        ("place", text(&place.code())),
        ("attempt", text(&attempt)),
        ("failures", text(&failures)),
        ("owner", text(&owner.0)),
        ("due", moment(due)),
        ("deadline", moment(deadline)),
        ("updated", text(&now.millis())),
        ("status", Bytes::from_static(step.to.state().status().as_bytes())),
        ("ts", seconds(now)),
    ];
    if let Some(error) = &step.error {
        pairs.push(("error_code", Bytes::from_static(error.code.slug().as_bytes())));
        pairs.push(("error_detail", text(&error.detail)));
    }
    // The seed's word for how it went. An answer comes with its outcome.
    if place != Place::Completed {
        let failed = step.error.as_ref().filter(|_| step.to.state().is_terminal());
        let result = failed.map(|error| json!({ "error": error.detail }).to_string());
        pairs.push(("result", result.map_or_else(Bytes::new, Bytes::from)));
    }
    pairs
}

/// The fields of an answer.
pub(super) fn of_outcome(outcome: Option<&Outcome>) -> Pairs {
    let Some(Outcome::Completed(StoredAnswer { content_type, body })) = outcome else {
        return Pairs::new();
    };
    vec![("result", body.clone()), ("answer_type", optional(content_type.as_ref()))]
}

/// A moment as the seed writes it: seconds.
pub(super) fn seconds(at: Timestamp) -> Bytes {
    text(&format_args!("{}.{:03}", at.millis() / 1000, at.millis() % 1000))
}

/// The whole record; `None` if the hash is not one of ours.
pub(super) fn record(hash: &Hash) -> Result<Option<TaskRecord>, Unreadable> {
    if !hash.contains_key("place") {
        return Ok(None);
    }
    let standing = standing(hash)?;
    let completed = standing.place == Place::Completed;
    let answer =
        StoredAnswer { content_type: some(hash, "answer_type"), body: raw(hash, "result") };
    Ok(Some(TaskRecord {
        id: parsed(hash, "task_id")?,
        model: parsed(hash, "model")?,
        tenant: parsed(hash, "tenant")?,
        request: StoredRequest {
            route: some(hash, "route"),
            content_type: some(hash, "content_type"),
            headers: headers(hash)?,
            body: raw(hash, "payload"),
        },
        idempotency_key: some(hash, "key"),
        standing,
        answer: completed.then_some(answer),
        error: if completed { None } else { error(hash) },
        webhook: webhook(hash)?,
        progress: optional_number(hash, "progress")?,
        created: timestamp(parsed(hash, "created")?),
        updated: timestamp(parsed(hash, "updated")?),
    }))
}

/// What decides about the next step.
pub(super) fn standing(hash: &Hash) -> Result<Standing, Unreadable> {
    let duration = |field| parsed(hash, field).map(Duration::from_millis);
    let backoff = Backoff { base: duration("backoff_ms")?, max: duration("backoff_ms_max")? };
    let Place::Ready(priority) = place(hash, "class")? else {
        return Err(unreadable(hash, "class"));
    };
    Ok(Standing {
        place: place(hash, "place")?,
        priority,
        attempt: parsed(hash, "attempt")?,
        failures: parsed(hash, "failures")?,
        retry: TaskPolicy { attempts_max: parsed(hash, "attempts_max")?, backoff },
        owner: Owner(parsed(hash, "owner")?),
        due: optional_number(hash, "due")?.map(timestamp),
        deadline: optional_number(hash, "deadline")?.map(timestamp),
        keep_for: duration("keep_ms")?,
    })
}

/// A field that was checked when it was written.
pub(super) fn parsed<T: FromStr>(hash: &Hash, field: &'static str) -> Result<T, Unreadable> {
    word(hash, field).parse().map_err(|_| unreadable(hash, field))
}

fn optional_number<T: FromStr>(hash: &Hash, field: &'static str) -> Result<Option<T>, Unreadable> {
    if word(hash, field).is_empty() { Ok(None) } else { parsed(hash, field).map(Some) }
}

fn place(hash: &Hash, field: &'static str) -> Result<Place, Unreadable> {
    Place::from_code(parsed(hash, field)?).ok_or_else(|| unreadable(hash, field))
}

fn headers(hash: &Hash) -> Result<Vec<(String, String)>, Unreadable> {
    match hash.get("headers").filter(|text| !text.is_empty()) {
        None => Ok(Vec::new()),
        Some(text) => serde_json::from_slice(text).map_err(|_| unreadable(hash, "headers")),
    }
}

fn webhook(hash: &Hash) -> Result<Option<Webhook>, Unreadable> {
    let text = hash.get("webhook").filter(|text| !text.is_empty());
    let read = |text: &Bytes| serde_json::from_slice(text);
    text.map(read).transpose().map_err(|_| unreadable(hash, "webhook"))
}

fn error(hash: &Hash) -> Option<TaskError> {
    let slug = some(hash, "error_code")?;
    // A later version may have known more codes.
    let code = ErrorCode::from_slug(&slug).unwrap_or(ErrorCode::InternalError);
    Some(TaskError { code, detail: some(hash, "error_detail").unwrap_or_default() })
}

fn raw(hash: &Hash, field: &str) -> Bytes {
    hash.get(field).cloned().unwrap_or_default()
}

pub(super) fn word<'a>(hash: &'a Hash, field: &str) -> &'a str {
    hash.get(field).and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default()
}

fn some(hash: &Hash, field: &str) -> Option<String> {
    Some(word(hash, field)).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn unreadable(hash: &Hash, field: &'static str) -> Unreadable {
    Unreadable { field, text: word(hash, field).chars().take(64).collect() }
}

fn headers_text(headers: &[(String, String)]) -> Bytes {
    if headers.is_empty() { Bytes::new() } else { text(&json!(headers)) }
}

fn text(value: &(impl ToString + ?Sized)) -> Bytes {
    value.to_string().into()
}

fn optional(value: Option<&String>) -> Bytes {
    value.map_or_else(Bytes::new, text)
}

fn moment(at: Option<Timestamp>) -> Bytes {
    at.map_or_else(Bytes::new, |at| text(&at.millis()))
}

fn millis(duration: Duration) -> Bytes {
    text(&u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

pub(super) fn timestamp(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}
