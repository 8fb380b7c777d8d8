//! The steps of a batch: what may follow what. Nothing here waits or writes.
//!
//! `validating → in_progress → finalizing → completed`; `validating → failed` where its file cannot be
//! used; `in_progress → finalizing → expired` where its time is over; `validating` and `in_progress →
//! cancelling → cancelled` where somebody wants it to end.

#[cfg(test)]
mod tests;

use std::time::Duration;

use api::openai::{BatchStatus, LineError, RequestCounts};
use types::Timestamp;

use crate::record::{BatchRecord, Lease, Sealed, Times};

/// Why no further line of a batch is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Every line is done.
    Done,
    /// Its time is over.
    Expired,
    /// Somebody wants it to end.
    Cancelled,
}

impl Cause {
    /// What the batch ends as.
    pub(crate) const fn status(self) -> BatchStatus {
        match self {
            Self::Done => BatchStatus::Completed,
            Self::Expired => BatchStatus::Expired,
            Self::Cancelled => BatchStatus::Cancelled,
        }
    }

    /// What is said of a line that was not called: a word, and a sentence.
    pub(crate) const fn of_line(self) -> (&'static str, &'static str) {
        match self {
            Self::Cancelled => {
                ("batch_cancelled", "This request was not executed: the batch was cancelled.")
            }
            Self::Expired | Self::Done => (
                "batch_expired",
                "This request was not executed before the completion window was over.",
            ),
        }
    }
}

impl BatchRecord {
    /// Its file is checked and has so many lines. What was asked meanwhile stays so.
    pub(crate) fn checked(&mut self, total: u32, now: Timestamp) {
        self.counts.total = total;
        if self.status == BatchStatus::Validating {
            self.status = BatchStatus::InProgress;
            self.times.in_progress = Some(now);
        }
    }

    /// Its file cannot be used.
    pub(crate) fn refused(&mut self, errors: Vec<LineError>, now: Timestamp) {
        if self.status == BatchStatus::Cancelling {
            return self.ended(BatchStatus::Cancelled, now);
        }
        self.errors = errors;
        self.ended(BatchStatus::Failed, now);
    }

    /// Why no further line is to be called; `None` while they are.
    pub(crate) fn must_stop(&self, now: Timestamp) -> Option<Cause> {
        if self.times.cancelling.is_some() {
            Some(Cause::Cancelled)
        } else {
            (self.times.expires <= now).then_some(Cause::Expired)
        }
    }

    /// Whether lines may have been called: what goes wrong with its file from then on is no end.
    pub(crate) const fn has_begun(&self) -> bool {
        self.times.in_progress.is_some()
    }

    /// Whether it should have stopped `grace` ago.
    pub(crate) fn is_overdue(&self, grace: Duration, now: Timestamp) -> bool {
        let Times { cancelling, expires, .. } = self.times;
        cancelling.map_or(expires, |at| at.min(expires)).after(grace) <= now
    }

    /// No further line is called.
    pub(crate) fn finalizing(&mut self, now: Timestamp) {
        self.times.finalizing.get_or_insert(now);
        if self.status == BatchStatus::InProgress {
            self.status = BatchStatus::Finalizing;
        }
    }

    /// What it ends as, once no further line is called for `cause`. A client that was told `cancelling`
    /// is not told `completed` afterwards, though its last line may have been done just then.
    pub(crate) fn final_cause(&self, cause: Cause) -> Cause {
        if self.status == BatchStatus::Cancelling { Cause::Cancelled } else { cause }
    }

    /// What it ends with is decided.
    pub(crate) fn sealed(&mut self, sealed: Sealed, counts: RequestCounts) {
        self.sealed = Some(sealed);
        self.counts = counts;
    }

    /// It has ended.
    pub(crate) fn ended(&mut self, status: BatchStatus, now: Timestamp) {
        self.status = status;
        self.times.ended = Some(now);
        self.lease = None;
    }

    /// Somebody wants it to end. False if it has ended already.
    pub(crate) fn cancel(&mut self, now: Timestamp) -> bool {
        if matches!(self.status, BatchStatus::Validating | BatchStatus::InProgress) {
            self.status = BatchStatus::Cancelling;
            self.times.cancelling = Some(now);
        }
        !self.status.is_terminal()
    }

    /// Whether `server` may take it now. A server that is alone on its store need not wait for the
    /// lease of an earlier life; its own it does wait for, because it was given up for a reason.
    pub(crate) fn is_free(&self, server: u64, is_shared: bool, now: Timestamp) -> bool {
        let is_held = |lease: Lease| lease.until > now && (is_shared || lease.server == server);
        !self.status.is_terminal() && !self.lease.is_some_and(is_held)
    }

    /// Whether the lease that `server` took as this generation still counts.
    pub(crate) fn is_held_by(&self, server: u64, generation: u32) -> bool {
        let is_ours = self.lease.is_some_and(|lease| lease.server == server);
        is_ours && self.generation == generation && !self.status.is_terminal()
    }
}
