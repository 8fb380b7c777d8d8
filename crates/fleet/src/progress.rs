//! The end of a call's silence: how the fleet tells that a call has shown no progress for too long.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::sync::oneshot;
use types::{CallId, WorkerId};

use crate::Fleet;

/// Told once, with the time that its model may be silent at most.
pub(crate) type Stop = oneshot::Sender<Duration>;

/// Listens on behalf of a call whose model demands progress; made by [`Fleet::watch_progress`].
/// Dropped, nobody watches the call any more.
pub struct ProgressWatch {
    fleet: Fleet,
    worker: WorkerId,
    call: CallId,
    /// Taken when it has spoken, or will not speak any more.
    told: Option<oneshot::Receiver<Duration>>,
}

impl ProgressWatch {
    pub(crate) fn new(fleet: Fleet, worker: WorkerId, call: CallId) -> (Self, Stop) {
        let (stop, told) = oneshot::channel();
        (Self { fleet, worker, call, told: Some(told) }, stop)
    }

    /// Ready once, when a heartbeat has shown that the call must be stopped: with the time for
    /// which it may show no progress.
    pub fn poll_silent(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        let Some(told) = &mut self.told else { return Poll::Pending };
        let told = std::task::ready!(Pin::new(told).poll(cx));
        self.told = None;
        // Its worker is gone; whoever waits for the answer learns it from there.
        told.map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for ProgressWatch {
    fn drop(&mut self) {
        self.fleet.unwatch_progress(self.worker, self.call);
    }
}

impl fmt::Debug for ProgressWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProgressWatch").field(&self.call).finish()
    }
}
