//! Where a task stands, in the shape in which stores write it down.
//!
//! Every step is `policy::task`'s decision; here it is only translated, together with what time does
//! to a record ([`Standing::tick`]). Stores write down what these functions give and decide nothing.

use std::time::Duration;

use api::task::TaskState;
use policy::task::{Event, Outcome as Ended, Reason, State, TaskPolicy, step};
use types::{ErrorCode, Priority, TaskId, Timestamp};

use crate::{FailedAttempt, Fence, NewTask, Outcome, Owner, Place, TaskError};

/// Where a task stands, and all that decides about its next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Where it stands.
    pub place: Place,
    /// The lane that it returns to.
    pub priority: Priority,
    /// Attempts begun so far. Never goes back, so that it can be a fence.
    pub attempt: u32,
    /// Those of them that count against the limit.
    pub failures: u32,
    /// How often and when it is tried again.
    pub retry: TaskPolicy,
    /// The server that claimed it last.
    pub owner: Owner,
    /// When time alone changes it: the end of a delay, its deadline, the end of its lease, the end
    /// of its keeping.
    pub due: Option<Timestamp>,
    /// Worthless after this moment.
    pub deadline: Option<Timestamp>,
    /// How long its record is kept after its end.
    pub keep_for: Duration,
}

/// A step in the life of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// The standing after it.
    pub(crate) to: Standing,
    /// The error to be written; `None` leaves the last one.
    pub(crate) error: Option<TaskError>,
    /// How the attempt failed that it ended; `None` if it ended none, or with an answer.
    pub(crate) failed: Option<TaskError>,
}

impl Step {
    /// The attempt that it ended without an answer, for the history of the task. `began` is when
    /// that was claimed.
    pub(crate) fn failed_attempt(
        &self,
        from: &Standing,
        began: Timestamp,
        now: Timestamp,
    ) -> Option<FailedAttempt> {
        let Standing { attempt, owner, .. } = *from;
        let error = self.failed.clone()?;
        Some(FailedAttempt { attempt, owner, began, ended: now, error })
    }
}

impl From<Standing> for Step {
    fn from(to: Standing) -> Self {
        Self { to, error: None, failed: None }
    }
}

/// What the clock does to a task whose `due` has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tick {
    /// It takes a step.
    Step(Step),
    /// Its record is removed.
    Remove,
}

/// A moment in the life of one task: all that a step needs besides the standing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) id: TaskId,
    pub(crate) now: Timestamp,
}

impl Standing {
    /// A task that was just submitted.
    pub(crate) fn new(task: &NewTask) -> Self {
        let standing = Self {
            place: Place::Ready(task.priority),
            priority: task.priority,
            attempt: 0,
            failures: 0,
            retry: task.retry,
            owner: Owner::default(),
            due: None,
            deadline: task.deadline,
            keep_for: task.keep_for,
        };
        standing.written(State::new(task.not_before.unwrap_or_default()), task.created)
    }

    /// A call that ended before it was written.
    pub(crate) fn ended(task: &NewTask, outcome: &Outcome, owner: Owner, now: Timestamp) -> Step {
        let running = Self { place: Place::Running, attempt: 1, owner, ..Self::new(task) };
        let moment = Moment { id: task.id, now };
        match outcome {
            Outcome::Completed(_) => running.settled(outcome, moment),
            Outcome::Failed(error) | Outcome::Retry(error) | Outcome::NotBegun { error, .. } => {
                running.settled(&Outcome::Failed(error.clone()), moment)
            }
        }
    }

    /// The state that clients see.
    pub const fn state(&self) -> TaskState {
        self.place.state()
    }

    /// Whether `fence` is the right to end what runs now.
    pub(crate) fn obeys(&self, fence: &Fence) -> bool {
        self.place == Place::Running && self.owner == fence.owner && self.attempt == fence.attempt
    }

    /// Its next attempt begins; `None` if it cannot be claimed.
    pub(crate) fn claimed(self, owner: Owner, lease_until: Timestamp, at: Moment) -> Option<Self> {
        Self { owner, ..self }.after(Event::Claimed { lease_until }, at)
    }

    /// Its end, if it is too late to begin.
    pub(crate) fn too_late(self, at: Moment) -> Option<Step> {
        let error =
            || TaskError::new(ErrorCode::DeadlineExceeded, "its deadline passed while it waited");
        let late = self.deadline.is_some_and(|deadline| deadline <= at.now);
        late.then(|| self.after(Event::DeadlinePassed, at))
            .flatten()
            .map(|to| self.ending(to, Some(error())))
    }

    /// The attempt that runs goes on.
    pub(crate) fn renewed(self, lease_until: Timestamp, at: Moment) -> Self {
        self.after(Event::Renewed { attempt: self.attempt, lease_until }, at).unwrap_or(self)
    }

    /// The attempt that runs has ended.
    pub(crate) fn settled(self, outcome: &Outcome, at: Moment) -> Step {
        let (ended, error) = match outcome {
            Outcome::Completed(_) => (Ended::Completed, None),
            Outcome::Failed(error) => (Ended::Failed { retryable: false }, Some(error)),
            Outcome::Retry(error) => (Ended::Failed { retryable: true }, Some(error)),
            Outcome::NotBegun { error, not_before } => {
                (Ended::NotBegun { not_before: *not_before }, Some(error))
            }
        };
        let event = Event::Finished { attempt: self.attempt, outcome: ended };
        self.once_more(event, error.cloned(), at)
    }

