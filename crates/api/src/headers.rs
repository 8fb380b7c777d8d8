//! Header names of the worker contract and of the native routes.

use http::{HeaderMap, HeaderName};

/// Ties the log lines of one request together; echoed in every answer.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The id under which the call's record can be read at `/tasks/{id}`.
pub const TASK_ID: HeaderName = HeaderName::from_static("x-task-id");
/// One attempt on one replica; the worker's heartbeats and reports name calls by it.
pub const CALL_ID: HeaderName = HeaderName::from_static("x-call-id");
/// Time left for the call, in milliseconds.
pub const DEADLINE_MS: HeaderName = HeaderName::from_static("x-deadline-ms");
/// Whose call it is.
pub const TENANT: HeaderName = HeaderName::from_static("x-tenant");
/// `low`, `normal` or `high`.
pub const PRIORITY: HeaderName = HeaderName::from_static("x-priority");
/// Attempt of a durable task, from 1; the fence of its result.
pub const ATTEMPT: HeaderName = HeaderName::from_static("x-attempt");
/// Makes a submission repeatable; given to the handler too.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// On a 503 of a worker: the call was not begun and may go to another replica.
pub const NOT_BEGUN: HeaderName = HeaderName::from_static("x-not-begun");
/// On an error of a worker: the slug of the error table.
pub const ERROR_CODE: HeaderName = HeaderName::from_static("x-error-code");
/// Who is told when a task ends.
pub const WEBHOOK_URL: HeaderName = HeaderName::from_static("x-webhook-url");
/// What the webhook is told of, with commas between; without it, all ends.
pub const WEBHOOK_EVENTS: HeaderName = HeaderName::from_static("x-webhook-events");
/// W3C trace context.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Removes the headers that are not wanted. Each header that is there is asked about once, because
/// a message has fewer headers than there are names that it must not have.
pub fn remove_where(headers: &mut HeaderMap, is_unwanted: impl Fn(&HeaderName) -> bool) {
    let unwanted: Vec<_> = headers.keys().filter(|&name| is_unwanted(name)).cloned().collect();
    for name in unwanted {
        headers.remove(name);
    }
}
