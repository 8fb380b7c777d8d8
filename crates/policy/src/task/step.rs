//! The one function that moves a task.

use types::Timestamp;

use super::{
    Action::{self, Abort, Announce, Dispatch, Offer},
    Event, Outcome, Reason, Refusal,
    State::{self, Cancelled, Completed, Dead, Failed, Queued, Running},
    TaskPolicy,
};

type Step = Result<(State, Vec<Action>), Refusal>;

/// Moves a task one step. What is not written here does not happen to a task. `seed` is for the
/// jitter of the wait before another attempt.
///
/// # Errors
/// [`Refusal`] when the event does not apply; then the task stays as it is.
pub fn step(
    state: State,
    event: Event,
    policy: &TaskPolicy,
    now: Timestamp,
    seed: u64,
) -> Result<(State, Vec<Action>), Refusal> {
    let retry = Retry { policy, now, seed };
    match (state, event) {
        (Queued { attempt, failures, not_before }, event) => {
            from_queued(Begun { attempt, failures }, not_before, event, now)
        }
        (Running { attempt, failures, lease_until }, event) => {
            from_running(Begun { attempt, failures }, lease_until, event, &retry)
        }
        // ## Failed | Dead => Queued
        // The number goes on, so that the earlier attempts stay fenced; the count starts anew.
        (Failed { attempt, .. } | Dead { attempt, .. }, Event::Replayed) => {
            Ok(offer(Begun { attempt, failures: 0 }, now))
        }
        // ## Completed | Failed | Cancelled | Dead => (end)
        (Completed { .. } | Failed { .. } | Cancelled { .. } | Dead { .. }, _) => {
            Err(Refusal::Ended)
        }
    }
}

/// ## Queued => Running | Failed | Cancelled
fn from_queued(begun: Begun, not_before: Timestamp, event: Event, now: Timestamp) -> Step {
    let Begun { attempt, failures } = begun;
    match event {
        Event::Claimed { .. } if now < not_before => Err(Refusal::TooEarly { until: not_before }),
        Event::Claimed { lease_until } => {
            let attempt = attempt.saturating_add(1);
            Ok((Running { attempt, failures, lease_until }, vec![Dispatch { attempt }]))
        }
        Event::CancelAsked => Ok((Cancelled { attempt }, vec![Announce])),
        Event::DeadlinePassed => {
            Ok((Failed { attempt, reason: Reason::DeadlinePassed }, vec![Announce]))
        }
        // All attempts so far have been given up, the latest too.
        Event::Finished { attempt: late, .. } | Event::Renewed { attempt: late, .. } => {
            Err(Refusal::Fenced { late, attempt })
        }
        Event::LeaseExpired | Event::OwnerRestarted | Event::Replayed => Err(Refusal::Misplaced),
    }
}

/// ## Running => Completed | Failed | Cancelled | Queued | Dead
fn from_running(begun: Begun, lease_until: Timestamp, event: Event, retry: &Retry<'_>) -> Step {
    let Begun { attempt, failures } = begun;
    match event {
        Event::Finished { attempt: late, .. } | Event::Renewed { attempt: late, .. }
            if late != attempt =>
        {
            Err(Refusal::Fenced { late, attempt })
        }
        Event::Finished { outcome, .. } => Ok(finish(begun, outcome, retry)),
        Event::Renewed { lease_until: later, .. } => {
            let lease_until = lease_until.max(later);
            Ok((Running { attempt, failures, lease_until }, Vec::new()))
        }
        // A renewal came between.
        Event::LeaseExpired if retry.now < lease_until => {
            Err(Refusal::TooEarly { until: lease_until })
        }
        // The worker may be alive and merely slow, so it is told to stop before the task is
        // offered again.
        Event::LeaseExpired => {
            let (next, then) = retry.after(begun, Reason::WorkerLost);
            Ok((next, vec![Abort { attempt }, then]))
        }
        // Not the task's doing: it is offered at once, and the attempt is not held against it.
        Event::OwnerRestarted => Ok(offer(begun, retry.now)),
        Event::CancelAsked => Ok((Cancelled { attempt }, vec![Abort { attempt }, Announce])),
        Event::DeadlinePassed => {
            let failed = Failed { attempt, reason: Reason::DeadlinePassed };
            Ok((failed, vec![Abort { attempt }, Announce]))
        }
        Event::Claimed { .. } | Event::Replayed => Err(Refusal::Misplaced),
    }
}

fn finish(begun: Begun, outcome: Outcome, retry: &Retry<'_>) -> (State, Vec<Action>) {
    let attempt = begun.attempt;
    match outcome {
        Outcome::Completed => (Completed { attempt }, vec![Announce]),
        Outcome::Cancelled => (Cancelled { attempt }, vec![Announce]),
        Outcome::Failed { retryable: false } => {
            (Failed { attempt, reason: Reason::CallFailed }, vec![Announce])
        }
        Outcome::Failed { retryable: true } => {
            let (next, then) = retry.after(begun, Reason::CallFailed);
            (next, vec![then])
        }
        Outcome::NotBegun { not_before } => offer(begun, not_before),
    }
}

fn offer(begun: Begun, not_before: Timestamp) -> (State, Vec<Action>) {
    (begun.queued(not_before), vec![Offer { not_before }])
}

/// The attempts of a task so far.
#[derive(Clone, Copy)]
struct Begun {
    attempt: u32,
    failures: u32,
}

impl Begun {
    const fn queued(self, not_before: Timestamp) -> State {
        Queued { attempt: self.attempt, failures: self.failures, not_before }
    }
}

/// What decides over another attempt.
struct Retry<'a> {
    policy: &'a TaskPolicy,
    now: Timestamp,
    seed: u64,
}

impl Retry<'_> {
    /// Another attempt after a wait, or the end.
    fn after(&self, begun: Begun, reason: Reason) -> (State, Action) {
        let failures = begun.failures.saturating_add(1);
        if failures >= self.policy.attempts_max {
            return (Dead { attempt: begun.attempt, reason }, Announce);
        }
        let not_before = self.now.after(self.policy.backoff.wait(failures, self.seed));
        (Begun { failures, ..begun }.queued(not_before), Offer { not_before })
    }
}

#[cfg(test)]
mod tests;