    /// The server that ran it is gone.
    pub(crate) fn abandoned(self, at: Moment) -> Step {
        let detail = format!("attempt {} was lost with the server that ran it", self.attempt);
        let error = TaskError::new(ErrorCode::WorkerFailed, detail);
        self.once_more(Event::OwnerRestarted, Some(error), at)
    }

    /// Nobody wants it any more; `None` if it has ended.
    pub(crate) fn cancelled(self, at: Moment) -> Option<Step> {
        let error = TaskError::new(ErrorCode::TaskCancelled, "the task was cancelled");
        self.after(Event::CancelAsked, at).map(|to| self.ending(to, Some(error)))
    }

    /// Somebody wants it tried again, with all its attempts anew; `None` where that cannot be.
    pub(crate) fn replayed(self, at: Moment) -> Option<Self> {
        // Its deadline has passed or soon will, and who replays a task wants its answer.
        Self { deadline: None, ..self }.after(Event::Replayed, at)
    }

    /// What happens at `due`.
    pub(crate) fn tick(self, at: Moment) -> Tick {
        if self.state().is_terminal() {
            return Tick::Remove;
        }
        if let Some(step) = self.too_late(at) {
            return Tick::Step(step);
        }
        if self.place != Place::Running {
            // Its delay is over: it moves to its lane and is queued as before.
            return Tick::Step(self.written(self.life(), at.now).into());
        }
        let detail = format!("the lease of attempt {} ended without an answer", self.attempt);
        let error = TaskError::new(ErrorCode::WorkerFailed, detail);
        Tick::Step(self.once_more(Event::LeaseExpired, Some(error), at))
    }

    /// A step after which the task may wait for another attempt, unless its time would be over.
    fn once_more(self, event: Event, error: Option<TaskError>, at: Moment) -> Step {
        let to = self.after(event, at).unwrap_or(self);
        let begins = match to.life() {
            State::Queued { not_before, .. } => not_before.max(at.now),
            _ => return self.ending(to, error),
        };
        if to.deadline.is_none_or(|deadline| begins < deadline) {
            return self.ending(to, error);
        }
        let last = error.as_ref().map_or("", |error| &error.detail);
        let detail = format!("no time is left for another attempt after: {last}");
        let late = TaskError::new(ErrorCode::DeadlineExceeded, detail);
        let to = to.after(Event::DeadlinePassed, at).unwrap_or(to);
        Step { error: Some(late), ..self.ending(to, error) }
    }

    /// A step with its error, which is also that of the attempt that it ends, if one runs.
    fn ending(self, to: Self, error: Option<TaskError>) -> Step {
        let failed = error.clone().filter(|_| self.place == Place::Running);
        Step { to, error, failed }
    }

    /// Lets `policy` decide. The actions that it asks for are performed by whoever runs tasks, who
    /// learns of the step from the answer of the store.
    fn after(self, event: Event, at: Moment) -> Option<Self> {
        // The wait of each attempt of each task is drawn anew, and every store draws the same.
        let seed = at.id.uuid().as_u64_pair().1 ^ u64::from(self.attempt);
        let (next, _) = step(self.life(), event, &self.retry, at.now, seed).ok()?;
        Some(self.written(next, at.now))
    }

    /// As `policy` sees it.
    fn life(&self) -> State {
        let Self { attempt, failures, .. } = *self;
        let due = self.due.unwrap_or_default();
        // Why it ended is kept in words and decides nothing any more.
        let reason = Reason::CallFailed;
        match self.place {
            Place::Ready(_) => {
                State::Queued { attempt, failures, not_before: Timestamp::default() }
            }
            Place::Delayed => State::Queued { attempt, failures, not_before: due },
            Place::Running => State::Running { attempt, failures, lease_until: due },
            Place::Completed => State::Completed { attempt },
            Place::Failed => State::Failed { attempt, reason },
            Place::Cancelled => State::Cancelled { attempt },
            Place::Dead => State::Dead { attempt, reason },
        }
    }

    /// As it is written down.
    fn written(self, life: State, now: Timestamp) -> Self {
        let over = Some(now.after(self.keep_for));
        let (place, due) = match life {
            State::Queued { not_before, .. } if not_before <= now => {
                (Place::Ready(self.priority), self.deadline)
            }
            State::Queued { not_before, .. } => {
                let due = self.deadline.map_or(not_before, |deadline| deadline.min(not_before));
                (Place::Delayed, Some(due))
            }
            State::Running { lease_until, .. } => (Place::Running, Some(lease_until)),
            State::Completed { .. } => (Place::Completed, over),
            State::Failed { .. } => (Place::Failed, over),
            State::Cancelled { .. } => (Place::Cancelled, over),
            State::Dead { .. } => (Place::Dead, over),
        };
        let failures = match life {
            State::Queued { failures, .. } | State::Running { failures, .. } => failures,
            _ => self.failures,
        };
        Self { place, due, attempt: life.attempt(), failures, ..self }
    }
}
