//! Backoff and restarts: waits stay in their bounds and the record of a process is kept right.

use std::time::{Duration, Instant};

use policy::{
    backoff::Backoff,
    restart::{RestartLimits, Supervisor},
};
use proptest::prelude::*;

const STABLE_AFTER: Duration = Duration::from_secs(60);

proptest! {
    #![proptest_config(crate::cases(256))]

    #[test]
    fn jitter_stays_between_its_bounds(
        base in 0..10_000_000u64,
        max in 0..100_000_000_000u64,
        attempt in any::<u32>(),
        seed in any::<u64>(),
    ) {
        let backoff = Backoff { base: Duration::from_nanos(base), max: Duration::from_nanos(max) };
        let ceiling = backoff.ceiling(attempt);
        prop_assert!(ceiling <= backoff.max);
        prop_assert!(ceiling <= backoff.ceiling(attempt.saturating_add(1)));
        prop_assert!(backoff.wait(attempt, seed) >= ceiling / 2);
        prop_assert!(backoff.wait(attempt, seed) <= ceiling);
        prop_assert!(backoff.wait_spread(attempt, seed) <= ceiling);
    }

    #[test]
    fn the_extreme_waits_do_not_overflow(attempt in any::<u32>(), seed in any::<u64>()) {
        let backoff = Backoff { base: Duration::MAX, max: Duration::MAX };
        prop_assert!(backoff.wait(attempt, seed) <= Duration::MAX);
        let now = Instant::now();
        let limits = RestartLimits { backoff, stable_after: Duration::MAX, loop_exits: 1 };
        prop_assert!(Supervisor::new(limits).exited(now, seed).at >= now);
    }

    /// Each life of the process: seconds from start to ready, if it gets there, and to its end.
    #[test]
    fn a_crash_loop_is_exactly_so_many_short_lives_in_a_row(
        lives in prop::collection::vec((prop::option::of(0..5u64), 0..120u64), 1..30),
        loop_exits in 1..6u32,
    ) {
        let backoff = Backoff { base: Duration::from_secs(1), max: Duration::from_secs(20) };
        let limits = RestartLimits { backoff, stable_after: STABLE_AFTER, loop_exits };
        let mut process = Supervisor::new(limits);
        let mut now = Instant::now();
        let mut first_exits = Vec::new();
        for (ready_after, lasts) in lives {
            process.started();
            if let Some(ready_after) = ready_after {
                now += Duration::from_secs(ready_after);
                process.ready(now);
                prop_assert_eq!(process.crash_loop(), None);
            }
            now += Duration::from_secs(lasts);
            if ready_after.is_some() && Duration::from_secs(lasts) >= STABLE_AFTER {
                first_exits.clear();
            }
            first_exits.push(now);

            let restart = process.exited(now, lasts);
            let exits = first_exits.len() as u32;
            let reported = restart.crash_loop.map(|reported| (reported.exits, reported.since));
            prop_assert_eq!(reported, (exits >= loop_exits).then_some((exits, first_exits[0])));
            let wait = restart.at - now;
            prop_assert!(backoff.ceiling(exits) / 2 <= wait && wait <= backoff.max);
            now = restart.at;
        }
    }
}
