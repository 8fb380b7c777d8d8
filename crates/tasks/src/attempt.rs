//! One attempt: one call of the model, under a lease.

use std::{future::pending, sync::Arc, time::Duration};

use api::{Body, broken_off, headers, task::TaskState};
use bytes::Bytes;
use dispatch::{Call, Permit, Prefix, Route};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use store::{Fence, Finished, Lease, Outcome, TaskError, TaskRecord};
use tokio::time::{Instant, sleep};
use types::{CallId, ErrorCode, Fault};
use uuid::Uuid;

use crate::{
    clock,
    lanes::Lane,
    live::Entered,
    service::{STORE_WAIT, Service, report},
    verdict::{self, Answer},
    webhooks::{Receiver, tell_progress},
};

/// Between two writes of progress: fluent for a person, and little work for the store.
const SHOW_WAIT: Duration = Duration::from_millis(200);

/// A claimed task that is about to be called.
pub(crate) struct Attempt {
    service: Arc<Service>,
    lane: Arc<Lane>,
    record: TaskRecord,
    fence: Fence,
    call_id: CallId,
}

/// Who is called, and the place that the call takes.
pub(crate) enum Callee {
    /// A model, by way of `dispatch`.
    Model(Permit),
    /// Whoever is told of the end of a task.
    Receiver(Box<Receiver>),
}

impl Attempt {
    pub(crate) fn new(service: Arc<Service>, lane: Arc<Lane>, record: TaskRecord) -> Self {
        let (id, standing) = (record.id, record.standing);
        let fence = Fence { id, owner: standing.owner, attempt: standing.attempt };
        Self { service, lane, record, fence, call_id: CallId::new(Uuid::now_v7()) }
    }

    /// Calls the model and writes how it ended. Ends early, and drops the call, when the task was
    /// cancelled or its lease was lost: then somebody else has decided about it.
    pub(crate) async fn run(self, to: Callee) {
        let entered = self.service.live.enter(self.fence, self.call_id);
        self.entered(TaskState::Running);
        let outcome = tokio::select! {
            biased;
            () = entered.stopped() => None,
            outcome = self.call(to) => Some(outcome),
            () = self.keep_lease() => None,
            () = self.show_progress(&entered) => None,
            () = tell_progress(&self.service, &self.record, entered.reported()) => None,
            () = self.service.put_back.cancelled() => Some(self.not_finished()),
        };
        let Some(outcome) = outcome else { return };
        tokio::select! {
            () = self.settle(&entered, outcome) => {}
            // An end that was just written looks like a lost lease too: whether it was taken is
            // for `settle` to hear.
            () = async { self.keep_lease().await; pending::<()>().await } => {}
        }
    }

    /// Tells that the task entered a state.
    fn entered(&self, state: TaskState) {
        self.lane.metrics.task_entered(state);
        if state.is_terminal() && self.record.webhook.is_some() {
            self.service.ended.notify_one();
        }
        if state == TaskState::Queued {
            let priority = self.record.standing.priority;
            self.service.queued_again(self.fence.id, &self.lane, priority);
        } else {
            self.service.hub.changed(self.fence.id);
        }
    }

    async fn call(&self, to: Callee) -> Outcome {
        match to {
            Callee::Model(permit) => self.call_model(permit).await,
            Callee::Receiver(receiver) => receiver.call(&self.record).await,
        }
    }

    async fn call_model(&self, permit: Permit) -> Outcome {
        let answer = match self.request() {
            Ok(call) => self.service.dispatcher.call_with(permit, call).await,
            Err(fault) => Err(fault),
        };
        let answer = match answer {
            Ok(response) => collect(response, self.service.settings.answer_bytes_max).await,
            Err(fault) => Err(fault),
        };
        let outcome = match answer {
            Ok(answer) => verdict::of_answer(answer),
            Err(fault) => verdict::of_fault(&fault, clock::now()),
        };
        match self.service.dispatcher.spec(&self.record.model) {
            Some(spec) => verdict::as_configured(outcome, &spec.retry),
            None => outcome,
        }
    }

    fn request(&self) -> Result<Call, Fault> {
        let stored = &self.record.request;
        let mut request = Request::new(Body::full(stored.body.clone()));
        *request.method_mut() = http::Method::POST;
        *request.headers_mut() = self.headers();
        let route = match &stored.route {
            None => Route::Default,
            Some(path) => Route::Path(path.parse().map_err(|error: http::uri::InvalidUri| {
                let detail = format!("the route `{path}` is not a path");
                Fault::new(ErrorCode::RouteNotFound, detail).caused_by(error)
            })?),
        };
        let left = |deadline: types::Timestamp| Instant::now() + deadline.since(clock::now());
        Ok(Call {
            call_id: self.call_id,
            model: self.record.model.clone(),
            route,
            tenant: self.record.tenant.clone(),
            priority: self.record.standing.priority,
            deadline: self.record.standing.deadline.map(left),
            prefix: Prefix::default(),
            request,
        })
    }

