//! When the sweeper should look next.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;
use types::Timestamp;

/// Wakes the sweeper early when something is due before it planned to look.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    /// When the sweeper looks next, in milliseconds since the epoch.
    planned: AtomicU64,
    rung: Notify,
}

impl Alarm {
    /// Something is due at `at`.
    pub(crate) fn due(&self, at: Timestamp) {
        if at.millis() < self.planned.load(Ordering::SeqCst) {
            self.rung.notify_one();
        }
    }

    /// The sweeper is looking: from now on until [`Self::plan`], everything rings.
    pub(crate) fn look(&self) {
        self.planned.store(u64::MAX, Ordering::SeqCst);
    }

    /// The sweeper looks again at `at`.
    pub(crate) fn plan(&self, at: Timestamp) {
        self.planned.store(at.millis(), Ordering::SeqCst);
    }

    /// Until it rings; a ring that came before counts.
    pub(crate) async fn rung(&self) {
        self.rung.notified().await;
    }
}
