//! Stories of tasks.

use std::time::Duration;

use super::*;
use crate::backoff::Backoff;

#[test]
fn a_task_runs_once_and_has_its_result() {
    check(
        "
        claim     running 1     dispatch#1
        renew#1   running 1
        ok#1      completed 1   announce
    ",
    );
}

#[test]
fn a_task_that_fails_is_tried_three_times_and_then_given_up() {
    check(
        "
        claim     running 1     dispatch#1
        fail#1    queued 1      offer
        claim     running 2     dispatch#2
        fail#2    queued 2      offer
        claim     running 3     dispatch#3
        fail#3    dead 3        announce
    ",
    );
}

#[test]
fn an_error_that_another_attempt_cannot_mend_ends_it() {
    check(
        "
        claim     running 1     dispatch#1
        refuse#1  failed 1      announce
    ",
    );
}

#[test]
fn a_worker_that_is_lost_is_told_to_stop_and_its_late_result_is_refused() {
    check(
        "
        claim     running 1     dispatch#1
        lost      queued 1      abort#1 offer
        ok#1      fenced
        claim     running 2     dispatch#2
        ok#1      fenced
        renew#1   fenced
        ok#2      completed 2   announce
    ",
    );
}

#[test]
fn a_worker_that_is_lost_three_times_takes_the_task_with_it() {
    check(
        "
        claim     running 1     dispatch#1
        lost      queued 1      abort#1 offer
        claim     running 2     dispatch#2
        lost      queued 2      abort#2 offer
        claim     running 3     dispatch#3
        lost      dead 3        abort#3 announce
    ",
    );
}

#[test]
fn restarts_of_the_server_are_not_held_against_a_task() {
    check(
        "
        claim     running 1     dispatch#1
        restart   queued 1      offer
        claim     running 2     dispatch#2
        restart   queued 2      offer
        claim     running 3     dispatch#3
        restart   queued 3      offer
        claim     running 4     dispatch#4
        fail#4    queued 4      offer
    ",
    );
}

#[test]
fn an_attempt_that_was_never_begun_is_not_held_against_a_task() {
    check(
        "
        claim     running 1     dispatch#1
        unbegun#1 queued 1      offer
        claim     running 2     dispatch#2
        unbegun#2 queued 2      offer
        claim     running 3     dispatch#3
        unbegun#3 queued 3      offer
        claim     running 4     dispatch#4
        unbegun#3 fenced
        fail#4    queued 4      offer
    ",
    );
}

#[test]
fn a_cancel_stops_the_worker_first_and_tells_the_others_after() {
    check("cancel cancelled 0 announce");
    check(
        "
        claim     running 1     dispatch#1
        cancel    cancelled 1   abort#1 announce
        ok#1      ended
        replay    ended
    ",
    );
    check(
        "
        claim     running 1     dispatch#1
        stop#1    cancelled 1   announce
    ",
    );
}

#[test]
fn a_deadline_ends_a_task_that_waits_and_one_that_runs() {
    check("deadline failed 0 announce");
    check(
        "
        claim     running 1     dispatch#1
        deadline  failed 1      abort#1 announce
        deadline  ended
    ",
    );
}

#[test]
fn a_replay_starts_counting_anew_but_the_old_attempts_stay_fenced() {
    check(
        "
        claim     running 1     dispatch#1
        refuse#1  failed 1      announce
        replay    queued 1      offer
        ok#1      fenced
        claim     running 2     dispatch#2
        fail#2    queued 2      offer
        claim     running 3     dispatch#3
        fail#3    queued 3      offer
        claim     running 4     dispatch#4
        fail#4    dead 4        announce
        replay    queued 4      offer
    ",
    );
}

#[test]
fn events_of_another_state_are_refused() {
    check(
        "
        lost      misplaced
        restart   misplaced
        replay    misplaced
        claim     running 1     dispatch#1
        claim     misplaced
        replay    misplaced
        ok#1      completed 1   announce
        claim     ended
        lost      ended
        restart   ended
        cancel    ended
        replay    ended
    ",
    );
}

#[test]
fn neither_a_claim_nor_the_end_of_a_lease_comes_early() {
    let now = Timestamp::from_millis(1000);
    let soon = now.after(Duration::from_millis(1));
    let queued = Queued { attempt: 1, failures: 1, not_before: soon };
    let claim = Event::Claimed { lease_until: now.after(Duration::from_secs(9)) };
    let early = Err(Refusal::TooEarly { until: soon });
    assert_eq!(step(queued, claim, &POLICY, now, 0), early);
    assert!(step(queued, claim, &POLICY, soon, 0).is_ok());

    let running = Running { attempt: 1, failures: 0, lease_until: soon };
    assert_eq!(step(running, Event::LeaseExpired, &POLICY, now, 0), early);
    assert!(step(running, Event::LeaseExpired, &POLICY, soon, 0).is_ok());
}

const POLICY: TaskPolicy = TaskPolicy {
    attempts_max: 3,
    backoff: Backoff { base: Duration::from_secs(1), max: Duration::from_secs(30) },
};

/// Each line: an event, the state it leads to, the actions it asks for. An hour lies between
/// two lines, so that every wait and every lease is over.
#[track_caller]
fn check(story: &str) {
    let mut now = Timestamp::from_millis(0);
    let mut state = State::new(now);
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.split_whitespace();
        let event = event(words.next().unwrap(), now);
        let told = match step(state, event, &POLICY, now, 7) {
            Ok((next, actions)) => {
                state = next;
                actions.into_iter().fold(word(state), |told, action| told + &said(action))
            }
            Err(refusal) => refused(refusal).to_owned(),
        };
        let told: Vec<_> = told.split_whitespace().collect();
        assert_eq!(told, words.collect::<Vec<_>>(), "in `{line}`");
        now = now.after(Duration::from_secs(3600));
    }
}

fn event(text: &str, now: Timestamp) -> Event {
    let (word, attempt) = text.split_once('#').unwrap_or((text, "0"));
    let attempt = attempt.parse().unwrap();
    let lease_until = now.after(Duration::from_secs(60));
    let finished = |outcome| Event::Finished { attempt, outcome };
    match word {
        "claim" => Event::Claimed { lease_until },
        "renew" => Event::Renewed { attempt, lease_until },
        "ok" => finished(Outcome::Completed),
        "fail" => finished(Outcome::Failed { retryable: true }),
        "refuse" => finished(Outcome::Failed { retryable: false }),
        "unbegun" => finished(Outcome::NotBegun { not_before: now }),
        "stop" => finished(Outcome::Cancelled),
        "lost" => Event::LeaseExpired,
        "restart" => Event::OwnerRestarted,
        "cancel" => Event::CancelAsked,
        "deadline" => Event::DeadlinePassed,
        "replay" => Event::Replayed,
        other => panic!("no event is called {other}"),
    }
}

fn word(state: State) -> String {
    let word = match state {
        Queued { .. } => "queued",
        Running { .. } => "running",
        Completed { .. } => "completed",
        Failed { .. } => "failed",
        Cancelled { .. } => "cancelled",
        Dead { .. } => "dead",
    };
    format!("{word} {}", state.attempt())
}

fn said(action: Action) -> String {
    match action {
        Dispatch { attempt } => format!(" dispatch#{attempt}"),
        Abort { attempt } => format!(" abort#{attempt}"),
        Offer { .. } => " offer".to_owned(),
        Announce => " announce".to_owned(),
    }
}

fn refused(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Ended => "ended",
        Refusal::Fenced { .. } => "fenced",
        Refusal::TooEarly { .. } => "early",
        Refusal::Misplaced => "misplaced",
    }
}
