//! The life of a task: pure steps from one standing to the next. Every store writes down what these
//! functions decide and decides nothing itself.

use std::time::Duration;

use api::task::TaskState;
use types::{ErrorCode, Priority, Timestamp};

use crate::{Fence, NewTask, Outcome, Owner, Place, TaskError};

/// Where a task stands, and all that decides about its next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Where it stands.
    pub place: Place,
    /// The lane that it returns to.
    pub priority: Priority,
    /// The last attempt that was claimed, from 1; 0 before the first. Never goes back, so that it
    /// can be a fence.
    pub attempt: u32,
    /// Attempts that do not count: never begun, or before a replay.
    pub forgiven: u32,
    /// Attempts that may count in all.
    pub attempts_max: u32,
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
}

impl From<Standing> for Step {
    fn from(to: Standing) -> Self {
        Self { to, error: None }
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

impl Standing {
    /// A task that was just submitted.
    pub(crate) fn new(task: &NewTask) -> Self {
        let standing = Self {
            place: Place::Ready(task.priority),
            priority: task.priority,
            attempt: 0,
            forgiven: 0,
            attempts_max: task.attempts_max.max(1),
            owner: Owner::default(),
            due: None,
            deadline: task.deadline,
            keep_for: task.keep_for,
        };
        standing.waiting(task.not_before.unwrap_or_default(), task.created)
    }

    /// A call that ended before it was written.
    pub(crate) fn ended(task: &NewTask, outcome: &Outcome, ended: Timestamp, owner: Owner) -> Step {
        let claimed = Self::new(task).claimed(owner, ended);
        match outcome {
            Outcome::Completed(_) => claimed.over(Place::Completed, ended, None),
            Outcome::Failed(error)
            | Outcome::Retry { error, .. }
            | Outcome::NotBegun { error, .. } => {
                claimed.over(Place::Failed, ended, Some(error.clone()))
            }
        }
    }

    /// The state that clients see.
    pub const fn state(&self) -> TaskState {
        self.place.state()
    }

    /// Attempts that count so far.
    pub const fn attempts_counted(&self) -> u32 {
        self.attempt.saturating_sub(self.forgiven)
    }

    /// Whether `fence` is the right to end what runs now.
    pub(crate) fn obeys(&self, fence: &Fence) -> bool {
        self.place == Place::Running && self.owner == fence.owner && self.attempt == fence.attempt
    }

    /// Ready => Running.
    pub(crate) const fn claimed(self, owner: Owner, lease_until: Timestamp) -> Self {
        let attempt = self.attempt + 1;
        Self { place: Place::Running, owner, attempt, due: Some(lease_until), ..self }
    }

    /// Ready => Failed, if it is too late to begin.
    pub(crate) fn too_late(self, now: Timestamp) -> Option<Step> {
        self.deadline.is_some_and(|deadline| deadline <= now).then(|| self.missed_deadline(now))
    }

    /// Running => Completed | Failed | Dead | Ready | Delayed.
    pub(crate) fn settled(self, outcome: &Outcome, now: Timestamp) -> Step {
        match outcome {
            Outcome::Completed(_) => self.over(Place::Completed, now, None),
            Outcome::Failed(error) => self.over(Place::Failed, now, Some(error.clone())),
            Outcome::Retry { error, not_before } => self.again(error.clone(), *not_before, now),
            Outcome::NotBegun { error, not_before } => {
                let to = Self { forgiven: self.forgiven + 1, ..self };
                to.again(error.clone(), *not_before, now)
            }
        }
    }

    /// Running => Ready | Dead: whoever ran it is gone.
    pub(crate) fn abandoned(self, now: Timestamp) -> Step {
        let detail = format!("attempt {} was lost with the server that ran it", self.attempt);
        self.again(TaskError::new(ErrorCode::WorkerFailed, detail), now, now)
    }

    /// Ready | Delayed | Running => Cancelled; `None` if it has ended.
    pub(crate) fn cancelled(self, now: Timestamp) -> Option<Step> {
        let error = TaskError::new(ErrorCode::TaskCancelled, "the task was cancelled");
        (!self.state().is_terminal()).then(|| self.over(Place::Cancelled, now, Some(error)))
    }

    /// Failed | Cancelled | Dead => Ready, with all its attempts anew and no deadline; `None` for
    /// other states.
    pub(crate) fn replayed(self, now: Timestamp) -> Option<Self> {
        matches!(self.place, Place::Failed | Place::Cancelled | Place::Dead).then(|| {
            // The old deadline has passed or soon will: who replays a task wants its answer.
            Self { forgiven: self.attempt, deadline: None, ..self }.waiting(now, now)
        })
    }

    /// What happens at `due`.
    pub(crate) fn tick(self, now: Timestamp) -> Tick {
        match self.place {
            Place::Ready(_) => Tick::Step(self.missed_deadline(now)),
            Place::Delayed => {
                Tick::Step(self.too_late(now).unwrap_or_else(|| self.waiting(now, now).into()))
            }
            Place::Running => {
                let detail =
                    format!("the lease of attempt {} ended without an answer", self.attempt);
                let error = TaskError::new(ErrorCode::WorkerFailed, detail);
                Tick::Step(self.again(error, now, now))
            }
            Place::Completed | Place::Failed | Place::Cancelled | Place::Dead => Tick::Remove,
        }
    }

    /// Back into the queue, unless its attempts or its time are used up.
    fn again(self, error: TaskError, not_before: Timestamp, now: Timestamp) -> Step {
        if self.attempts_counted() >= self.attempts_max {
            return self.over(Place::Dead, now, Some(error));
        }
        if self.deadline.is_some_and(|deadline| deadline <= now.max(not_before)) {
            let detail = format!("no time is left for another attempt after: {}", error.detail);
            let error = TaskError::new(ErrorCode::DeadlineExceeded, detail);
            return self.over(Place::Failed, now, Some(error));
        }
        Step { to: self.waiting(not_before, now), error: Some(error) }
    }

    fn waiting(self, not_before: Timestamp, now: Timestamp) -> Self {
        if not_before <= now {
            return Self { place: Place::Ready(self.priority), due: self.deadline, ..self };
        }
        let due = self.deadline.map_or(not_before, |deadline| deadline.min(not_before));
        Self { place: Place::Delayed, due: Some(due), ..self }
    }

    fn missed_deadline(self, now: Timestamp) -> Step {
        let error = TaskError::new(
            ErrorCode::DeadlineExceeded,
            "the deadline of the task passed while it waited",
        );
        self.over(Place::Failed, now, Some(error))
    }

    fn over(self, place: Place, now: Timestamp, error: Option<TaskError>) -> Step {
        Step { to: Self { place, due: Some(now.after(self.keep_for)), ..self }, error }
    }
}
