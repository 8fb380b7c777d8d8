//! The one door to the database of tasks.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use api::task::TaskState;
use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use types::{ErrorCode, ModelName, Priority, TaskId, Tenant, Timestamp};

use crate::{
    EndedTask, FailedAttempt, Fence, NewTask, Notice, Owner, Place, Progress, Restored, StoreError,
    StoredAnswer, TaskError, TaskRecord, WholePage, WholeTask,
};

/// How a submission went.
#[derive(Debug, Clone, PartialEq)]
pub enum Submitted {
    /// It is on disk.
    New,
    /// The same key was used for the same request before; this is that task.
    Existing(Box<TaskRecord>),
    /// The same key was used for another request; nothing was written.
    Conflict {
        /// The task that has the key.
        id: TaskId,
    },
    /// As many tasks of the model wait as may; nothing was written.
    Full,
}

/// How one attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The model answered.
    Completed(StoredAnswer),
    /// Trying again would give the same.
    Failed(TaskError),
    /// Worth another attempt, if one is left; else the task is dead.
    Retry(TaskError),
    /// The attempt was never begun and does not count.
    NotBegun {
        /// What was in the way.
        error: TaskError,
        /// Not to be begun before this moment.
        not_before: Timestamp,
    },
}

/// Whether an outcome was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// It is on disk; the task now stands here.
    Applied(TaskState),
    /// Somebody else decides about the task by now; nothing was written.
    Fenced,
}

/// Whether a lease goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// It does.
    Held,
    /// Somebody else decides about the task by now: stop working on it.
    Lost,
}

/// How a cancellation went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// The task is cancelled; an attempt that runs has lost its lease.
    Now,
    /// It had ended before.
    Ended(TaskState),
    /// No such task.
    Unknown,
}

/// How a replay went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// It waits again, with all its attempts anew.
    Queued,
    /// Only failed and dead tasks can be replayed.
    Refused(TaskState),
    /// No such task.
    Unknown,
}

/// How it went to throw a task away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discarded {
    /// Nothing is known of it any more.
    Removed,
    /// Only dead tasks can be discarded; this one stands here.
    Refused(TaskState),
    /// No such task.
    Unknown,
}

/// Which tasks to list; an absent field matches all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskFilter {
    /// Tasks of this model.
    pub model: Option<ModelName>,
    /// Tasks in this state.
    pub state: Option<TaskState>,
    /// Tasks of this tenant.
    pub tenant: Option<Tenant>,
    /// Tasks whose last error has this code; completed ones have none.
    pub error_code: Option<ErrorCode>,
}

impl TaskFilter {
    /// The places where a task that matches may stand.
    pub(crate) fn places(&self) -> Vec<Place> {
        let may_match = |place: &Place| {
            self.state.is_none_or(|state| place.state() == state)
                && (self.error_code.is_none() || *place != Place::Completed)
        };
        Place::ALL.into_iter().filter(may_match).collect()
    }
}

/// The place in the order of submissions where the next page goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub u64);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Cursor {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// One page, newest submission first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TaskList {
    /// The tasks.
    pub tasks: Vec<TaskRecord>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<Cursor>,
}

/// How many tasks one model has in each state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelTasks {
    /// The model.
    pub model: ModelName,
    /// How many stand in each state, in the order of [`TaskState::ALL`].
    pub counts: [u64; TaskState::ALL.len()],
}

impl ModelTasks {
    /// Adds up what stands in each place, ordered by model.
    pub(crate) fn count_all(found: impl Iterator<Item = (ModelName, Place, u64)>) -> Vec<Self> {
        let mut models = BTreeMap::<ModelName, [u64; TaskState::ALL.len()]>::new();
        for (model, place, count) in found {
            models.entry(model).or_default()[index(place.state())] += count;
        }
        models.into_iter().map(|(model, counts)| Self { model, counts }).collect()
    }

    /// How many stand in `state`.
    pub fn count(&self, state: TaskState) -> u64 {
        self.counts[index(state)]
    }
}

fn index(state: TaskState) -> usize {
    TaskState::ALL.iter().position(|known| *known == state).unwrap_or_default()
}

/// A task that took a step without being asked to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Changed {
    /// The task.
    pub id: TaskId,
    /// Its model.
    pub model: ModelName,
    /// Where it stands now.
    pub place: Place,
    /// Attempts begun so far; none of them goes on.
    pub attempt: u32,
}

/// What a server wants of a cap that it shares with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapWish {
    /// The model whose calls are capped.
    pub model: ModelName,
    /// Calls of all servers that may run at once.
    pub cap: u32,
    /// Calls that run here.
    pub running: u32,
    /// Calls that would run here if they could.
    pub wanted: u32,
}

/// What another server on the same database did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A task took a step, or was submitted.
    Changed(Changed),
    /// Something may have been missed: look at everything.
    Missed,
}

/// Whose turn it is in the queue of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// Its class.
    pub priority: Priority,
    /// Whose work it is.
    pub tenant: Tenant,
}

/// What the clock, or the end of an earlier server, has changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Swept {
    /// Tasks that took a step.
    pub changed: Vec<Changed>,
    /// Records that were removed.
    pub removed: u64,
    /// Whether the limit was reached and more is due already.
    pub more: bool,
    /// When time alone changes the next task.
    pub next_due: Option<Timestamp>,
}

