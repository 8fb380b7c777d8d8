//! The runners of all models, seen from those who have work for them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use parking_lot::RwLock;
use telemetry::metrics::ModelMetrics;
use tokio::sync::Notify;
use types::{ModelName, Priority};

/// What others know of the runner of one model.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) model: ModelName,
    pub(crate) bell: Bell,
    pub(crate) metrics: Arc<ModelMetrics>,
}

/// All lanes. One is opened with the first task of its model and stays.
#[derive(Debug, Default)]
pub(crate) struct Lanes(RwLock<BTreeMap<ModelName, Arc<Lane>>>);

impl Lanes {
    pub(crate) fn get(&self, model: &ModelName) -> Option<Arc<Lane>> {
        self.0.read().get(model).cloned()
    }

    /// Wakes every runner.
    pub(crate) fn ring_all(&self) {
        for lane in self.0.read().values() {
            lane.bell.ring(Priority::High);
        }
    }

    /// Opens a lane; `None` if somebody else was quicker.
    pub(crate) fn open(&self, model: &ModelName, metrics: Arc<ModelMetrics>) -> Option<Arc<Lane>> {
        let lane = Arc::new(Lane { model: model.clone(), bell: Bell::default(), metrics });
        let mut lanes = self.0.write();
        if lanes.contains_key(model) {
            return None;
        }
        lanes.insert(model.clone(), lane.clone());
        Some(lane)
    }
}

/// Says that there is work, and how urgent the most urgent of it is.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Notify,
    /// 0 for none, else 1 more than the class.
    urgency: AtomicU8,
}

impl Bell {
    pub(crate) fn ring(&self, priority: Priority) {
        self.urgency.fetch_max(urgency(priority), Ordering::SeqCst);
        self.rung.notify_one();
    }

    /// Until it rings; a ring that came before counts.
    pub(crate) async fn rung(&self) {
        self.rung.notified().await;
    }

    /// Forgets how urgent it was: the runner looks for itself now.
    pub(crate) fn hush(&self) {
        self.urgency.store(0, Ordering::SeqCst);
    }

    /// Until something more urgent than `priority` has come.
    pub(crate) async fn rung_for_more_than(&self, priority: Priority) {
        while self.urgency.load(Ordering::SeqCst) <= urgency(priority) {
            self.rung().await;
        }
    }
}

const fn urgency(priority: Priority) -> u8 {
    match priority {
        Priority::Low => 1,
        Priority::Normal => 2,
        Priority::High => 3,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn only_more_urgent_work_interrupts_a_runner_that_waits_for_a_place() {
        let bell = Bell::default();
        bell.ring(Priority::Normal);
        assert!(bell.rung_for_more_than(Priority::Normal).now_or_never().is_none());
        assert!(bell.rung_for_more_than(Priority::Low).now_or_never().is_some());
        bell.ring(Priority::High);
        bell.ring(Priority::Low);
        assert!(bell.rung_for_more_than(Priority::Normal).now_or_never().is_some());
        bell.hush();
        assert!(bell.rung_for_more_than(Priority::Low).now_or_never().is_none());
    }

    #[test]
    fn a_ring_that_nobody_heard_is_kept() {
        let bell = Bell::default();
        bell.ring(Priority::Low);
        assert!(bell.rung().now_or_never().is_some());
        assert!(bell.rung().now_or_never().is_none());
    }
}
