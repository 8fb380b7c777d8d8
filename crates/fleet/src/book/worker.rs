//! One worker as the book knows it: its lease, the calls that we may have to stop, and those that
//! it should have stopped.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use api::worker::Heartbeat;
use policy::health::{self, CallHealth, Health, HeldCall};
use types::CallId;

use super::{Held, Lingering};
use crate::{Phase, Replica, progress::Stop};

/// Time that a heartbeat may be under way. A call that ended in this span is not yet taken for
/// ended just because a heartbeat does not list it: it may have begun after that was written.
const HEARTBEAT_TRANSIT_MAX: Duration = Duration::from_secs(1);

/// Reported ends that are remembered: far more than calls can be cancelled in the moment that a
/// thread needs to note it.
const ENDED_MAX: usize = 256;

pub(super) struct Worker {
    pub(super) replica: Arc<Replica>,
    pub(super) phase: Phase,
    /// None for declared endpoints, which hold no lease.
    pub(super) lease_until: Option<Instant>,
    /// Calls that somebody waits for, of models that demand progress.
    watched: HashMap<CallId, Stop>,
    /// Calls that were cancelled and may still run.
    lingering: HashMap<CallId, Lingerer>,
    /// Calls whose end was reported although nothing was held for them: oldest first. One of them
    /// may be cancelled just now, on another thread.
    ended: VecDeque<CallId>,
}

/// A call that was cancelled and may still run.
struct Lingerer {
    judged: HeldCall,
    held: Held,
    /// Whether the last heartbeat said that it runs. Only that proves anything: a report of its
    /// end may be lost, and its worker must not pay for that.
    listed: bool,
}

impl Worker {
    pub(super) fn new(replica: Arc<Replica>, lease_until: Option<Instant>) -> Self {
        Self {
            replica,
            phase: Phase::Ready,
            lease_until,
            watched: HashMap::new(),
            lingering: HashMap::new(),
            ended: VecDeque::new(),
        }
    }

    /// A call is about to be sent.
    pub(super) fn watch(&mut self, call: CallId, stop: Stop) {
        self.watched.insert(call, stop);
    }

    /// Nobody waits for a call any more.
    pub(super) fn unwatch(&mut self, call: CallId) {
        self.watched.remove(&call);
    }

    /// A call was cancelled. What it holds is given back if it has ended already.
    pub(super) fn linger(&mut self, call: CallId, lingering: Lingering) -> Option<Held> {
        let Lingering { held, since, timeout_at } = lingering;
        if let Some(at) = self.ended.iter().position(|ended| *ended == call) {
            self.ended.remove(at);
            return Some(held);
        }
        let judged = HeldCall {
            call,
            timeout_at: Some(timeout_at),
            silent_at: None,
            cancel_asked: Some(since),
        };
        self.lingering.insert(call, Lingerer { judged, held, listed: false });
        None
    }

    /// The worker reports the end of a call.
    pub(super) fn ended(&mut self, call: CallId) -> Option<Held> {
        if let Some(lingerer) = self.lingering.remove(&call) {
            return Some(lingerer.held);
        }
        if self.ended.len() == ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back(call);
        None
    }

    /// It is gone, and nothing of it runs any more.
    pub(super) fn into_held(self) -> Vec<Held> {
        self.lingering.into_values().map(|lingerer| lingerer.held).collect()
    }

    /// A heartbeat came: what it does not list any more has ended.
    pub(super) fn heard(&mut self, heartbeat: &Heartbeat, now: Instant) -> Vec<Held> {
        for (call, lingerer) in &mut self.lingering {
            lingerer.listed = heartbeat.running.iter().any(|running| running.call_id == *call);
        }
        let has_ended = |lingerer: &Lingerer| {
            let since = lingerer.judged.cancel_asked.unwrap_or(now);
            !lingerer.listed && now.saturating_duration_since(since) > HEARTBEAT_TRANSIT_MAX
        };
        let ended = self.lingering.extract_if(|_, lingerer| has_ended(lingerer));
        ended.map(|(_, lingerer)| lingerer.held).collect()
    }

    /// Looks for calls that, as this heartbeat says, have shown no progress for longer than `max`.
    /// Those that somebody waits for are returned, to be cancelled. Others were cancelled before:
    /// for them it is the limit that counts from now on. A call of which we hold nothing, such as
    /// a WebSocket, may be silent.
    pub(super) fn judge_silence(
        &mut self,
        heartbeat: &Heartbeat,
        max: Duration,
        interval: Duration,
        now: Instant,
    ) -> Vec<(Stop, Duration)> {
        let mut stopped = Vec::new();
        for running in &heartbeat.running {
            let call = running.call_id;
            let since = now.checked_sub(Duration::from_millis(running.idle_ms));
            // Only what is past is proven: it may show progress until the next heartbeat.
            let silent_at = since.map(|since| since + max).filter(|silent_at| *silent_at <= now);
            if let Some(lingerer) = self.lingering.get_mut(&call) {
                lingerer.judged.silent_at = silent_at;
                continue;
            }
            let awaited = HeldCall { call, timeout_at: None, silent_at, cancel_asked: None };
            if awaited.health(interval, now) == CallHealth::Overdue
                && let Some(stop) = self.watched.remove(&call)
            {
                stopped.push((stop, max));
            }
        }
        stopped
    }

    /// Judges it by its lease and the calls that linger.
    pub(super) fn health(&self, interval: Duration, now: Instant) -> Health {
        let runs = self.lingering.values().filter(|lingerer| lingerer.listed);
        let calls = runs.map(|lingerer| &lingerer.judged);
        health::Worker { lease_until: self.lease_until, heartbeat: interval, calls }.health(now)
    }
}
