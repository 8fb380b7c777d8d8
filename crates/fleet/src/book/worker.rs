//! One worker as the book knows it: its lease, and the calls that it should have stopped.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use api::worker::Heartbeat;
use policy::health::{self, Health, HeldCall};
use types::CallId;

use super::{Held, Lingering};
use crate::{Phase, Replica};

/// Time that a heartbeat may be under way. A call that ended in this span is not yet taken for
/// ended just because a heartbeat does not list it: it may have begun after that was written.
const HEARTBEAT_TRANSIT_MAX: Duration = Duration::from_secs(1);

pub(super) struct Worker {
    pub(super) replica: Arc<Replica>,
    pub(super) phase: Phase,
    /// None for declared endpoints, which hold no lease.
    pub(super) lease_until: Option<Instant>,
    lingering: HashMap<CallId, (HeldCall, Held)>,
}

impl Worker {
    pub(super) fn new(replica: Arc<Replica>, lease_until: Option<Instant>) -> Self {
        Self { replica, phase: Phase::Ready, lease_until, lingering: HashMap::new() }
    }

    /// A call was cancelled.
    pub(super) fn linger(&mut self, call: CallId, lingering: Lingering) {
        let Lingering { held, since, timeout_at } = lingering;
        let judged = HeldCall {
            call,
            timeout_at: Some(timeout_at),
            silent_at: None,
            cancel_asked: Some(since),
        };
        self.lingering.insert(call, (judged, held));
    }

    /// A cancelled call has ended.
    pub(super) fn ended(&mut self, call: CallId) -> Option<Held> {
        self.lingering.remove(&call).map(|(_, held)| held)
    }

    /// It is gone, and nothing of it runs any more.
    pub(super) fn into_held(self) -> Vec<Held> {
        self.lingering.into_values().map(|(_, held)| held).collect()
    }

    /// A heartbeat came: what it does not list any more has ended.
    pub(super) fn heard(&mut self, heartbeat: &Heartbeat, now: Instant) -> Vec<Held> {
        let has_ended = |call: &HeldCall| {
            let since = call.cancel_asked.unwrap_or(now);
            now.saturating_duration_since(since) > HEARTBEAT_TRANSIT_MAX
                && !heartbeat.running.iter().any(|running| running.call_id == call.call)
        };
        let ended = self.lingering.extract_if(|_, (call, _)| has_ended(call));
        ended.map(|(_, (_, held))| held).collect()
    }

    /// The calls that, as this heartbeat says, have shown no progress for longer than `max`.
    pub(super) fn silent(
        &self,
        heartbeat: &Heartbeat,
        max: Duration,
        now: Instant,
    ) -> Vec<HeldCall> {
        let silent_at = |idle_ms| Some(now.checked_sub(Duration::from_millis(idle_ms))? + max);
        let running = heartbeat.running.iter().filter_map(|running| {
            let silent_at = silent_at(running.idle_ms)?;
            let (call, cancel_asked) = (running.call_id, Some(silent_at));
            Some(HeldCall { call, timeout_at: None, silent_at: Some(silent_at), cancel_asked })
        });
        running.filter(|call| call.silent_at <= Some(now)).collect()
    }

    /// Judges it by its lease, the calls that linger, and what was just heard of others.
    pub(super) fn health(&self, heard: &[HeldCall], heartbeat: Duration, now: Instant) -> Health {
        let calls = self.lingering.values().map(|(call, _)| call).chain(heard);
        health::Worker { lease_until: self.lease_until, heartbeat, calls }.health(now)
    }
}
