//! Many tasks at once.

use api::task::{PageHandled, TaskAccepted};
use futures_util::future::join_all;
use store::{Cancelled, TaskFilter, TaskRecord};
use types::{Fault, TaskId};

use crate::{Submission, Tasks, clock, view};

impl Tasks {
    /// Writes many tasks, together as far as the store can. Each is accepted or refused for itself,
    /// as by [`Tasks::submit`].
    ///
    /// # Cancel safety
    /// As [`Tasks::submit`], for each of them.
    pub async fn submit_all(
        &self,
        submissions: Vec<Submission>,
    ) -> Vec<Result<TaskAccepted, Fault>> {
        join_all(submissions.into_iter().map(|submission| self.submit(submission))).await
    }

    /// Ends many tasks, and gives how many of them had not ended before.
    ///
    /// # Errors
    /// `store_unavailable`, after which some may have been cancelled.
    ///
    /// # Cancel safety
    /// Dropping the future may leave some as they are.
    pub async fn cancel_all(&self, ids: &[TaskId]) -> Result<u64, Fault> {
        let cancels = ids.iter().map(|id| self.cancel_quietly(*id));
        let cancelled: Vec<bool> = join_all(cancels).await.into_iter().collect::<Result<_, _>>()?;
        Ok(cancelled.into_iter().filter(|now| *now).count() as u64)
    }

    /// Ends a page of tasks, newest submission first.
    ///
    /// # Errors
    /// `invalid_query` for a cursor that is none; `store_unavailable`, after which some may have been
    /// cancelled.
    ///
    /// # Cancel safety
    /// Dropping the future may leave some of the page as they are.
    pub async fn cancel_page(
        &self,
        filter: &TaskFilter,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<PageHandled, Fault> {
        let page = self.page(filter, cursor, limit).await?;
        // Letters to webhooks wait beside the tasks; only who names them means them.
        let is_meant = |task: &&TaskRecord| filter.model.is_some() || !task.model.is_ours();
        let ids: Vec<_> = page.tasks.iter().filter(is_meant).map(|task| task.id).collect();
        let handled = self.cancel_all(&ids).await?;
        Ok(view::of_page(handled, page.next))
    }

    /// Whether it went on until now.
    async fn cancel_quietly(&self, id: TaskId) -> Result<bool, Fault> {
        let cancelled = self.service.store.cancel(id, clock::now()).await? == Cancelled::Now;
        if cancelled {
            self.was_cancelled(id).await?;
        }
        Ok(cancelled)
    }
}
