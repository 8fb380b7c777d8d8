//! Records as the fields of a hash, and back.
//!
//! The seed's fields keep their names and meaning (`task_id`, `model`, `payload`, `status`, `ts`,
//! `result`); ours stand beside them. Absent values are empty texts, or fields that are not there.

use std::{collections::HashMap, str::FromStr, time::Duration};

use bytes::Bytes;
use policy::{backoff::Backoff, task::TaskPolicy};
use serde_json::json;
use types::{ErrorCode, Priority, Timestamp};

use crate::{
    NewTask, Outcome, Owner, Place, Progress, Standing, StoredAnswer, StoredRequest, TaskError,
    TaskRecord, Webhook, standing::Step,
};

/// A hash as it is read.
pub(super) type Hash = HashMap<String, Bytes>;

/// Fields as they are written, in pairs.
pub(super) type Pairs = Vec<(&'static str, Bytes)>;

/// What [`standing`] reads, and what names the record for a step.
pub(super) const STANDING: [&str; 11] = [
    "place", "attempt", "failures", "policy", "owner", "due", "deadline", "rev", "model", "op",
    "updated",
];

/// A field that makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("the field `{field}` of a record reads `{text}`; was it written by another program?")]
pub(super) struct Unreadable {
    field: &'static str,
    text: String,
}

/// All fields of a new record that are not empty: each costs Redis time.
pub(super) fn of_new(task: &NewTask, step: &Step, updated: Timestamp) -> Pairs {
    let request = &task.request;
    let mut pairs = vec![
        ("task_id", text(&task.id)),
        ("model", text(&task.model)),
        ("payload", request.body.clone()),
        ("tenant", text(&task.tenant)),
        ("policy", policy_text(&step.to)),
        ("route", optional(request.route.as_ref())),
        ("content_type", optional(request.content_type.as_ref())),
        ("headers", headers_text(&request.headers)),
        ("key", optional(task.idempotency.as_ref().map(|given| &given.key))),
        ("webhook", task.webhook.as_ref().map_or_else(Bytes::new, |webhook| text(&json!(webhook)))),
        ("created", text(&task.created.millis())),
    ];
    pairs.extend(of_step(step, None, updated));
    // The seed's own are always there.
    pairs.retain(|(name, value)| !value.is_empty() || matches!(*name, "payload" | "result"));
    pairs
}

/// The fields that a step changes; all of them where it is the first.
pub(super) fn of_step(step: &Step, before: Option<&Standing>, now: Timestamp) -> Pairs {
    let Standing { place, attempt, failures, owner, due, deadline, .. } = step.to;
    let changes =
        |was: fn(&Standing, &Standing) -> bool| before.is_none_or(|before| was(before, &step.to));
    let mut pairs = vec![
        ("place", text(&place.code())),
        ("due", moment(due)),
        ("updated", text(&now.millis())),
        ("status", Bytes::from_static(step.to.state().status().as_bytes())),
        ("ts", seconds(now)),
    ];
    if changes(|before, after| before.attempt != after.attempt) {
        pairs.push(("attempt", text(&attempt)));
    }
    if changes(|before, after| before.failures != after.failures) {
        pairs.push(("failures", text(&failures)));
    }
    if changes(|before, after| before.owner != after.owner) {
        pairs.push(("owner", text(&owner.0)));
    }
    if changes(|before, after| before.deadline != after.deadline) {
        pairs.push(("deadline", moment(deadline)));
    }
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
        progress: Progress {
            fraction: optional_number(hash, "progress")?,
            message: some(hash, "message"),
            partial: some(hash, "partial"),
        },
        created: timestamp(parsed(hash, "created")?),
        updated: timestamp(parsed(hash, "updated")?),
    }))
}

/// What decides about the next step.
pub(super) fn standing(hash: &Hash) -> Result<Standing, Unreadable> {
    let (priority, retry, keep_for) =
        policy(word(hash, "policy")).ok_or_else(|| unreadable(hash, "policy"))?;
    Ok(Standing {
        place: place(hash, "place")?,
        priority,
        attempt: parsed(hash, "attempt")?,
        failures: parsed(hash, "failures")?,
        retry,
        owner: Owner(parsed(hash, "owner")?),
        due: optional_number(hash, "due")?.map(timestamp),
        deadline: optional_number(hash, "deadline")?.map(timestamp),
        keep_for,
    })
}

/// What was laid down for a task when it was submitted, in one field: the place of its class, its
/// attempts, the shortest and the longest wait between them, and the time that its record is kept.
fn policy_text(standing: &Standing) -> Bytes {
    let Standing { priority, retry, keep_for, .. } = standing;
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let backoff = [retry.backoff.base, retry.backoff.max].map(millis);
    text(&format_args!(
        "{} {} {} {} {}",
        Place::Ready(*priority).code(),
        retry.attempts_max,
        backoff[0],
        backoff[1],
        millis(*keep_for),
    ))
}

fn policy(text: &str) -> Option<(Priority, TaskPolicy, Duration)> {
    let mut numbers = text.split(' ').map(str::parse::<u64>);
    let mut next = || numbers.next()?.ok();
    let Place::Ready(priority) = Place::from_code(i64::try_from(next()?).ok()?)? else {
        return None;
    };
    let attempts_max = u32::try_from(next()?).ok()?;
    let [base, max, keep_for] = [next()?, next()?, next()?].map(Duration::from_millis);
    Some((priority, TaskPolicy { attempts_max, backoff: Backoff { base, max } }, keep_for))
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

pub(super) fn timestamp(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}
