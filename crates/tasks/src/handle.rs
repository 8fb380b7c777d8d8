//! The handle: what doors may ask about tasks.

use std::{fmt, sync::Arc, time::Duration};

use api::{
    task::{TaskAccepted, TaskPage, TaskState, TaskStats, TaskView},
    worker::Report,
};
use dispatch::Dispatcher;
use fleet::ReportListener;
use futures_util::stream::BoxStream;
use store::{Cancelled, Cursor, Progress, Replayed, Submitted, TaskFilter, TaskList, TaskStore};
use telemetry::metrics::Metrics;
use tokio::time::{Instant, sleep_until, timeout};
use types::{CallId, ErrorCode, Fault, ModelName, TaskId};

use crate::{
    Recent, Submission, TaskEvent, TaskSettings, caps, clock, events, results, service::Service,
    view, webhooks,
};

/// A store that takes longer than this to write something small is not healthy.
const CHECK_TIME_MAX: Duration = Duration::from_secs(2);

/// Durable tasks, and the records of synchronous calls. Cheap to clone.
///
/// Nothing runs until [`Tasks::run`] is awaited; submissions are taken before.
#[derive(Clone)]
pub struct Tasks {
    pub(crate) service: Arc<Service>,
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").finish_non_exhaustive()
    }
}

impl Tasks {
    /// The tasks of `store`, called through `dispatcher`. Call it inside the runtime on which they
    /// are to run.
    pub fn new(
        store: Arc<dyn TaskStore>,
        dispatcher: Dispatcher,
        metrics: Metrics,
        settings: TaskSettings,
    ) -> Self {
        Self { service: Arc::new(Service::new(store, dispatcher, metrics, settings)) }
    }

    /// Writes a task. It is on disk when this answers, and will reach exactly one end.
    ///
    /// # Errors
    /// `model_not_found`, `invalid_request` for a webhook that may not be told,
    /// `idempotency_conflict`, `queue_full`, `server_draining`, `store_unavailable`.
    ///
    /// # Cancel safety
    /// Dropping the future withdraws a submission that has not begun to be written; one that has
    /// begun is a task, whose id nobody learned unless it has an idempotency key.
    pub async fn submit(&self, submission: Submission) -> Result<TaskAccepted, Fault> {
        let service = &self.service;
        if service.stop.is_cancelled() {
            return Err(Fault::new(ErrorCode::ServerDraining, "the server is shutting down"));
        }
        let model = submission.model.clone();
        service.dispatcher.check_model(&model)?;
        let spec = service.dispatcher.spec(&model).unwrap_or_default();
        let task = submission.into_task(&spec, &service.settings);
        if let Some(webhook) = &task.webhook {
            webhooks::check(service.settings.webhooks.as_ref(), webhook)?;
        }
        let (task_id, priority) = (task.id, task.priority);
        let due = task.not_before.into_iter().chain(task.deadline).min();
        match service.store.submit(task).await? {
            Submitted::New => {
                service.arrived(&model, priority, due);
                Ok(TaskAccepted { task_id, status: TaskState::Queued.status().into() })
            }
            Submitted::Existing(record) => {
                let status = record.state().status().into();
                Ok(TaskAccepted { task_id: record.id, status })
            }
            Submitted::Conflict { id } => {
                let detail =
                    format!("the idempotency key was used for task {id} with another request");
                Err(Fault::new(ErrorCode::IdempotencyConflict, detail))
            }
            Submitted::Full => Err(queue_full(&model, service.settings.queued_max)),
        }
    }

    /// Whether tasks of a model are taken.
    ///
    /// # Errors
    /// `model_not_found`.
    pub fn check_model(&self, model: &ModelName) -> Result<(), Fault> {
        self.service.dispatcher.check_model(model)
    }