/// Durable tasks. Every method may be called from many tasks at once; what each promises is tested
/// by [`crate::conformance`].
///
/// Submissions, ends and cancellations are on disk when their future answers. A claim, a renewal or
/// a retry may be lost with the machine: then the task runs again, as it would had the machine died
/// a moment earlier.
///
/// # Errors
/// Every method gives [`StoreError`] when the database cannot be used; nothing was changed then.
///
/// # Cancel safety
/// Dropping a future withdraws a change that has not begun; one that has begun is completed, and
/// its answer is lost. A caller that must know asks again with [`TaskStore::get`].
#[async_trait]
pub trait TaskStore: Send + Sync + 'static {
    /// This life of this server on the store.
    fn owner(&self) -> Owner;

    /// Writes a task.
    async fn submit(&self, task: NewTask) -> Result<Submitted, StoreError>;

    /// Writes a call that ended without ever having been a task.
    async fn keep(&self, ended: EndedTask) -> Result<(), StoreError>;

    /// Tells whose turn it is, without taking the task.
    async fn peek(&self, model: &ModelName) -> Result<Option<Next>, StoreError>;

    /// Takes the next tasks of a model, at most `limit`, the most urgent class first, then the oldest,
    /// and begins the next attempt of each. They must be finished or renewed before `lease_until`.
    async fn claim(
        &self,
        model: &ModelName,
        limit: usize,
        lease_until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<TaskRecord>, StoreError>;

    /// Says how an attempt ended.
    async fn finish(
        &self,
        fence: Fence,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<Finished, StoreError>;

    /// Keeps an attempt for longer, and writes its progress if there is news.
    async fn renew(
        &self,
        fence: Fence,
        lease_until: Timestamp,
        progress: Option<f64>,
        now: Timestamp,
    ) -> Result<Lease, StoreError>;

    /// Ends a task that nobody wants any more.
    async fn cancel(&self, id: TaskId, now: Timestamp) -> Result<Cancelled, StoreError>;

    /// Gives a task that ended without an answer all its attempts anew.
    async fn replay(&self, id: TaskId, now: Timestamp) -> Result<Replayed, StoreError>;

    /// Throws away a dead task that nobody wants to replay.
    async fn discard(&self, id: TaskId) -> Result<Discarded, StoreError>;

    /// Reads how earlier attempts of a task failed, in their order: the first and the latest, at most
    /// [`FailedAttempt::KEPT_MAX`]. Empty for a task that is not known.
    async fn attempts(&self, id: TaskId) -> Result<Vec<FailedAttempt>, StoreError>;

    /// Reads at most `limit` ends that webhooks were not told of yet, the oldest first.
    async fn notices(&self, limit: u32) -> Result<Vec<Notice>, StoreError>;

    /// Forgets an end, because its webhook is told of it or does not care. Sooner or later: it may
    /// come back after a crash.
    async fn forget_notice(&self, notice: Notice) -> Result<(), StoreError>;

    /// Reads one task.
    async fn get(&self, id: TaskId) -> Result<Option<TaskRecord>, StoreError>;

    /// Reads a page of at most `limit` tasks, older than `after`.
    async fn list(
        &self,
        filter: &TaskFilter,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<TaskList, StoreError>;

    /// Reads a page of at most `limit` tasks with all that is known of them, newer than `after`, the
    /// oldest first. Tasks that are submitted meanwhile come last.
    async fn read_whole(&self, after: Option<Cursor>, limit: u32) -> Result<WholePage, StoreError>;

    /// Writes tasks that another store had, behind all that are there, in their order and with all
    /// times and counts as they were; what ran there waits here as after a restart. One answer for each.
    async fn restore(
        &self,
        tasks: Vec<WholeTask>,
        now: Timestamp,
    ) -> Result<Vec<Restored>, StoreError>;

    /// Puts back what earlier lives of this server ran; to be called once, before the first claim.
    /// An attempt that was lost this way counts.
    async fn recover(&self, now: Timestamp) -> Result<Swept, StoreError>;

    /// Does what time alone decides, for at most `limit` tasks of each place: delays, deadlines,
    /// leases and keeping times that have ended.
    async fn sweep(&self, now: Timestamp, limit: u32) -> Result<Swept, StoreError>;

    /// Counts the tasks of each model.
    async fn stats(&self) -> Result<Vec<ModelTasks>, StoreError>;

    /// Writes something small, to learn whether the database takes changes.
    async fn check(&self) -> Result<(), StoreError>;

    /// Settles with the other servers on the same database how many calls this one may run at
    /// once, for each wish; to be asked again several times a second. Fewer than run already: no
    /// call may follow those that end. `None`: there are no others.
    ///
    /// # Cancel safety
    /// What was settled may hold without having been told; the next call settles anew.
    async fn share(&self, wishes: &[CapWish]) -> Result<Option<Vec<u32>>, StoreError> {
        let _ = wishes;
        Ok(None)
    }

    /// Whether other servers may share the database.
    fn is_shared(&self) -> bool {
        false
    }

    /// Shows other servers on the same database how far an attempt is. It lasts as long as the
    /// attempt; of one that was given up, nothing is shown.
    ///
    /// # Cancel safety
    /// It may be shown or not.
    async fn show(&self, fence: Fence, progress: &Progress) -> Result<(), StoreError> {
        let _ = (fence, progress);
        Ok(())
    }

    /// What other servers on the same database do, as it happens. A database that one server owns
    /// has no news.
    fn news(&self) -> BoxStream<'static, News> {
        stream::pending().boxed()
    }

    /// The servers that share the database, by name, each with the time since its last heartbeat;
    /// empty where one server owns it.
    ///
    /// # Cancel safety
    /// Only reads.
    async fn servers(&self) -> Result<Vec<(String, Duration)>, StoreError> {
        Ok(Vec::new())
    }

    /// What may lose tasks although everything works, in words for the operator; empty if nothing
    /// is known.
    fn risks(&self) -> Vec<String> {
        Vec::new()
    }

    /// Completes what was begun and lets go of the database; to be called last.
    async fn close(&self);
}
