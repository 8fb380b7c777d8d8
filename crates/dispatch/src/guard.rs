//! A call on its way: what must happen whenever and however it ends.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use api::{Body, Sent};
use fleet::{Fleet, Manner, ProgressWatch};
use http::Request;
use telemetry::metrics::{Held, ModelMetrics, Outcome};
use tokio::time::Instant;
use types::{CallId, ErrorCode, Fault};

use crate::Permit;

/// Holds the place of a running call, and counts it.
///
/// Ended properly, the place is free at once. Dropped before, the caller has left: the code may
/// still run, so the place is kept until the worker says that it ended.
#[derive(Debug)]
pub struct InFlight {
    permit: Option<Permit>,
    fleet: Fleet,
    call_id: CallId,
    timeout_at: Instant,
    sent: Sent,
    started: Instant,
    metrics: Arc<ModelMetrics>,
    outcome: Option<Outcome>,
    /// Another attempt follows, which is counted in its place.
    is_repeated: bool,
    /// Only for models that demand progress.
    progress: Option<ProgressWatch>,
    _counted: Held,
}

impl InFlight {
    pub(crate) fn new(permit: Permit, fleet: Fleet, call_id: CallId, timeout_at: Instant) -> Self {
        let metrics = permit.lane().metrics.clone();
        let demands_progress = permit.lane().spec().progress_timeout().is_some()
            && permit.replica().manner == Manner::Registered;
        let progress = demands_progress.then(|| fleet.watch_progress(permit.replica().id, call_id));
        Self {
            _counted: metrics.in_flight.hold(),
            permit: Some(permit),
            fleet,
            call_id,
            timeout_at,
            sent: Sent::default(),
            started: Instant::now(),
            metrics,
            outcome: None,
            is_repeated: false,
            progress,
        }
    }

    /// The same request, which will tell when it leaves for its worker.
    pub(crate) fn marks(&self, mut request: Request<Body>) -> Request<Body> {
        request.extensions_mut().insert(self.sent.clone());
        request
    }

    /// When its time is up.
    pub(crate) const fn timeout_at(&self) -> Instant {
        self.timeout_at
    }

    /// Waits until it must be stopped for having shown no progress: for ever, if its model demands
    /// none.
    pub(crate) async fn silent(&mut self) -> Fault {
        poll_fn(|cx| self.poll_silent(cx)).await
    }

    /// As [`Self::silent`].
    pub(crate) fn poll_silent(&mut self, cx: &mut Context<'_>) -> Poll<Fault> {
        let Some(progress) = &mut self.progress else { return Poll::Pending };
        progress.poll_silent(cx).map(no_progress)
    }

    /// It became a conversation, in which silence is no sign of a stall.
    pub(crate) fn converses(&mut self) {
        self.progress = None;
    }

    /// The head of the answer is there.
    pub(crate) fn answered(&self) {
        self.metrics.first_byte.observe(self.started.elapsed());
    }

    /// It ended, and nothing of it runs any more.
    pub fn ended(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
        self.permit = None;
    }

    /// It was given up with this outcome; its code may still run.
    pub(crate) fn given_up(mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
    }

    /// It was given up and is tried again elsewhere; its code may still run.
    pub(crate) fn repeated(mut self) {
        self.is_repeated = true;
    }

    /// It was not begun, so it does not count.
    pub(crate) fn not_begun(mut self) {
        self.permit = None;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else {
            if let Some(outcome) = self.outcome {
                self.metrics.call_ended(outcome, self.started.elapsed());
            }
            return;
        };
        if !self.is_repeated {
            let outcome = self.outcome.unwrap_or(Outcome::Cancelled);
            self.metrics.call_ended(outcome, self.started.elapsed());
        }
        // What never left runs nowhere, and nobody would report its end.
        if permit.replica().manner == Manner::Registered && self.sent.is_marked() {
            let worker = permit.replica().id;
            self.fleet.linger(worker, self.call_id, self.timeout_at.into_std(), Box::new(permit));
        }
    }
}

fn no_progress(silence_max: Duration) -> Fault {
    let detail = format!("no progress for {} s; the call was stopped", silence_max.as_secs_f64());
    Fault::new(ErrorCode::DeadlineExceeded, detail)
}
