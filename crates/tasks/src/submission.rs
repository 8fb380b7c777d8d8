//! What is asked becomes a record.

use std::time::Duration;

use api::headers;
use bytes::Bytes;
use store::{Idempotency, NewTask, StoredRequest, Webhook};
use types::{ModelName, ModelSpec, Priority, TaskId, Tenant};
use uuid::Uuid;

use crate::{TaskSettings, clock};

/// A task as a client submits it.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The model to call.
    pub model: ModelName,
    /// Whose work it is.
    pub tenant: Tenant,
    /// The class it waits in.
    pub priority: Priority,
    /// Path and query of the route, with its leading slash; `None` for the default route.
    pub route: Option<String>,
    /// The body, sent on verbatim.
    pub payload: Bytes,
    /// Media type of the body.
    pub content_type: Option<String>,
    /// Makes the submission repeatable.
    pub idempotency_key: Option<String>,
    /// Worthless after this long, waiting included.
    pub deadline: Option<Duration>,
    /// Not to be begun before this long.
    pub start_after: Option<Duration>,
    /// Who is told when it ends; `None` for the one that the model is configured with.
    pub webhook: Option<Webhook>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// Ties log lines together; empty for none.
    pub request_id: String,
}

impl Submission {
    /// The record to be written.
    pub(crate) fn into_task(self, spec: &ModelSpec, settings: &TaskSettings) -> NewTask {
        let created = clock::now();
        let request = StoredRequest {
            route: self.route,
            content_type: self.content_type,
            headers: forwarded(self.traceparent, self.request_id),
            body: self.payload,
        };
        NewTask {
            id: TaskId::new(Uuid::now_v7()),
            model: self.model,
            tenant: self.tenant,
            priority: self.priority,
            idempotency: self.idempotency_key.map(|key| Idempotency::new(key, &request)),
            request,
            webhook: self.webhook.or_else(|| default_webhook(spec)),
            retry: (&spec.retry).into(),
            not_before: self.start_after.map(|wait| created.after(wait)),
            deadline: self.deadline.map(|time| created.after(time)),
            keep_for: settings.keep_for,
            queued_max: settings.queued_max,
            created,
        }
    }
}

fn default_webhook(spec: &ModelSpec) -> Option<Webhook> {
    let url = spec.webhook_url.clone()?;
    Some(Webhook { url, events: spec.webhook_events.clone() })
}

fn forwarded(traceparent: Option<String>, request_id: String) -> Vec<(String, String)> {
    let request_id = Some(request_id).filter(|id| !id.is_empty());
    [(headers::TRACEPARENT, traceparent), (headers::REQUEST_ID, request_id)]
        .into_iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value?)))
        .collect()
}
