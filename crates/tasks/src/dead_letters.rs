//! Dead letters: tasks that used up their attempts and wait for a person, who looks at what went
//! wrong and then replays or discards them.

use api::task::{PageHandled, TaskPage, TaskState, TaskView};
use store::{Discarded, Replayed, TaskFilter, TaskRecord};
use types::{ErrorCode, Fault, TaskId};

use crate::{Tasks, clock, handle, view};

impl Tasks {
    /// Reads a task, or a recent synchronous call, together with how earlier attempts failed.
    ///
    /// # Errors
    /// `task_not_found`, `store_unavailable`.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn get_with_attempts(&self, id: TaskId) -> Result<TaskView, Fault> {
        self.with_attempts(self.get(id).await?).await
    }

    /// Adds how earlier attempts failed.
    ///
    /// # Errors
    /// `store_unavailable`.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn with_attempts(&self, view: TaskView) -> Result<TaskView, Fault> {
        let failed = self.service.store.attempts(view.task_id).await?;
        let attempts = Some(failed.into_iter().map(view::of_attempt).collect());
        Ok(TaskView { attempts, ..view })
    }

    /// Reads a page of dead letters, newest submission first; the state of the filter is not used.
    ///
    /// # Errors
    /// `invalid_query` for a cursor that is none, `store_unavailable`.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn dead_letters(
        &self,
        filter: TaskFilter,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<TaskPage, Fault> {
        self.list(dead(filter), cursor, limit).await
    }

    /// Reads one dead letter with its attempts.
    ///
    /// # Errors
    /// `task_not_found`, also for a task that is not dead; `store_unavailable`.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn dead_letter(&self, id: TaskId) -> Result<TaskView, Fault> {
        let view = self.get(id).await?;
        match view.state {
            TaskState::Dead => self.with_attempts(view).await,
            state => Err(not_dead(id, state)),
        }
    }

    /// Gives one dead letter all its attempts anew.
    ///
    /// # Errors
    /// `task_not_found`, also for a task that is not dead; `store_unavailable`.
    ///
    /// # Cancel safety
    /// Dropping the future may or may not have queued the task.
    pub async fn replay_dead_letter(&self, id: TaskId) -> Result<TaskView, Fault> {
        match self.get(id).await?.state {
            TaskState::Dead => self.retry(id).await,
            state => Err(not_dead(id, state)),
        }
    }

    /// Replays a page of dead letters. What was replayed and died again stands before the cursor that
    /// is given back, so going on with it comes to an end.
    ///
    /// # Errors
    /// `invalid_query` for a cursor that is none; `store_unavailable`, after which some may have been
    /// replayed.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the rest of the page as it is.
    pub async fn replay_dead_letters(
        &self,
        filter: TaskFilter,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<PageHandled, Fault> {
        let page = self.page(&dead(filter), cursor, limit).await?;
        let mut handled = 0;
        for TaskRecord { id, model, standing, .. } in page.tasks {
            if self.service.store.replay(id, clock::now()).await? == Replayed::Queued {
                self.service.arrived(&model, standing.priority, None);
                self.service.hub.changed(id);
                handled += 1;
            }
        }
        Ok(view::of_page(handled, page.next))
    }

    /// Throws one dead letter away; nothing is known of it any more.
    ///
    /// # Errors
    /// `task_not_found`, also for a task that is not dead; `store_unavailable`.
    ///
    /// # Cancel safety
    /// Dropping the future may or may not have discarded it.
    pub async fn discard_dead_letter(&self, id: TaskId) -> Result<(), Fault> {
        match self.service.store.discard(id).await? {
            Discarded::Removed => {
                self.service.hub.changed(id);
                Ok(())
            }
            Discarded::Refused(state) => Err(not_dead(id, state)),
            Discarded::Unknown => Err(handle::not_found(id)),
        }
    }

    /// Throws a page of dead letters away.
    ///
    /// # Errors
    /// `invalid_query` for a cursor that is none; `store_unavailable`, after which some may be gone.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the rest of the page as it is.
    pub async fn discard_dead_letters(
        &self,
        filter: TaskFilter,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<PageHandled, Fault> {
        let page = self.page(&dead(filter), cursor, limit).await?;
        let mut handled = 0;
        for TaskRecord { id, .. } in page.tasks {
            if self.service.store.discard(id).await? == Discarded::Removed {
                self.service.hub.changed(id);
                handled += 1;
            }
        }
        Ok(view::of_page(handled, page.next))
    }
}

fn dead(filter: TaskFilter) -> TaskFilter {
    TaskFilter { state: Some(TaskState::Dead), ..filter }
}

fn not_dead(id: TaskId, state: TaskState) -> Fault {
    let detail = format!("task {id} is no dead letter: it is {}", state.as_str());
    Fault::new(ErrorCode::TaskNotFound, detail)
}
