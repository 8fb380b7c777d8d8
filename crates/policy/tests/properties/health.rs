//! Health: a busy worker is never taken for a stuck one, and looking again is never too late.

use std::time::{Duration, Instant};

use policy::health::{CallHealth, Health, HeldCall, Replica, Stage};
use proptest::prelude::*;
use types::CallId;

const HEARTBEAT: Duration = Duration::from_secs(2);

/// Calls of the hour after `start`, limits in seconds.
fn calls(start: Instant) -> impl Strategy<Value = Vec<HeldCall>> {
    let limit = || prop::option::of(1..1000u64);
    let call = (0..3600u64, 0..1000u64, limit(), limit(), limit()).prop_map(
        move |(begun, progress, timeout, progress_timeout, cancel)| {
            let begun = start + Duration::from_secs(begun);
            let after_begin = |seconds| begun + Duration::from_secs(seconds);
            HeldCall {
                call: CallId::new(uuid::Uuid::from_u128(progress.into())),
                begun,
                progress: after_begin(progress),
                timeout: timeout.map(Duration::from_secs),
                progress_timeout: progress_timeout.map(Duration::from_secs),
                cancel_asked: cancel.map(after_begin),
            }
        },
    );
    prop::collection::vec(call, 0..6)
}

fn stages() -> impl Strategy<Value = Stage> {
    prop::sample::select(vec![Stage::Starting, Stage::Ready, Stage::Draining, Stage::Gone])
}

/// A moment to build the others from; only differences matter.
fn epoch() -> Instant {
    static EPOCH: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

proptest! {
    #![proptest_config(crate::cases(512))]

    #[test]
    fn inside_its_limits_no_call_is_evidence_of_a_stall(
        calls in calls(epoch()),
        stage in stages(),
        after in 0..8000u64,
    ) {
        let now = epoch() + Duration::from_secs(after);
        let lease_until = now + Duration::from_secs(1);
        let replica = Replica { stage, lease_until, heartbeat: HEARTBEAT, calls: &calls };
        let proves_a_stall = |call: &HeldCall| {
            let passed = |from: Instant, limit: Option<Duration>| {
                limit.is_some_and(|limit| now >= from + limit + HEARTBEAT)
            };
            let outlived = passed(call.begun, call.timeout)
                || passed(call.progress, call.progress_timeout);
            outlived && call.cancel_asked.is_some_and(|asked| now >= asked + HEARTBEAT)
        };
        let is_stuck = matches!(replica.health(now), Health::Stuck { .. });
        prop_assert_eq!(is_stuck, stage != Stage::Gone && calls.iter().any(proves_a_stall));
        for call in &calls {
            let is_inside = call.due().is_none_or(|due| now < due);
            prop_assert!(!is_inside || call.health(HEARTBEAT, now) == CallHealth::Fine);
        }
    }

    #[test]
    fn nothing_changes_before_the_moment_to_look_again(
        calls in calls(epoch()),
        stage in stages(),
        after in 0..8000u64,
        lease in 0..600u64,
        share in 0.0..1.0f64,
    ) {
        let now = epoch() + Duration::from_secs(after);
        let lease_until = now + Duration::from_secs(lease);
        let replica = Replica { stage, lease_until, heartbeat: HEARTBEAT, calls: &calls };
        let judged = |at| {
            // Of several stuck calls the name may differ; that it is stuck may not.
            let health = std::mem::discriminant(&replica.health(at));
            (health, replica.overdue(at).collect::<Vec<_>>())
        };
        let between = match replica.look_again(now) {
            Some(at) => now + (at - now - Duration::from_nanos(1)).mul_f64(share),
            None => now + Duration::from_secs(100_000).mul_f64(share),
        };
        prop_assert_eq!(judged(between), judged(now));
    }
}
