//! Records of synchronous calls: bounded, in memory, and readable like tasks.
//!
//! They are on the road of every call, so beginning and ending one is a short lock each.

mod ring;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use api::task::TaskView;
use bytes::Bytes;
use http::StatusCode;
use parking_lot::Mutex;
use policy::{backoff::Backoff, task::TaskPolicy};
use store::{EndedTask, NewTask, Outcome, StoredAnswer, StoredRequest, TaskError};
use tokio::sync::mpsc;
use types::{ErrorCode, Fault, ModelName, Priority, TaskId, Tenant, Timestamp};

use self::ring::{Call, Ended, Ring};
use crate::{
    RecentSettings, clock,
    hub::Hub,
    service::{Service, report},
    verdict,
};

/// Ended calls that may wait to be written; beyond, they are only remembered.
const KEEPING_MAX: usize = 1024;

/// Up to this size a body is copied. A body that came over a socket may hold on to the whole
/// buffer into which it was read; copying a small one is cheaper than keeping that.
const COPY_BYTES_MAX: usize = 16 << 10;

/// The recent synchronous calls. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recent {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: RecentSettings,
    /// How long stored calls are kept.
    keep_for: Duration,
    ring: Mutex<Ring>,
    hub: Hub,
    keeping: Option<Keeping>,
}

/// The way of ended calls to the store.
#[derive(Debug)]
struct Keeping {
    ended: mpsc::Sender<EndedTask>,
    // Taken by the loop that writes them.
    waiting: Mutex<Option<mpsc::Receiver<EndedTask>>>,
}

impl Recent {
    pub(crate) fn new(settings: RecentSettings, keep_for: Duration, hub: Hub) -> Self {
        let keeping = settings.stored.then(|| {
            let (ended, waiting) = mpsc::channel(KEEPING_MAX);
            Keeping { ended, waiting: Mutex::new(Some(waiting)) }
        });
        let ring = Mutex::new(Ring::new(&settings));
        Self { shared: Arc::new(Shared { settings, keep_for, ring, hub, keeping }) }
    }

    /// Notes that a call runs, until what is returned says how it ended.
    pub fn begin(&self, id: TaskId, model: &ModelName, payload: &Bytes) -> Record {
        if self.shared.settings.calls_max > 0 {
            let call = Call::new(model.clone(), kept(payload.clone()), clock::now());
            self.shared.ring.lock().begin(id, call);
        }
        Record { recent: self.clone(), id, ended: AtomicBool::new(false) }
    }

    /// A call that is remembered.
    pub(crate) fn view(&self, id: TaskId) -> Option<TaskView> {
        let call = self.shared.ring.lock().find(id, clock::now())?.clone();
        // Outside of the lock: it parses the payload.
        Some(call.view(id))
    }

    /// Notes how far a call is, if it is one of ours.
    pub(crate) fn report(&self, id: TaskId, fraction: Option<f64>) -> Option<TaskId> {
        self.shared.ring.lock().progress(id, fraction).then_some(id)
    }

    fn end(&self, id: TaskId, how: Ended) {
        let ended = self.shared.ring.lock().end(id, how, clock::now());
        let Some(call) = ended else { return };
        if let Some(keeping) = &self.shared.keeping {
            let record = stored(id, &call, self.shared.keep_for);
            if keeping.ended.try_send(record).is_err() {
                tracing::warn!(%id, "a call could not be recorded: the store is behind");
            }
        }
        self.shared.hub.changed(id);
    }
}

/// The record of one call. Dropped without a word, the call counts as cancelled: its client left.
#[derive(Debug)]
pub struct Record {
    recent: Recent,
    id: TaskId,
    ended: AtomicBool,
}

impl Record {
    /// It answered; `result` is the JSON, where there is one that is worth keeping.
    pub fn completed(self, result: Option<Bytes>) {
        self.end(Ended::Completed(result.and_then(kept)));
    }

    /// It gave no answer.
    pub fn failed(&self, fault: &Fault) {
        self.end(Ended::Failed(TaskError::new(fault.code, fault.detail.clone())));
    }

    /// It answered with an error.
    pub fn refused(&self, status: StatusCode, body: &Bytes) {
        self.end(Ended::Failed(verdict::error_of(status, None, body)));
    }

    fn end(&self, how: Ended) {
        if !self.ended.swap(true, Ordering::Relaxed) {
            self.recent.end(self.id, how);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.end(Ended::Cancelled);
    }
}

/// Writes ended calls to the store, if so configured, until the service stops.
pub(crate) async fn keep(service: Arc<Service>) {
    let keeping = service.recent.shared.keeping.as_ref();
    let Some(mut waiting) = keeping.and_then(|keeping| keeping.waiting.lock().take()) else {
        return;
    };
    loop {
        let ended = tokio::select! {
            biased;
            ended = waiting.recv() => ended,
            () = service.stop.cancelled() => return,
        };
        let Some(ended) = ended else { return };
        if let Err(error) = service.store.keep(ended).await {
            report(&error, "a call could not be recorded");
        }
    }
}

/// What is kept of a body.
fn kept(body: Bytes) -> Option<Bytes> {
    match body.len() {
        0 => None,
        1..=COPY_BYTES_MAX => Some(Bytes::copy_from_slice(&body)),
        _ => Some(body),
    }
}

fn stored(id: TaskId, call: &Call, keep_for: Duration) -> EndedTask {
    let no_wait = Backoff { base: Duration::ZERO, max: Duration::ZERO };
    let body = call.payload.clone().unwrap_or_default();
    let outcome = match (&call.error, &call.result) {
        (Some(error), _) => Outcome::Failed(error.clone()),
        (None, result) => Outcome::Completed(StoredAnswer {
            content_type: None,
            body: result.clone().unwrap_or_default(),
        }),
    };
    let task = NewTask {
        id,
        model: call.model.clone(),
        tenant: Tenant::default(),
        priority: Priority::default(),
        request: StoredRequest { body, ..StoredRequest::default() },
        idempotency: None,
        webhook: None,
        retry: TaskPolicy { attempts_max: 1, backoff: no_wait },
        not_before: None,
        deadline: None,
        keep_for,
        queued_max: u64::MAX,
        created: call.created,
    };
    EndedTask { task, outcome, ended: call.updated }
}

fn cancelled() -> TaskError {
    TaskError::new(ErrorCode::TaskCancelled, "the client left before the answer")
}

/// Whether something that began at `since` is older than `age`.
fn is_older(since: Timestamp, age: Duration, now: Timestamp) -> bool {
    now.since(since) > age
}
