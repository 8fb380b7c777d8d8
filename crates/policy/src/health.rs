//! The life of a replica as the gateway sees it, judged by its calls and its lease.
//!
//! ```text
//! starting → ready → draining → gone      and from each of the first three: stuck, lost
//! ```
//!
//! A ping proves little: a process may answer it while the code behind it hangs, and miss it while
//! the code works hard. So the evidence of a stall is a call that outlived its own limit and the
//! request to stop. Inside its limit a call proves nothing, however long: a busy worker is never
//! taken for a stuck one.

use std::time::{Duration, Instant};

use types::CallId;

/// How far a replica has come; it never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Not warmed yet.
    Starting,
    /// Takes calls.
    Ready,
    /// Finishes what it holds and takes nothing new.
    Draining,
    /// Has left.
    Gone,
}

impl Stage {
    /// The stage after news of `next`; older news, come late, changes nothing.
    #[must_use]
    pub fn advance(self, next: Self) -> Self {
        self.max(next)
    }
}

/// A call that a replica holds: it has been begun and, by all that is known, not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldCall {
    /// The call.
    pub call: CallId,
    /// When it was sent.
    pub begun: Instant,
    /// When it last reported progress; `begun` if never.
    pub progress: Instant,
    /// Longest time in all; `None` for calls that may last, such as a WebSocket.
    pub timeout: Option<Duration>,
    /// Longest time without progress, if the model has such a limit.
    pub progress_timeout: Option<Duration>,
    /// When the worker was asked to stop it: its caller left, or it was overdue.
    pub cancel_asked: Option<Instant>,
}

/// What the limits of a call say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallHealth {
    /// Inside its limits, or being cancelled: no evidence of anything.
    Fine,
    /// Past a limit and not asked to stop yet: cancel it now.
    Overdue,
    /// Past a limit, asked to stop, and still there one heartbeat interval later.
    Stuck,
}

impl HeldCall {
    /// When the first of its limits passes.
    pub fn due(&self) -> Option<Instant> {
        let whole = self.timeout.and_then(|limit| self.begun.checked_add(limit));
        let silent = self.progress_timeout.and_then(|limit| self.progress.checked_add(limit));
        whole.into_iter().chain(silent).min()
    }

    /// When it counts as stuck unless it ends or reports progress before. The interval is the
    /// time that the news of its end may take to arrive.
    fn stuck_at(&self, heartbeat: Duration) -> Option<Instant> {
        self.due()?.max(self.cancel_asked?).checked_add(heartbeat)
    }

    /// Judges the call; `heartbeat` is the interval between two heartbeats of its worker.
    pub fn health(&self, heartbeat: Duration, now: Instant) -> CallHealth {
        if self.stuck_at(heartbeat).is_some_and(|at| at <= now) {
            CallHealth::Stuck
        } else if self.cancel_asked.is_none() && self.due().is_some_and(|due| due <= now) {
            CallHealth::Overdue
        } else {
            CallHealth::Fine
        }
    }
}

/// All that is known of a replica.
#[derive(Debug, Clone, Copy)]
pub struct Replica<'a> {
    /// How far it has come.
    pub stage: Stage,
    /// When it is given up unless a heartbeat renews it.
    pub lease_until: Instant,
    /// Time between two heartbeats.
    pub heartbeat: Duration,
    /// The calls that it holds.
    pub calls: &'a [HeldCall],
}

/// The judgement on a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Not warmed yet.
    Starting,
    /// Takes calls.
    Ready,
    /// Finishes what it holds.
    Draining,
    /// A call cannot be stopped: drain the worker and replace it.
    Stuck {
        /// The call that has been stuck for longest.
        call: CallId,
    },
    /// Its lease has run out: nobody knows whether it lives.
    Lost,
    /// Has left.
    Gone,
}

