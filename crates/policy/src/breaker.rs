//! The circuit breaker in front of something that may fail as a whole.
//!
//! ```text
//! closed ──too many failures──▶ open ──its time is up──▶ half-open (one probe at a time)
//!   ▲                            ▲                            │
//!   │                            └────────── failed ──────────┤
//!   └─────────────────── answered ────────────────────────────┘
//! ```
//!
//! Only what speaks of the other side counts: a connection that failed, a 5xx, a timeout. A 4xx is
//! the caller's doing, and 429 and 503 say "busy", which is the queue's business and not ours.

use std::time::{Duration, Instant};

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerLimits {
    /// How many of the latest counted calls are looked at; at most 64 are.
    pub window: u32,
    /// Failures among them that open it; at least 1 is used.
    pub failures_max: u32,
    /// How long it stays open before a probe.
    pub open_for: Duration,
}

/// How a call ended, as far as the breaker cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallEnd {
    /// It was answered.
    Answered,
    /// A 4xx: it was answered, but the call was no good. Proves that the other side lives and
    /// nothing else.
    CallerError,
    /// 429 or 503.
    Busy,
    /// Its caller left before the end.
    Abandoned,
    /// The connection failed, it was answered with another 5xx, or it took too long.
    Failed,
}

impl CallEnd {
    /// Reads an HTTP status.
    pub const fn of_status(status: u16) -> Self {
        match status {
            429 | 503 => Self::Busy,
            400..=499 => Self::CallerError,
            500..=599 => Self::Failed,
            _ => Self::Answered,
        }
    }
}

/// Leave to make one call. Bring it back with [`Breaker::ended`], however the call ended: a probe
/// that is never brought back keeps the breaker half-open.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the breaker waits for the end of the call"]
pub struct Pass {
    /// Which closed time, or which probe, it belongs to; later ones ignore it.
    era: u64,
}

/// The breaker is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// When to come back; zero if a probe is under way.
    pub retry_after: Duration,
}

/// The breaker of one endpoint.
#[derive(Debug, Clone)]
pub struct Breaker {
    limits: BreakerLimits,
    state: State,
    era: u64,
}

/// Whether a breaker lets calls through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circuit {
    /// All of them.
    Closed,
    /// One at a time, to see.
    HalfOpen,
    /// None.
    Open,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// The latest counted calls as bits, the newest lowest; a set bit is a failure.
    Closed {
        recent: u64,
    },
    Open {
        until: Instant,
    },
    HalfOpen {
        probing: bool,
    },
}

impl Breaker {
    /// A closed breaker.
    pub const fn new(limits: BreakerLimits) -> Self {
        Self { limits, state: State::Closed { recent: 0 }, era: 0 }
    }

    /// Asks for leave to make a call.
    ///
    /// # Errors
    /// [`Open`] while calls are useless: the last ones failed, and the probe is yet to come or
    /// under way.
    pub fn enter(&mut self, now: Instant) -> Result<Pass, Open> {
        match self.state {
            State::Closed { .. } => {}
            State::Open { until } if now < until => {
                return Err(Open { retry_after: until - now });
            }
            State::HalfOpen { probing: true } => {
                return Err(Open { retry_after: Duration::ZERO });
            }
            State::Open { .. } | State::HalfOpen { probing: false } => {
                self.change(State::HalfOpen { probing: true });
            }
        }
        Ok(Pass { era: self.era })
    }

    /// A call has ended. Calls that were begun before the breaker last changed say nothing new.
    #[expect(clippy::needless_pass_by_value, reason = "a pass is used up: each call ends once")]
    pub fn ended(&mut self, pass: Pass, end: CallEnd, now: Instant) {
        if pass.era != self.era {
            return;
        }
        match (self.state, end) {
            // ## Closed => Open
            (State::Closed { recent }, CallEnd::Answered | CallEnd::Failed) => {
                self.count(recent << 1 | u64::from(end == CallEnd::Failed), now);
            }
            (State::Closed { .. }, _) => {}

            // ## Half-open => Closed | Open
            (State::HalfOpen { .. }, CallEnd::Answered | CallEnd::CallerError) => {
                self.change(State::Closed { recent: 0 });
            }
            (State::HalfOpen { .. }, CallEnd::Failed) => self.open(now),
            // Nothing was learned: the next call is the probe.
            (State::HalfOpen { .. }, CallEnd::Busy | CallEnd::Abandoned) => {
                self.change(State::HalfOpen { probing: false });
            }

            // No call of this era can be under way.
            (State::Open { .. }, _) => {}
        }
    }

    /// Where it stands. An open one whose time is up stays open until the next call asks.
    pub const fn circuit(&self) -> Circuit {
        match self.state {
            State::Closed { .. } => Circuit::Closed,
            State::HalfOpen { .. } => Circuit::HalfOpen,
            State::Open { .. } => Circuit::Open,
        }
    }

