//! What the calls of a worker and its lease say of it.
//!
//! A ping proves little: a process may answer it while the code behind it hangs, and miss it while
//! the code works hard. So the evidence of a stall is a call that outlived its own limit and the
//! request to stop. Inside its limits a call proves nothing, however long: a busy worker is never
//! taken for a stuck one.

use std::time::{Duration, Instant};

use types::CallId;

/// A call that a worker holds: it has been begun and, by all that is known, not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldCall {
    /// The call.
    pub call: CallId,
    /// When its time is up; `None` for calls that may last, such as a WebSocket.
    pub timeout_at: Option<Instant>,
    /// When it will have shown no progress for too long, if its model demands progress.
    pub silent_at: Option<Instant>,
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
        self.timeout_at.into_iter().chain(self.silent_at).min()
    }

    /// When it counts as stuck unless it ends or shows progress before. The interval is the time
    /// that the news of its end may take to arrive.
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

/// All that is known of a worker.
#[derive(Debug, Clone, Copy)]
pub struct Worker<C> {
    /// When it is given up unless a heartbeat renews it; `None` for one that holds no lease.
    pub lease_until: Option<Instant>,
    /// Time between two heartbeats.
    pub heartbeat: Duration,
    /// The calls that it holds.
    pub calls: C,
}

/// The judgement on a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Nothing speaks against it.
    Well,
    /// A call cannot be stopped: drain the worker and replace it.
    Stuck {
        /// The call that has been stuck for longest.
        call: CallId,
    },
    /// Its lease has run out: nobody knows whether it lives.
    Lost,
}

impl<'a, C: Iterator<Item = &'a HeldCall>> Worker<C> {
    /// Judges the worker.
    pub fn health(self, now: Instant) -> Health {
        if self.lease_until.is_some_and(|until| until <= now) {
            return Health::Lost;
        }
        let heartbeat = self.heartbeat;
        let stuck = self.calls.filter_map(|call| Some((call.stuck_at(heartbeat)?, call.call)));
        match stuck.filter(|(at, _)| *at <= now).min() {
            Some((_, call)) => Health::Stuck { call },
            None => Health::Well,
        }
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

    /// A call with a minute's time.
    fn call(begun: Instant) -> HeldCall {
        let timeout_at = Some(begun + s(60));
        HeldCall { call: CALL, timeout_at, silent_at: None, cancel_asked: None }
    }

    fn health(calls: &[HeldCall], lease_until: Option<Instant>, now: Instant) -> Health {
        Worker { lease_until, heartbeat: HEARTBEAT, calls: calls.iter() }.health(now)
    }

    #[test]
    fn a_hanging_call_is_first_cancelled_and_stuck_one_interval_later() {
        let start = Instant::now();
        let mut hanging = call(start);
        assert_eq!(hanging.health(HEARTBEAT, start + s(59)), CallHealth::Fine);
        assert_eq!(hanging.health(HEARTBEAT, start + s(60)), CallHealth::Overdue);

        hanging.cancel_asked = Some(start + s(60));
        let just_before = start + s(61) - Duration::from_nanos(1);
        assert_eq!(hanging.health(HEARTBEAT, start + s(60)), CallHealth::Fine, "it is asked once");
        assert_eq!(health(&[hanging], None, just_before), Health::Well);
        assert_eq!(health(&[hanging], None, start + s(61)), Health::Stuck { call: CALL });
    }

    #[test]
    fn a_call_that_was_not_asked_to_stop_is_never_stuck() {
        let start = Instant::now();
        assert_eq!(health(&[call(start)], Some(start + s(9000)), start + s(8000)), Health::Well);
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
    fn the_first_limit_that_passes_counts() {
        let start = Instant::now();
        let silent = HeldCall { silent_at: Some(start + s(5)), ..call(start) };
        assert_eq!(silent.due(), Some(start + s(5)));
        let busy_to_the_end = HeldCall { silent_at: Some(start + s(63)), ..silent };
        assert_eq!(busy_to_the_end.due(), Some(start + s(60)));
    }

    #[test]
    fn a_call_without_limits_may_last_for_ever() {
        let start = Instant::now();
        let socket = HeldCall { timeout_at: None, cancel_asked: Some(start), ..call(start) };
        assert_eq!(socket.health(HEARTBEAT, start + s(1_000_000)), CallHealth::Fine);
    }

    #[test]
    fn an_expired_lease_outweighs_what_the_calls_say() {
        let start = Instant::now();
        let stuck = [HeldCall { cancel_asked: Some(start), ..call(start) }];
        assert_eq!(health(&stuck, Some(start + s(90)), start + s(90)), Health::Lost);
        assert_eq!(
            health(&stuck, Some(start + s(91)), start + s(90)),
            Health::Stuck { call: CALL }
        );
    }
}
