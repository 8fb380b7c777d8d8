//! How much of a worker's output reaches the log.

use std::time::{Duration, Instant};

/// Lines of one process that are logged in one second. A tight loop that prints would otherwise
/// fill the disk; no person reads more.
const LINES_PER_WINDOW_MAX: u32 = 1000;
const WINDOW: Duration = Duration::from_secs(1);

/// Lets so many lines through in each second, and counts the rest.
pub(super) struct FloodGate {
    window: Instant,
    passed: u32,
    held: u64,
}

/// What to do with one line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Log,
    /// Log it; and say first that so many were left out before.
    LogAfter(u64),
    LeaveOut,
}

impl FloodGate {
    pub(super) fn new(now: Instant) -> Self {
        Self { window: now, passed: 0, held: 0 }
    }

    /// Judges the next line.
    pub(super) fn judge(&mut self, now: Instant) -> Verdict {
        if now.saturating_duration_since(self.window) >= WINDOW {
            self.window = now;
            self.passed = 0;
        }
        if self.passed == LINES_PER_WINDOW_MAX {
            self.held += 1;
            return Verdict::LeaveOut;
        }
        self.passed += 1;
        match self.take_held() {
            0 => Verdict::Log,
            held => Verdict::LogAfter(held),
        }
    }

    /// How many lines were left out since the last time it was said.
    pub(super) fn take_held(&mut self) -> u64 {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted_and_the_next_second_is_open_again() {
        let start = Instant::now();
        let mut gate = FloodGate::new(start);
        for _ in 0..LINES_PER_WINDOW_MAX {
            assert_eq!(gate.judge(start), Verdict::Log);
        }
        assert_eq!(gate.judge(start), Verdict::LeaveOut);
        assert_eq!(gate.judge(start), Verdict::LeaveOut);
        assert_eq!(gate.judge(start + WINDOW), Verdict::LogAfter(2));
        assert_eq!(gate.judge(start + WINDOW), Verdict::Log);
        assert_eq!(gate.take_held(), 0);
    }
}
