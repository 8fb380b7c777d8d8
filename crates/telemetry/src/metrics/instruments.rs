//! What is counted with: thin handles that know their unit.

use std::time::Duration;

use prometheus_client::metrics::{counter::Counter, gauge::Gauge, histogram::Histogram};

/// A number that only grows.
#[derive(Debug, Clone, Default)]
pub struct Count(pub(super) Counter);

impl Count {
    /// One more.
    pub fn inc(&self) {
        self.0.inc();
    }

    /// `n` more.
    pub fn add(&self, n: u64) {
        self.0.inc_by(n);
    }

    /// How many so far.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// A number that goes up and down.
#[derive(Debug, Clone, Default)]
pub struct Level(pub(super) Gauge);

impl Level {
    /// Sets it.
    pub fn set(&self, n: usize) {
        self.0.set(i64::try_from(n).unwrap_or(i64::MAX));
    }

    /// One more, until [`Level::dec`].
    pub fn inc(&self) {
        self.0.inc();
    }

    /// One less.
    pub fn dec(&self) {
        self.0.dec();
    }

    /// One more for as long as the answer lives.
    pub fn hold(&self) -> Held {
        self.inc();
        Held(self.clone())
    }

    /// The number now.
    pub fn get(&self) -> i64 {
        self.0.get()
    }
}

/// One unit of a [`Level`], given back when dropped.
#[derive(Debug)]
pub struct Held(Level);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A distribution of durations.
#[derive(Debug, Clone)]
pub struct Times(pub(super) Histogram);

impl Times {
    /// One more observation.
    pub fn observe(&self, took: Duration) {
        self.0.observe(took.as_secs_f64());
    }
}