    fn count(&mut self, recent: u64, now: Instant) {
        let unseen = u64::BITS.saturating_sub(self.limits.window.max(1));
        let recent = recent << unseen >> unseen;
        if recent.count_ones() >= self.limits.failures_max.max(1) {
            self.open(now);
        } else {
            self.state = State::Closed { recent };
        }
    }

    fn open(&mut self, now: Instant) {
        self.change(State::Open { until: now.checked_add(self.limits.open_for).unwrap_or(now) });
    }

    const fn change(&mut self, state: State) {
        self.state = state;
        self.era += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BreakerLimits =
        BreakerLimits { window: 4, failures_max: 3, open_for: Duration::from_secs(10) };

    #[test]
    fn three_failures_of_the_last_four_open_it_whatever_lies_between() {
        check("200 500 500 500", "open");
        check("500 200 500 500", "open");
        check("500 500 200 200 500", "closed");
        check("500 404 429 500 503 gone 400 500", "open");
    }

    #[test]
    fn callers_errors_and_a_busy_server_never_open_it() {
        check("404 404 404 422 422", "closed");
        check("429 503 429 503 429", "closed");
        check("gone gone gone gone", "closed");
    }

    #[test]
    fn one_probe_decides() {
        check("500 500 500 wait 200", "closed");
        check("500 500 500 wait 404", "closed");
        check("500 500 500 wait 500", "open");
        check("500 500 500 wait 500 wait 200", "closed");
    }

    #[test]
    fn a_probe_that_learned_nothing_is_followed_by_another() {
        check("500 500 500 wait 503 gone 429 200", "closed");
        check("500 500 500 wait 503 500", "open");
        check("500 500 500 wait 503", "half-open");
    }

    #[test]
    fn a_breaker_that_closed_again_has_a_clean_record() {
        check("500 500 500 wait 200 500 500", "closed");
        check("500 500 500 wait 200 500 500 500", "open");
    }

    #[test]
    fn others_wait_while_the_probe_is_under_way() {
        let (mut breaker, now) = opened();
        assert_eq!(breaker.circuit(), Circuit::Open);
        let probe = breaker.enter(now).unwrap();
        assert_eq!(breaker.circuit(), Circuit::HalfOpen);
        assert_eq!(breaker.enter(now), Err(Open { retry_after: Duration::ZERO }));
        breaker.ended(probe, CallEnd::Answered, now);
        assert!(breaker.enter(now).is_ok());
    }

    #[test]
    fn late_ends_of_calls_from_before_say_nothing() {
        let now = Instant::now();
        let mut breaker = Breaker::new(LIMITS);
        let early = breaker.enter(now).unwrap();
        for _ in 0..3 {
            let pass = breaker.enter(now).unwrap();
            breaker.ended(pass, CallEnd::Failed, now);
        }
        assert_eq!(breaker.enter(now), Err(Open { retry_after: LIMITS.open_for }));
        breaker.ended(early, CallEnd::Answered, now);
        assert_eq!(breaker.circuit(), Circuit::Open);
    }

    #[test]
    fn statuses_are_read_as_the_table_says() {
        for (status, end) in [
            (101, CallEnd::Answered),
            (200, CallEnd::Answered),
            (302, CallEnd::Answered),
            (400, CallEnd::CallerError),
            (408, CallEnd::CallerError),
            (429, CallEnd::Busy),
            (500, CallEnd::Failed),
            (502, CallEnd::Failed),
            (503, CallEnd::Busy),
            (504, CallEnd::Failed),
        ] {
            assert_eq!(CallEnd::of_status(status), end, "{status}");
        }
    }

    fn opened() -> (Breaker, Instant) {
        let now = Instant::now();
        let mut breaker = Breaker::new(LIMITS);
        for _ in 0..3 {
            let pass = breaker.enter(now).unwrap();
            breaker.ended(pass, CallEnd::Failed, now);
        }
        (breaker, now + LIMITS.open_for)
    }

    /// Calls one after the other, by status, `gone` for a caller that left; `wait` lets the open
    /// time pass.
    #[track_caller]
    fn check(story: &str, then: &str) {
        let mut now = Instant::now();
        let mut breaker = Breaker::new(LIMITS);
        for word in story.split_whitespace() {
            let end = match word {
                "wait" => {
                    assert!(breaker.enter(now).is_err(), "in `{story}`");
                    now += LIMITS.open_for;
                    continue;
                }
                "gone" => CallEnd::Abandoned,
                status => CallEnd::of_status(status.parse().unwrap()),
            };
            let pass = breaker.enter(now).unwrap();
            breaker.ended(pass, end, now);
        }
        let state = match breaker.circuit() {
            Circuit::Closed => "closed",
            Circuit::HalfOpen => "half-open",
            Circuit::Open => "open",
        };
        assert_eq!(state, then, "after `{story}`");
    }
}