    fn headers(&self) -> HeaderMap {
        let mut sent = HeaderMap::new();
        let mut set = |name: HeaderName, value: &str| {
            // All came as headers or are ids, so none is refused here.
            if let Ok(value) = HeaderValue::from_str(value) {
                sent.insert(name, value);
            }
        };
        let stored = &self.record.request;
        for (name, value) in &stored.headers {
            if let Ok(name) = name.parse() {
                set(name, value);
            }
        }
        if let Some(content_type) = &stored.content_type {
            set(header::CONTENT_TYPE, content_type);
        }
        let id = self.fence.id.to_string();
        set(headers::IDEMPOTENCY_KEY, self.record.idempotency_key.as_deref().unwrap_or(&id));
        set(headers::TASK_ID, &id);
        set(headers::ATTEMPT, &self.fence.attempt.to_string());
        sent
    }

    /// Renews the lease until it is lost.
    async fn keep_lease(&self) {
        let lease = self.service.settings.lease;
        loop {
            sleep(lease / 3).await;
            let now = clock::now();
            let progress = self.service.live.progress(self.fence.id);
            let progress = progress.and_then(|last| last.fraction);
            match self.service.store.renew(self.fence, now.after(lease), progress, now).await {
                Ok(Lease::Held) => {}
                Ok(Lease::Lost) => return,
                // There is time for two more tries before the lease ends.
                Err(error) => report(&error, "a lease cannot be renewed yet"),
            }
        }
    }

    /// Shows other servers how far it is, as often as they can make use of.
    async fn show_progress(&self, entered: &Entered) {
        if !self.service.store.is_shared() {
            return pending::<()>().await;
        }
        let mut reported = entered.reported();
        while reported.changed().await.is_ok() {
            let progress = reported.borrow_and_update().clone();
            if let Err(error) = self.service.store.show(self.fence, &progress).await {
                report(&error, "progress cannot be shown to other servers yet");
            }
            sleep(SHOW_WAIT).await;
        }
        // Another attempt has taken its place, and it will be stopped.
        pending::<()>().await;
    }

    /// Writes how it ended; `None` if that cannot be done yet.
    async fn finish(&self, outcome: Outcome) -> Option<Finished> {
        let Fence { id, attempt, .. } = self.fence;
        let kept = match self.service.results.keep(id, attempt, outcome).await {
            Ok(kept) => kept,
            Err(error) => {
                tracing::warn!(%error, "a large result cannot be written yet");
                return None;
            }
        };
        match self.service.store.finish(self.fence, kept, clock::now()).await {
            Ok(finished) => Some(finished),
            Err(error) => {
                report(&error, "the end of a task cannot be written yet");
                None
            }
        }
    }

    fn not_finished(&self) -> Outcome {
        let error = TaskError::new(ErrorCode::ServerDraining, "the server shut down meanwhile");
        Outcome::NotBegun { error, not_before: clock::now() }
    }

    /// Writes how it ended, as soon as the store takes it. An answer is not thrown away because
    /// the disk is full for a while; its lease is renewed meanwhile as far as that goes.
    async fn settle(&self, entered: &Entered, outcome: Outcome) {
        loop {
            match self.finish(outcome.clone()).await {
                Some(Finished::Applied(state)) => return self.entered(state),
                Some(Finished::Fenced) => {
                    let Fence { id, attempt, .. } = self.fence;
                    return tracing::debug!(%id, attempt, "the attempt ended after it was given up");
                }
                None => {}
            }
            tokio::select! {
                () = sleep(STORE_WAIT) => {}
                () = entered.stopped() => return,
                () = self.service.put_back.cancelled() => return,
            }
        }
    }
}

/// Reads a whole answer.
async fn collect(response: Response<Body>, bytes_max: usize) -> Result<Answer, Fault> {
    let (parts, body) = response.into_parts();
    let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let content_type = text(header::CONTENT_TYPE).map(str::to_owned);
    let error_code = text(headers::ERROR_CODE).and_then(ErrorCode::from_slug);
    let body = whole(body, bytes_max).await?;
    Ok(Answer { status: parts.status, content_type, error_code, body })
}

async fn whole(body: Body, bytes_max: usize) -> Result<Bytes, Fault> {
    match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let detail = format!("the answer is larger than the {bytes_max} bytes that are kept");
            // Another attempt would give the same; no code of the table says it better.
            Err(Fault::new(ErrorCode::BodyTooLarge, detail))
        }
        Err(error) => Err(broken_off(error)),
    }
}
