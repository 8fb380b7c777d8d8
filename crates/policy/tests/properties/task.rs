//! The life of a task under any sequence of events.

use std::{collections::BTreeSet, time::Duration};

use policy::{
    backoff::Backoff,
    task::{Action, Event, Outcome, Refusal, State, TaskPolicy, step},
};
use proptest::prelude::*;
use types::Timestamp;

const LEASE: Duration = Duration::from_secs(30);

/// An event, with attempts counted back from the latest, and the seconds before it.
fn events() -> impl Strategy<Value = Vec<(u64, Event)>> {
    let outcome = prop::sample::select(vec![
        Outcome::Completed,
        Outcome::Failed { retryable: true },
        Outcome::Failed { retryable: true },
        Outcome::Failed { retryable: false },
        Outcome::Cancelled,
        Outcome::NotBegun { not_before: Timestamp::default() },
    ]);
    let attempt = prop_oneof![4 => Just(0u32), 1 => 1..3u32];
    let lease_until = Timestamp::default();
    let event = prop_oneof![
        8 => Just(Event::Claimed { lease_until }),
        2 => attempt.clone().prop_map(move |attempt| Event::Renewed { attempt, lease_until }),
        4 => (attempt, outcome).prop_map(|(attempt, outcome)| Event::Finished { attempt, outcome }),
        2 => Just(Event::LeaseExpired),
        1 => Just(Event::OwnerRestarted),
        1 => Just(Event::CancelAsked),
        1 => Just(Event::DeadlinePassed),
        2 => Just(Event::Replayed),
    ];
    prop::collection::vec((0..40u64, event), 0..60)
}

/// Fills in what depends on the history.
fn placed(event: Event, state: State, now: Timestamp) -> Event {
    let lease_until = now.after(LEASE);
    let nth = |back: u32| state.attempt().wrapping_sub(back);
    match event {
        Event::Claimed { .. } => Event::Claimed { lease_until },
        Event::Renewed { attempt, .. } => Event::Renewed { attempt: nth(attempt), lease_until },
        Event::Finished { attempt, outcome } => Event::Finished { attempt: nth(attempt), outcome },
        other => other,
    }
}

fn is_running(state: State) -> bool {
    matches!(state, State::Running { .. })
}

/// What must be true of one step that was taken.
fn check_step(before: State, event: Event, after: State, actions: &[Action]) {
    let said = |wanted: Action| actions.iter().filter(|action| **action == wanted).count();
    assert!(after.attempt() >= before.attempt(), "the fence never goes back");
    if before.is_terminal() {
        assert!(matches!(before, State::Failed { .. } | State::Dead { .. }), "{before:?} ends");
        assert_eq!(event, Event::Replayed);
    }
    if let Event::Finished { attempt, .. } = event {
        assert!(is_running(before) && attempt == before.attempt(), "a late result was taken");
    }
    assert_eq!(said(Action::Announce), usize::from(after.is_terminal()), "the end is told once");
    match after {
        State::Queued { not_before, .. } => {
            assert_eq!(
                actions.last(),
                Some(&Action::Offer { not_before }),
                "nobody would claim it"
            );
        }
        State::Running { attempt, .. } if !is_running(before) => {
            assert_eq!(actions, [Action::Dispatch { attempt }]);
        }
        _ => {}
    }
    // One that may still run is told to stop; the dead and the finished need not be told.
    let may_still_run = is_running(before)
        && !is_running(after)
        && !matches!(event, Event::Finished { .. } | Event::OwnerRestarted);
    assert_eq!(said(Action::Abort { attempt: before.attempt() }), usize::from(may_still_run));
}

proptest! {
    #![proptest_config(crate::cases(512))]

    #[test]
    fn one_result_rising_attempts_and_an_end_that_stays(
        attempts_max in 1..5u32,
        events in events(),
        seed in any::<u64>(),
    ) {
        let backoff = Backoff { base: Duration::from_secs(1), max: Duration::from_secs(20) };
        let policy = TaskPolicy { attempts_max, backoff };
        let mut now = Timestamp::from_millis(1_000_000);
        let mut state = State::new(now);
        let mut dispatched = BTreeSet::new();
        for (after, event) in events {
            now = now.after(Duration::from_secs(after));
            let event = placed(event, state, now);
            match step(state, event, &policy, now, seed) {
                Ok((next, actions)) => {
                    check_step(state, event, next, &actions);
                    for action in &actions {
                        if let Action::Dispatch { attempt } = action {
                            prop_assert!(dispatched.insert(*attempt), "an attempt ran twice");
                        }
                    }
                    state = next;
                }
                Err(refusal) => prop_assert_eq!(refusal == Refusal::Ended, state.is_terminal()),
            }
            if let State::Queued { failures, .. } | State::Running { failures, .. } = state {
                prop_assert!(failures < attempts_max);
            }
        }
    }

    #[test]
    fn a_task_whose_every_attempt_fails_is_dead_after_exactly_so_many(
        attempts_max in 1..8u32,
        is_lost in prop::collection::vec(any::<bool>(), 8),
        seed in any::<u64>(),
    ) {
        let backoff = Backoff { base: Duration::from_secs(1), max: Duration::from_secs(20) };
        let policy = TaskPolicy { attempts_max, backoff };
        let mut now = Timestamp::from_millis(0);
        let mut state = State::new(now);
        for attempt in 1..=attempts_max {
            now = now.after(backoff.max);
            let claim = Event::Claimed { lease_until: now };
            state = step(state, claim, &policy, now, seed).unwrap().0;
            prop_assert!(is_running(state) && state.attempt() == attempt);
            let end = if is_lost[attempt as usize - 1] {
                Event::LeaseExpired
            } else {
                Event::Finished { attempt, outcome: Outcome::Failed { retryable: true } }
            };
            state = step(state, end, &policy, now, seed).unwrap().0;
        }
        let is_dead = matches!(state, State::Dead { .. });
        prop_assert!(is_dead, "{state:?}");
    }
}
