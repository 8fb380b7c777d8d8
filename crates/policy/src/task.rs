//! The life of a durable task.
//!
//! ```text
//! queued ⇄ running → completed | failed | cancelled | dead        failed | dead → queued (replay)
//! ```
//!
//! Every attempt has a number that only rises. It is the fence: what an older attempt reports, late
//! and from a worker that was given up, is refused. So a task has one result, and a task that ended
//! never runs again unless a person replays it.

use types::{RetrySpec, Timestamp};

use crate::backoff::Backoff;

mod step;

pub use step::step;

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waits for a place.
    Queued {
        /// Attempts begun so far.
        attempt: u32,
        /// Those of them that count against the limit.
        failures: u32,
        /// Not to be claimed before.
        not_before: Timestamp,
    },
    /// Runs on a worker.
    Running {
        /// The number of this attempt, from 1.
        attempt: u32,
        /// Earlier attempts that count against the limit.
        failures: u32,
        /// When it is given up unless the lease is renewed.
        lease_until: Timestamp,
    },
    /// Has its result.
    Completed {
        /// The attempt that brought it.
        attempt: u32,
    },
    /// Ended with an error that another attempt cannot mend.
    Failed {
        /// Attempts begun.
        attempt: u32,
        /// Why it ended.
        reason: Reason,
    },
    /// Was cancelled.
    Cancelled {
        /// Attempts begun.
        attempt: u32,
    },
    /// Used up its attempts; waits in the dead-letter list for a person.
    Dead {
        /// Attempts begun.
        attempt: u32,
        /// How the last one ended.
        reason: Reason,
    },
}

/// Why an attempt was the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The call failed.
    CallFailed,
    /// The worker was not heard of any more.
    WorkerLost,
    /// The deadline of the task passed.
    DeadlinePassed,
}

/// What happens to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A place was found for it.
    Claimed {
        /// When the lease ends unless renewed.
        lease_until: Timestamp,
    },
    /// Its attempt is known to be alive.
    Renewed {
        /// Which attempt.
        attempt: u32,
        /// When the lease ends now.
        lease_until: Timestamp,
    },
    /// An attempt has ended.
    Finished {
        /// Which attempt.
        attempt: u32,
        /// How.
        outcome: Outcome,
    },
    /// Nothing was heard of the attempt until the end of its lease.
    LeaseExpired,
    /// The server that ran it, with its workers, is gone and has come back.
    OwnerRestarted,
    /// A client wants it to stop.
    CancelAsked,
    /// Its deadline has passed.
    DeadlinePassed,
    /// A person wants it tried again.
    Replayed,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With a result.
    Completed,
    /// With an error.
    Failed {
        /// Whether another attempt may end otherwise.
        retryable: bool,
    },
    /// Its code stopped because the call was cancelled.
    Cancelled,
    /// It was never begun: no worker took it. It does not count against the limit.
    NotBegun {
        /// When it may be claimed again.
        not_before: Timestamp,
    },
}

/// What the caller must now do, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Send it to its worker.
    Dispatch {
        /// The fence to send along.
        attempt: u32,
    },
    /// Tell the worker to stop, if it can be reached. It may not listen: workers must expect a
    /// task more than once.
    Abort {
        /// The attempt to stop.
        attempt: u32,
    },
    /// Put it into the queue of its model.
    Offer {
        /// When it may be claimed.
        not_before: Timestamp,
    },
    /// It has ended: tell those who wait for it.
    Announce,
}

/// How often and when a task is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskPolicy {
    /// Attempts in all, the first included. Those that ended with the server, or were
    /// never begun, do not count.
    pub attempts_max: u32,
    /// Waits between them.
    pub backoff: Backoff,
}

impl From<&RetrySpec> for TaskPolicy {
    fn from(spec: &RetrySpec) -> Self {
        Self { attempts_max: spec.attempts_max, backoff: spec.into() }
    }
}

/// Why an event changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The task has ended.
    #[error("the task has already ended")]
    Ended,
    /// An older attempt reports after it was given up.
    #[error("attempt {late} was given up; the task is at attempt {attempt}")]
    Fenced {
        /// The attempt that reports.
        late: u32,
        /// Attempts begun by now.
        attempt: u32,
    },
    /// The time for it has not come.
    #[error("not before {}", .until.millis())]
    TooEarly {
        /// When it has.
        until: Timestamp,
    },
    /// The event belongs to another state, for example a claim of a task that runs.
    #[error("it does not apply to the task as it stands")]
    Misplaced,
}

impl State {
    /// A new task. It is offered as it is written; no event leads here.
    pub const fn new(now: Timestamp) -> Self {
        Self::Queued { attempt: 0, failures: 0, not_before: now }
    }

    /// Attempts begun so far.
    pub const fn attempt(&self) -> u32 {
        match *self {
            Self::Queued { attempt, .. }
            | Self::Running { attempt, .. }
            | Self::Completed { attempt }
            | Self::Failed { attempt, .. }
            | Self::Cancelled { attempt }
            | Self::Dead { attempt, .. } => attempt,
        }
    }

    /// Whether it has ended.
    pub const fn is_terminal(&self) -> bool {
        !matches!(self, Self::Queued { .. } | Self::Running { .. })
    }
}
