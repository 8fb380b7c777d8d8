//! The calls that a worker holds: how many, which of them have begun, and whether it takes more.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use api::worker::{Report, RunningCall};
use parking_lot::Mutex;
use slab::Slab;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use types::CallId;

use crate::{outbox::Outbox, running::Attendance};

/// Why a call was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It holds as many calls as it can.
    Full,
    /// It takes nothing new.
    Draining,
}

/// A call whose code runs.
struct Begun {
    call_id: CallId,
    since: Instant,
    progressed: Instant,
}

/// Counts the calls from their arrival until the last [`Running`](crate::Running) of each is gone.
pub(crate) struct Ledger {
    capacity: u32,
    held: AtomicU32,
    begun: Mutex<Slab<Begun>>,
    drain: CancellationToken,
    emptied: Notify,
    /// `None` for a worker without a gateway, which has nobody to report to.
    outbox: Option<Outbox>,
}

impl Ledger {
    pub(crate) fn new(capacity: u32, outbox: Option<Outbox>) -> Arc<Self> {
        Arc::new(Self {
            capacity,
            held: AtomicU32::new(0),
            begun: Mutex::new(Slab::new()),
            drain: CancellationToken::new(),
            emptied: Notify::new(),
            outbox,
        })
    }

    /// Takes a place for a call, or says why there is none.
    pub(crate) fn admit(self: &Arc<Self>, call_id: CallId) -> Result<Attendance, Refusal> {
        let held = self.held.fetch_add(1, SeqCst);
        // Looked at after the place was taken: a drain that comes now waits for this call.
        let refusal = match () {
            () if self.drain.is_cancelled() => Refusal::Draining,
            () if held >= self.capacity => Refusal::Full,
            () => return Ok(Attendance::new(Arc::clone(self), call_id)),
        };
        self.leave();
        Err(refusal)
    }

    /// Gives the place of a call back.
    pub(crate) fn leave(&self) {
        if self.held.fetch_sub(1, SeqCst) == 1 && self.drain.is_cancelled() {
            self.emptied.notify_waiters();
        }
    }

    /// Lists a call whose code starts; returns its key.
    pub(crate) fn begin(&self, call_id: CallId) -> usize {
        let now = Instant::now();
        self.begun.lock().insert(Begun { call_id, since: now, progressed: now })
    }

    pub(crate) fn progressed(&self, key: usize) {
        if let Some(begun) = self.begun.lock().get_mut(key) {
            begun.progressed = Instant::now();
        }
    }

    pub(crate) fn end(&self, key: usize) {
        let _ = self.begun.lock().try_remove(key);
    }

    /// Every call whose code runs at `now`, for a heartbeat.
    pub(crate) fn running(&self, now: Instant) -> Vec<RunningCall> {
        let age = |since: Instant| millis(now.saturating_duration_since(since));
        let begun = self.begun.lock();
        let running = begun.iter().map(|(_, begun)| RunningCall {
            call_id: begun.call_id,
            age_ms: age(begun.since),
            idle_ms: age(begun.progressed),
        });
        running.collect()
    }

    pub(crate) fn report(&self, report: Report) {
        if let Some(outbox) = &self.outbox {
            outbox.push(report);
        }
    }

    pub(crate) fn outbox(&self) -> Option<&Outbox> {
        self.outbox.as_ref()
    }

    /// Takes nothing new from here on.
    pub(crate) fn drain(&self) {
        self.drain.cancel();
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Waits for the drain to begin.
    pub(crate) async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// Waits until a draining worker holds no call.
    pub(crate) async fn emptied(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.held.load(SeqCst) == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// Calls held now, waiting ones included.
    pub(crate) fn held(&self) -> u32 {
        self.held.load(SeqCst)
    }
}

/// Watches how many calls a worker holds. Cheap to clone.
#[derive(Clone)]
pub struct Load(Arc<Ledger>);

impl Load {
    pub(crate) fn new(ledger: &Arc<Ledger>) -> Self {
        Self(Arc::clone(ledger))
    }

    /// Calls held now, waiting ones included.
    pub fn calls_held(&self) -> u32 {
        self.0.held()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
