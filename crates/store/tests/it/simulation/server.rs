//! A server of the simulated world: its store, its clock, and what it believes to run.

use std::{sync::Arc, time::Duration};

use store::{Fence, TaskStore};
use types::Timestamp;

/// The largest error of a clock, in milliseconds.
const WRONG_MAX: u64 = 3000;

/// A server, alive or given up.
pub(super) struct Server {
    pub(super) store: Arc<dyn TaskStore>,
    /// Its clock shows the true time, this much more, and [`WRONG_MAX`] less.
    ahead: u64,
    /// The attempts that it believes to run.
    pub(super) runs: Vec<Fence>,
}

impl Server {
    pub(super) const fn new(store: Arc<dyn TaskStore>) -> Self {
        Self { store, ahead: WRONG_MAX, runs: Vec::new() }
    }

    /// Its clock jumps.
    pub(super) fn set_clock(&mut self, draw: impl FnOnce(u64) -> u64) {
        self.ahead = draw(2 * WRONG_MAX);
    }

    /// What its clock shows.
    pub(super) fn clock(&self, now: Timestamp) -> Timestamp {
        let shown = now.millis() + self.ahead;
        Timestamp::from_millis(shown.saturating_sub(WRONG_MAX))
    }

    /// The end of a lease that it takes now.
    pub(super) fn lease(&self, now: Timestamp) -> Timestamp {
        self.clock(now).after(Duration::from_millis(300))
    }
}