impl Replica<'_> {
    /// Judges the replica.
    pub fn health(&self, now: Instant) -> Health {
        if self.stage == Stage::Gone {
            return Health::Gone;
        }
        if self.lease_until <= now {
            return Health::Lost;
        }
        if let Some(call) = self.stuck_call(now) {
            return Health::Stuck { call };
        }
        match self.stage {
            Stage::Starting => Health::Starting,
            Stage::Ready => Health::Ready,
            Stage::Draining => Health::Draining,
            Stage::Gone => Health::Gone,
        }
    }

    /// Calls that must be asked to stop now; none of a replica that has left.
    pub fn overdue(&self, now: Instant) -> impl Iterator<Item = CallId> {
        let is_here = self.stage != Stage::Gone;
        let is_overdue = move |call: &&HeldCall| {
            is_here && call.health(self.heartbeat, now) == CallHealth::Overdue
        };
        self.calls.iter().filter(is_overdue).map(|call| call.call)
    }

    /// When to look again: the next moment at which time alone changes the judgement on the
    /// replica or makes a call overdue.
    pub fn look_again(&self, now: Instant) -> Option<Instant> {
        if self.stage == Stage::Gone {
            return None;
        }
        let of_calls = self.calls.iter().filter_map(|call| match call.cancel_asked {
            None => call.due(),
            Some(_) => call.stuck_at(self.heartbeat),
        });
        of_calls.chain([self.lease_until]).filter(|at| now < *at).min()
    }

    fn stuck_call(&self, now: Instant) -> Option<CallId> {
        let stuck = self.calls.iter().filter_map(|call| {
            let at = call.stuck_at(self.heartbeat)?;
            (at <= now).then_some((at, call.call))
        });
        stuck.min().map(|(_, call)| call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: CallId = CallId::new(uuid::Uuid::from_u128(7));
    const HEARTBEAT: Duration = Duration::from_secs(1);

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn call(begun: Instant) -> HeldCall {
        HeldCall {
            call: CALL,
            begun,
            progress: begun,
            timeout: Some(s(60)),
            progress_timeout: None,
            cancel_asked: None,
        }
    }

    fn replica(calls: &[HeldCall], lease_until: Instant) -> Replica<'_> {
        Replica { stage: Stage::Ready, lease_until, heartbeat: HEARTBEAT, calls }
    }

    #[test]
    fn a_hanging_call_is_first_cancelled_and_stuck_one_interval_later() {
        let start = Instant::now();
        let mut calls = [call(start)];
        let far = start + s(1000);

        assert_eq!(replica(&calls, far).overdue(start + s(59)).count(), 0);
        assert_eq!(replica(&calls, far).look_again(start), Some(start + s(60)));
        assert_eq!(replica(&calls, far).overdue(start + s(60)).next(), Some(CALL));

        calls[0].cancel_asked = Some(start + s(60));
        let asked = replica(&calls, far);
        assert_eq!(asked.overdue(start + s(60)).count(), 0, "it is asked once");
        assert_eq!(asked.look_again(start + s(60)), Some(start + s(61)));
        assert_eq!(asked.health(start + s(61) - Duration::from_nanos(1)), Health::Ready);
        assert_eq!(asked.health(start + s(61)), Health::Stuck { call: CALL });
    }

    #[test]
    fn a_call_that_was_not_asked_to_stop_is_never_stuck() {
        let start = Instant::now();
        let calls = [call(start)];
        assert_eq!(replica(&calls, start + s(9000)).health(start + s(8000)), Health::Ready);
    }

    #[test]
    fn a_late_request_to_stop_gets_its_interval_too() {
        let start = Instant::now();
        let late = HeldCall { cancel_asked: Some(start + s(100)), ..call(start) };
        assert_eq!(late.health(HEARTBEAT, start + s(100)), CallHealth::Fine);
        assert_eq!(late.health(HEARTBEAT, start + s(101)), CallHealth::Stuck);
    }

    #[test]
    fn a_caller_that_left_early_proves_nothing_before_the_limit() {
        // A synchronous function cannot be interrupted; its place stays taken until it returns.
        let start = Instant::now();
        let left = HeldCall { cancel_asked: Some(start + s(1)), ..call(start) };
        assert_eq!(left.health(HEARTBEAT, start + s(60)), CallHealth::Fine);
        assert_eq!(left.health(HEARTBEAT, start + s(61)), CallHealth::Stuck);
    }

    #[test]
    fn progress_renews_the_shorter_limit() {
        let start = Instant::now();
        let silent = HeldCall { progress_timeout: Some(s(5)), ..call(start) };
        assert_eq!(silent.due(), Some(start + s(5)));
        let busy = HeldCall { progress: start + s(50), ..silent };
        assert_eq!(busy.due(), Some(start + s(55)));
        let at_the_end = HeldCall { progress: start + s(58), ..silent };
        assert_eq!(at_the_end.due(), Some(start + s(60)), "but not the limit of the whole call");
    }

    #[test]
    fn a_call_without_limits_may_last_for_ever() {
        let start = Instant::now();
        let socket = HeldCall { timeout: None, cancel_asked: Some(start), ..call(start) };
        assert_eq!(socket.health(HEARTBEAT, start + s(1_000_000)), CallHealth::Fine);
    }

    #[test]
    fn an_expired_lease_outweighs_everything_but_having_left() {
        let start = Instant::now();
        let calls = [HeldCall { cancel_asked: Some(start), ..call(start) }];
        let mut lost = replica(&calls, start + s(90));
        assert_eq!(lost.health(start + s(90)), Health::Lost);
        lost.stage = Stage::Gone;
        assert_eq!((lost.health(start + s(90)), lost.look_again(start)), (Health::Gone, None));
    }

    #[test]
    fn a_stage_never_goes_back() {
        assert_eq!(Stage::Starting.advance(Stage::Ready), Stage::Ready);
        assert_eq!(Stage::Draining.advance(Stage::Ready), Stage::Draining);
    }
}