    /// Reads a task or a recent synchronous call.
    ///
    /// # Errors
    /// `task_not_found`, `store_unavailable`.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn get(&self, id: TaskId) -> Result<TaskView, Fault> {
        if let Some(view) = self.service.recent.view(id) {
            return Ok(view);
        }
        let mut record = self.service.store.get(id).await?.ok_or_else(|| not_found(id))?;
        self.service.results.fill(&mut record).await?;
        Ok(view::of_record(&record, self.service.live.progress(id)))
    }

    /// Reads a page of durable tasks, newest first.
    ///
    /// # Errors
    /// `invalid_query` for a cursor that is none, `store_unavailable`.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn list(
        &self,
        filter: TaskFilter,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<TaskPage, Fault> {
        let mut list = self.page(&filter, cursor, limit).await?;
        list.tasks.iter_mut().for_each(results::summarize);
        let live = &self.service.live;
        let tasks =
            list.tasks.iter().map(|task| view::of_record(task, live.progress(task.id))).collect();
        Ok(TaskPage { tasks, next_cursor: list.next.map(|cursor| cursor.to_string()) })
    }

    /// The records of a page, as the store has them.
    pub(crate) async fn page(
        &self,
        filter: &TaskFilter,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<TaskList, Fault> {
        let cursor = cursor.as_deref().map(self::cursor).transpose()?;
        Ok(self.service.store.list(filter, cursor, limit).await?)
    }

    /// Ends a task; an attempt that runs is dropped.
    ///
    /// # Errors
    /// `task_not_found`, `task_finished`, `store_unavailable`.
    ///
    /// # Cancel safety
    /// Dropping the future may or may not cancel the task.
    pub async fn cancel(&self, id: TaskId) -> Result<TaskView, Fault> {
        match self.service.store.cancel(id, clock::now()).await? {
            Cancelled::Now => self.was_cancelled(id).await,
            Cancelled::Ended(state) => Err(finished(id, state)),
            Cancelled::Unknown => match self.service.recent.view(id) {
                Some(call) if call.state.is_terminal() => Err(finished(id, call.state)),
                Some(_) => {
                    let detail =
                        format!("task {id} is a synchronous call; close its connection instead");
                    Err(Fault::new(ErrorCode::InvalidRequest, detail))
                }
                None => Err(not_found(id)),
            },
        }
    }

    /// Drops the attempt of a task that was cancelled, if it runs here, and tells who watches it.
    pub(crate) async fn was_cancelled(&self, id: TaskId) -> Result<TaskView, Fault> {
        self.service.live.cancel(id);
        self.service.ended.notify_one();
        self.service.hub.changed(id);
        let view = self.get(id).await?;
        self.service.count(&view.model, view.state);
        Ok(view)
    }

    /// Gives a task that ended without a result all its attempts anew. One that still waits or
    /// runs is left as it is.
    ///
    /// # Errors
    /// `task_not_found`, `task_finished` for completed and cancelled tasks, `store_unavailable`.
    ///
    /// # Cancel safety
    /// Dropping the future may or may not have queued the task.
    pub async fn retry(&self, id: TaskId) -> Result<TaskView, Fault> {
        match self.service.store.replay(id, clock::now()).await? {
            Replayed::Queued => {
                let view = self.get(id).await?;
                self.service.arrived(&view.model, view.priority, None);
                self.service.hub.changed(id);
                Ok(view)
            }
            Replayed::Refused(state) if !state.is_terminal() => self.get(id).await,
            Replayed::Refused(state) => Err(finished(id, state)),
            Replayed::Unknown if self.service.recent.view(id).is_some() => {
                let detail = format!("task {id} is a synchronous call; send it again instead");
                Err(Fault::new(ErrorCode::InvalidRequest, detail))
            }
            Replayed::Unknown => Err(not_found(id)),
        }
    }

    /// Reads a task when it has ended, or after `time`, or when the server stops.
    ///
    /// # Errors
    /// `task_not_found`, `store_unavailable`.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn wait(&self, id: TaskId, time: Duration) -> Result<TaskView, Fault> {
        let until = Instant::now() + time;
        // Watched before it is read, so that no change falls between.
        let mut watch = self.service.hub.watch(id);
        loop {
            let view = self.get(id).await?;
            if view.state.is_terminal() {
                return Ok(view);
            }
            tokio::select! {
                () = watch.changed() => {}
                () = sleep_until(until) => return Ok(view),
                () = self.stopped() => return Ok(view),
            }
        }
    }

    /// Reads a task when it stands otherwise than in the version that the caller knows, progress
    /// included, or after `time`, or when the server stops.
    ///
    /// # Errors
    /// `task_not_found`, `store_unavailable`.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn wait_for_change(
        &self,
        id: TaskId,
        known: &str,
        time: Duration,
    ) -> Result<TaskView, Fault> {
        let until = Instant::now() + time;
        let mut watch = self.service.hub.watch(id);
        loop {
            let view = self.get(id).await?;
            if view.version != known || view.state.is_terminal() {
                return Ok(view);
            }
            tokio::select! {
                _ = watch.next() => {}
                () = sleep_until(until) => return Ok(view),
                () = self.stopped() => return Ok(view),
            }
        }
    }

    /// Follows a task: first where it stands, then everything that happens, until it has ended or
    /// the server stops.
    ///
    /// # Errors
    /// `task_not_found`, `store_unavailable`.
    ///
    /// # Cancel safety
    /// Only reads. Dropping the stream ends it.
    pub async fn events(&self, id: TaskId) -> Result<BoxStream<'static, TaskEvent>, Fault> {
        let watch = self.service.hub.watch(id);
        let first = self.get(id).await?;
        Ok(events::follow(self.clone(), watch, first))
    }

    /// Whether tasks can be written.
    ///
    /// # Errors
    /// `store_unavailable`.
    ///
    /// # Cancel safety
    /// Changes nothing that matters.
    pub async fn check(&self) -> Result<(), Fault> {
        match timeout(CHECK_TIME_MAX, self.service.store.check()).await {
            Ok(answer) => Ok(answer?),
            Err(_) => {
                let detail = "the task store takes too long to write";
                Err(Fault::new(ErrorCode::StoreUnavailable, detail))
            }
        }
    }

    /// Learns how much of each cap other servers leave to this one; to be awaited before the first
    /// call. [`Self::run`] goes on with it.
    ///
    /// # Errors
    /// `store_unavailable`.
    ///
    /// # Cancel safety
    /// What was learned in part holds.
    pub async fn settle_caps(&self) -> Result<(), Fault> {
        caps::settle(&self.service).await?;
        Ok(())
    }

    /// Counts the tasks of each model, and names the servers that share the store.
    ///
    /// # Errors
    /// `store_unavailable`.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn stats(&self) -> Result<TaskStats, Fault> {
        let store = &self.service.store;
        let models = store.stats().await?.iter().map(view::of_model).collect();
        let servers = store.servers().await?.into_iter().map(view::of_server).collect();
        Ok(TaskStats { models, servers })
    }

    /// What may lose tasks although everything works, in words for the operator.
    pub fn risks(&self) -> Vec<String> {
        self.service.store.risks()
    }

    /// A model came to be known while the server runs; its tasks may have waited for that.
    pub fn model_opened(&self, model: &ModelName) {
        self.service.opened(model);
    }

    /// The records of synchronous calls.
    pub fn recent(&self) -> &Recent {
        &self.service.recent
    }

    /// Hears what a worker says about a call that it runs.
    pub fn on_report(&self, call: CallId, report: &Report) {
        let Report::Progress { fraction, message, partial, .. } = report else { return };
        // A synchronous call has the id of its record.
        let synchronous = || self.service.recent.report(TaskId::new(call.uuid()), *fraction);
        let said = Progress {
            fraction: *fraction,
            message: message.clone(),
            partial: partial.as_ref().map(ToString::to_string).filter(|json| is_kept(json)),
        };
        if let Some(task) = self.service.live.report(call, said).or_else(synchronous) {
            self.service.hub.progress(task, report);
        }
    }

    pub(crate) async fn stopped(&self) {
        self.service.stop.cancelled().await;
    }
}

