//! Writes on their way.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use tokio::task::JoinSet;

use super::DEPTH;
use crate::{
    backend::Opened,
    error::{Error, Kind, Result},
};

/// The writes of one file that have not been answered or committed yet.
#[derive(Debug, Default)]
pub(super) struct Writes {
    active: JoinSet<Result<()>>,
    /// Covers all active writes.
    span: Range<u64>,
    uncommitted: usize,
    dirty: bool,
    failure: Option<Error>,
}

impl Writes {
    /// Sends data in chunks, waiting for a place where [`DEPTH`] are on their way.
    pub(super) async fn push(
        &mut self,
        opened: &Arc<dyn Opened>,
        chunk: usize,
        offset: u64,
        mut data: Bytes,
    ) -> Result<()> {
        let Some(end) = offset.checked_add(data.len() as u64) else {
            return Err(Error::new(Kind::FileTooLarge, "the write ends beyond what files can be"));
        };
        // Two writes of the same bytes must arrive in order.
        if !self.active.is_empty() && offset < self.span.end && self.span.start < end {
            self.drain().await?;
        }
        let mut at = offset;
        while !data.is_empty() {
            while self.active.len() >= DEPTH {
                self.wait_for_one().await;
            }
            self.report()?;
            let piece = data.split_to(chunk.min(data.len()));
            let (length, target) = (piece.len(), Arc::clone(opened));
            self.cover(at..at + length as u64);
            self.active.spawn(async move { target.write_at(at, piece).await });
            at += length as u64;
            self.dirty = true;
            self.uncommitted += length;
            if self.uncommitted >= opened.uncommitted_max() {
                self.commit(opened).await?;
            }
        }
        Ok(())
    }

    /// Waits until all are answered.
    pub(super) async fn drain(&mut self) -> Result<()> {
        while !self.active.is_empty() {
            self.wait_for_one().await;
        }
        self.report()
    }

    /// Waits until all are answered and on the disk.
    pub(super) async fn commit(&mut self, opened: &Arc<dyn Opened>) -> Result<()> {
        self.drain().await?;
        if self.dirty {
            // Only what was done counts: a commit that failed or was given up is due again.
            opened.commit().await?;
            self.dirty = false;
            self.uncommitted = 0;
        }
        Ok(())
    }

    /// Something else was changed that a commit is to make last.
    pub(super) fn touch(&mut self) {
        self.dirty = true;
    }

    fn cover(&mut self, range: Range<u64>) {
        if self.active.is_empty() {
            self.span = range;
        } else {
            self.span = self.span.start.min(range.start)..self.span.end.max(range.end);
        }
    }

    async fn wait_for_one(&mut self) {
        let outcome = match self.active.join_next().await {
            Some(Ok(Ok(()))) | None => return,
            Some(Ok(Err(error))) => error,
            Some(Err(lost)) => Error::new(Kind::Io, lost.to_string()),
        };
        self.failure.get_or_insert(outcome);
    }

    /// Says once what went wrong.
    fn report(&mut self) -> Result<()> {
        self.failure.take().map_or(Ok(()), Err)
    }
}
