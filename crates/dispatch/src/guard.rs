//! A call on its way: what must happen whenever and however it ends.

use std::sync::Arc;

use fleet::{Fleet, Manner};
use telemetry::metrics::{Held, ModelMetrics, Outcome};
use tokio::time::Instant;
use types::CallId;

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
    started: Instant,
    metrics: Arc<ModelMetrics>,
    outcome: Option<Outcome>,
    _counted: Held,
}

impl InFlight {
    pub(crate) fn new(permit: Permit, fleet: Fleet, call_id: CallId, timeout_at: Instant) -> Self {
        let metrics = permit.lane().metrics.clone();
        Self {
            _counted: metrics.in_flight.hold(),
            permit: Some(permit),
            fleet,
            call_id,
            timeout_at,
            started: Instant::now(),
            metrics,
            outcome: None,
        }
    }

    /// When its time is up.
    pub(crate) const fn timeout_at(&self) -> Instant {
        self.timeout_at
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
        let outcome = self.outcome.unwrap_or(Outcome::Cancelled);
        self.metrics.call_ended(outcome, self.started.elapsed());
        if permit.replica().manner == Manner::Registered {
            let worker = permit.replica().id;
            self.fleet.linger(worker, self.call_id, self.timeout_at.into_std(), Box::new(permit));
        }
    }
}
