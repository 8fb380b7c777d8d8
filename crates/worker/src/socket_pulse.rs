//! Whether the peer of a WebSocket is still there: one that is silent is asked, and one that does
//! not answer is gone.

use std::{
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::time::{Sleep, sleep};

/// When the peer was last heard.
pub(crate) struct Pulse {
    interval: Duration,
    heard: Mutex<Instant>,
    /// What the peer says waits for the handler, so its silence is our doing.
    held_up: AtomicBool,
}

impl Pulse {
    /// A peer that was heard just now. One that is silent for `interval` is asked, and given as
    /// long again to answer.
    pub(crate) fn new(interval: Duration) -> Self {
        let heard = Mutex::new(Instant::now());
        Self { interval, heard, held_up: AtomicBool::new(false) }
    }

    /// The peer said something.
    pub(crate) fn hear(&self) {
        *self.heard.lock() = Instant::now();
    }

    /// Waits for something of ours during which the peer is not listened to.
    pub(crate) async fn hold_up<T>(&self, wait: impl Future<Output = T>) -> T {
        self.held_up.store(true, Relaxed);
        let done = wait.await;
        self.hear();
        self.held_up.store(false, Relaxed);
        done
    }

    fn is_held_up(&self) -> bool {
        self.held_up.load(Relaxed)
    }

    /// Watches the peer.
    pub(crate) fn watch(&self) -> PulseWatch<'_> {
        PulseWatch { pulse: self, alarm: Box::pin(sleep(self.interval)), asked_at: None }
    }
}

/// What a silent peer calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silence {
    /// Ask whether it is there.
    Ask,
    /// It did not answer.
    Gone,
}

/// Watches a [`Pulse`]. One alarm per interval, whatever the number of messages.
pub(crate) struct PulseWatch<'a> {
    pulse: &'a Pulse,
    alarm: Pin<Box<Sleep>>,
    asked_at: Option<Instant>,
}

impl PulseWatch<'_> {
    /// Waits until the peer was silent for too long. Dropping it loses nothing.
    pub(crate) async fn silent(&mut self) -> Silence {
        loop {
            self.alarm.as_mut().await;
            let (heard_at, interval) = (*self.pulse.heard.lock(), self.pulse.interval);
            if self.pulse.is_held_up() {
                // Its answer would not be heard; but that nobody is there is told by the write.
                self.asked_at = None;
                self.alarm.set(sleep(interval));
                return Silence::Ask;
            }
            let left = interval.saturating_sub(heard_at.elapsed());
            if !left.is_zero() {
                self.alarm.set(sleep(left));
                continue;
            }
            if self.asked_at.is_some_and(|asked_at| heard_at < asked_at) {
                return Silence::Gone;
            }
            self.asked_at = Some(Instant::now());
            self.alarm.set(sleep(interval));
            return Silence::Ask;
        }
    }
}