impl ReportListener for Tasks {
    fn on_report(&self, call: CallId, report: &Report) {
        Self::on_report(self, call, report);
    }
}

pub(crate) fn not_found(id: TaskId) -> Fault {
    Fault::new(ErrorCode::TaskNotFound, format!("task {id} not found"))
}

/// Whether a partial result is shown to those who ask later. A larger one is only told to those who
/// follow the task on this server.
const fn is_kept(partial: &str) -> bool {
    const PARTIAL_BYTES_MAX: usize = 64 << 10;
    partial.len() <= PARTIAL_BYTES_MAX
}

fn finished(id: TaskId, state: TaskState) -> Fault {
    let detail = format!("task {id} has already ended: it is {}", state.as_str());
    Fault::new(ErrorCode::TaskFinished, detail)
}

fn queue_full(model: &ModelName, queued_max: u64) -> Fault {
    let detail = format!("{queued_max} tasks of model {model} wait already");
    Fault::new(ErrorCode::QueueFull, detail)
}

/// Where a page goes on that a client asks for.
fn cursor(text: &str) -> Result<Cursor, Fault> {
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(64).collect();
        let detail =
            format!("cursor `{shown}` is not one that a page gave; leave it out to begin anew");
        Fault::new(ErrorCode::InvalidQuery, detail)
    })
}
