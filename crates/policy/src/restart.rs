//! When a worker process that ended is started again, and when it counts as a crash loop.
//!
//! Each exit in a row doubles the wait. A process that stayed ready for a while has proved itself:
//! its next exit counts as the first. From `loop_exits` exits in a row on, the model is reported
//! as failing, and the tries go on at the longest wait: the cause may lie outside (a full disk, a
//! missing mount) and go away.

use std::time::{Duration, Instant};

use crate::backoff::Backoff;

/// How a process is supervised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartLimits {
    /// Waits between an exit and the next start.
    pub backoff: Backoff,
    /// A process that was ready for this long has proved itself.
    pub stable_after: Duration,
    /// Exits in a row that make a crash loop.
    pub loop_exits: u32,
}

/// Why a model is reported as failing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrashLoop {
    /// Exits in a row.
    pub exits: u32,
    /// The first of them.
    pub since: Instant,
}

/// What to do after an exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    /// When to start the process again.
    pub at: Instant,
    /// Set if it keeps crashing: report it, with the last error that it wrote.
    pub crash_loop: Option<CrashLoop>,
}

/// The history of one worker process, as far as it matters.
#[derive(Debug, Clone)]
pub struct Supervisor {
    limits: RestartLimits,
    phase: Phase,
    /// Exits since the process last proved itself.
    streak: Option<CrashLoop>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Down,
    Starting,
    Ready { since: Instant },
}

impl Supervisor {
    /// Nothing has been started yet.
    pub const fn new(limits: RestartLimits) -> Self {
        Self { limits, phase: Phase::Down, streak: None }
    }

    /// The process was started.
    pub const fn started(&mut self) {
        self.phase = Phase::Starting;
    }

    /// The process is able to take work.
    pub const fn ready(&mut self, now: Instant) {
        self.phase = Phase::Ready { since: now };
    }

    /// The process ended without being asked to, or could not be started.
    pub fn exited(&mut self, now: Instant, seed: u64) -> Restart {
        if self.has_proved_itself(now) {
            self.streak = None;
        }
        self.phase = Phase::Down;
        let streak = self.streak.get_or_insert(CrashLoop { exits: 0, since: now });
        streak.exits = streak.exits.saturating_add(1);
        let exits = streak.exits;
        let crash_loop = self.crash_loop();
        let wait = match crash_loop {
            Some(_) => self.limits.backoff.max,
            None => self.limits.backoff.wait(exits, seed),
        };
        Restart { at: now.checked_add(wait).unwrap_or(now), crash_loop }
    }

    /// Whether the model must be reported as failing. Not while the process is ready: it works,
    /// for now.
    pub fn crash_loop(&self) -> Option<CrashLoop> {
        match self.phase {
            Phase::Ready { .. } => None,
            Phase::Down | Phase::Starting => {
                self.streak.filter(|streak| streak.exits >= self.limits.loop_exits)
            }
        }
    }

    fn has_proved_itself(&self, now: Instant) -> bool {
        matches!(self.phase, Phase::Ready { since }
            if now.saturating_duration_since(since) >= self.limits.stable_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const LIMITS: RestartLimits = RestartLimits {
        backoff: Backoff { base: s(2), max: s(30) },
        stable_after: s(60),
        loop_exits: 3,
    };

    #[test]
    fn a_process_that_never_gets_ready_is_a_crash_loop_that_goes_on_at_the_longest_wait() {
        let start = Instant::now();
        let mut process = Supervisor::new(LIMITS);
        let mut now = start;
        for exits in 1..=5 {
            process.started();
            let restart = process.exited(now, u64::from(exits));
            let wait = restart.at - now;
            if exits < 3 {
                let ceiling = LIMITS.backoff.ceiling(exits);
                assert!(ceiling / 2 <= wait && wait <= ceiling, "{wait:?} after {exits} exits");
                assert_eq!(restart.crash_loop, None);
            } else {
                assert_eq!(wait, s(30));
                assert_eq!(restart.crash_loop, Some(CrashLoop { exits, since: start }));
            }
            now = restart.at;
        }
        process.started();
        assert!(process.crash_loop().is_some(), "a start alone proves nothing");
        process.ready(now);
        assert_eq!(process.crash_loop(), None);
    }

    #[test]
    fn one_that_was_ready_only_for_a_moment_goes_on_counting() {
        let start = Instant::now();
        let mut process = Supervisor::new(LIMITS);
        for exits in 1..=3 {
            process.started();
            process.ready(start);
            let restart = process.exited(start + s(59), 0);
            assert_eq!(restart.crash_loop.is_some(), exits == 3);
        }
    }

    #[test]
    fn one_that_stayed_ready_starts_again_with_a_clean_record() {
        let start = Instant::now();
        let mut process = Supervisor::new(LIMITS);
        for _ in 0..10 {
            process.started();
            process.ready(start);
            let restart = process.exited(start + s(60), 0);
            assert_eq!(restart.crash_loop, None);
            assert!(restart.at <= start + s(62));
        }
    }
}
