//! Health: a busy worker is never taken for a stuck one, and a lost one never for a living one.

use std::time::{Duration, Instant};

use policy::health::{CallHealth, Health, HeldCall, Worker};
use proptest::prelude::*;
use types::CallId;

const HEARTBEAT: Duration = Duration::from_secs(2);

/// Calls of the hour after `start`.
fn calls(start: Instant) -> impl Strategy<Value = Vec<HeldCall>> {
    let moment = move || {
        prop::option::of((0..3600u64).prop_map(move |second| start + Duration::from_secs(second)))
    };
    let call = (any::<u128>(), moment(), moment(), moment()).prop_map(
        |(id, timeout_at, silent_at, cancel_asked)| HeldCall {
            call: CallId::new(uuid::Uuid::from_u128(id)),
            timeout_at,
            silent_at,
            cancel_asked,
        },
    );
    prop::collection::vec(call, 0..6)
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
        after in 0..4000u64,
        lease in prop::option::of(0..4000u64),
    ) {
        let now = epoch() + Duration::from_secs(after);
        let lease_until = lease.map(|second| epoch() + Duration::from_secs(second));
        let health = Worker { lease_until, heartbeat: HEARTBEAT, calls: calls.iter() }.health(now);

        let is_past = |at: Option<Instant>| at.is_some_and(|at| now >= at + HEARTBEAT);
        let proves_a_stall = |call: &HeldCall| {
            (is_past(call.timeout_at) || is_past(call.silent_at)) && is_past(call.cancel_asked)
        };
        let is_lost = lease_until.is_some_and(|until| until <= now);
        prop_assert_eq!(health == Health::Lost, is_lost);
        let is_stuck = matches!(health, Health::Stuck { .. });
        prop_assert_eq!(is_stuck, !is_lost && calls.iter().any(proves_a_stall));
        for call in &calls {
            let is_inside = call.due().is_none_or(|due| now < due);
            prop_assert!(!is_inside || call.health(HEARTBEAT, now) == CallHealth::Fine);
            prop_assert_eq!(call.health(HEARTBEAT, now) == CallHealth::Stuck, proves_a_stall(call));
        }
    }

    #[test]
    fn the_call_that_is_named_has_been_stuck_for_longest(
        calls in calls(epoch()),
        after in 0..4000u64,
        earlier in 0..4000u64,
    ) {
        let worker = || Worker { lease_until: None, heartbeat: HEARTBEAT, calls: calls.iter() };
        let at = |second| epoch() + Duration::from_secs(second);
        let Health::Stuck { call } = worker().health(at(after)) else { return Ok(()) };
        match worker().health(at(earlier.min(after))) {
            Health::Stuck { call: before } => prop_assert_eq!(before, call),
            health => prop_assert_eq!(health, Health::Well),
        }
    }
}
