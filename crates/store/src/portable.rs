//! Tasks with all that a store knows of them, so that they can be moved to another store.

mod line;
mod shape;

use types::{TaskId, Timestamp};

pub use self::line::{BadLine, Line, PortableDocument};
use crate::{
    Cursor, FailedAttempt, Idempotency, NewTask, Notice, Outcome, Place, TaskRecord,
    standing::{Moment, Step},
};

/// A task and its history.
#[derive(Debug, Clone, PartialEq)]
pub struct WholeTask {
    /// The record. Message and partial result of an attempt go with the attempt and are left out.
    pub record: TaskRecord,
    /// The client's key, and the hash of what was submitted under it.
    pub idempotency: Option<Idempotency>,
    /// How earlier attempts failed, in their order.
    pub attempts: Vec<FailedAttempt>,
    /// Ends that its webhook was not told of yet, in the order of their attempts.
    pub notices: Vec<Notice>,
}

/// One page, oldest submission first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WholePage {
    /// The tasks.
    pub tasks: Vec<WholeTask>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<Cursor>,
}

/// How it went to write a task that another store had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restored {
    /// It is on disk, behind all tasks that were there before.
    Written,
    /// A task with its id is there already; nothing was written.
    Exists,
    /// Another task has its idempotency key; nothing was written.
    KeyTaken {
        /// The task that has the key.
        by: TaskId,
    },
}

/// A task in the shapes in which stores write new ones.
pub(crate) struct Parts {
    pub(crate) task: NewTask,
    pub(crate) step: Step,
    pub(crate) updated: Timestamp,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) progress: Option<f64>,
    pub(crate) attempts: Vec<FailedAttempt>,
    pub(crate) notices: Vec<Notice>,
}

impl WholeTask {
    /// Puts together what a store has read. Both orders are the same in every store.
    pub(crate) fn new(
        mut record: TaskRecord,
        hash: Option<[u8; 32]>,
        attempts: Vec<FailedAttempt>,
        mut notices: Vec<Notice>,
    ) -> Self {
        let key = record.idempotency_key.clone();
        let idempotency = key.map(|key| match hash {
            Some(hash) => Idempotency { key, hash },
            None => Idempotency::new(key, &record.request),
        });
        (record.progress.message, record.progress.partial) = (None, None);
        notices.sort_unstable_by_key(|notice| (notice.attempt, notice.state as u8));
        Self { record, idempotency, attempts, notices }
    }

    /// The server that ran it is not here: what ran waits again, as after a restart.
    pub(crate) fn put_back(mut self, now: Timestamp) -> Self {
        let record = &mut self.record;
        if record.standing.place != Place::Running {
            return self;
        }
        let step = record.standing.abandoned(Moment { id: record.id, now });
        self.attempts.extend(step.failed_attempt(&record.standing, record.updated, now));
        if self.attempts.len() > FailedAttempt::KEPT_MAX {
            self.attempts.remove(1);
        }
        record.standing = step.to;
        record.updated = now;
        record.error = step.error.or_else(|| record.error.take());
        if record.webhook.is_some() && record.state().is_terminal() {
            let attempt = record.standing.attempt;
            self.notices.push(Notice { task: record.id, attempt, state: record.state() });
        }
        self
    }

    pub(crate) fn into_parts(self) -> Parts {
        let Self { record, idempotency, attempts, notices } = self;
        let standing = record.standing;
        let task = NewTask {
            id: record.id,
            model: record.model,
            tenant: record.tenant,
            priority: standing.priority,
            request: record.request,
            idempotency,
            webhook: record.webhook,
            retry: standing.retry,
            not_before: None,
            deadline: standing.deadline,
            keep_for: standing.keep_for,
            queued_max: u64::MAX,
            created: record.created,
        };
        Parts {
            task,
            step: Step { to: standing, error: record.error, failed: None },
            updated: record.updated,
            outcome: record.answer.map(Outcome::Completed),
            progress: record.progress.fraction,
            attempts,
            notices,
        }
    }
}
