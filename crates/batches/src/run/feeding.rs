//! The lines of a batch on their way: a window of them are tasks at any time.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, future::join_all, stream::FuturesUnordered};
use parking_lot::Mutex;
use tasks::Submission;
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;
use types::{ErrorCode, Fault, Priority, Retry, TaskId, Tenant, Timestamp};

use super::Input;
use crate::{
    Error, clock,
    handle::Service,
    held::{Held, Left},
    journal::Journal,
    lifecycle::Cause,
    line::Call,
    outcome::{self, Outcome},
};

/// Between two looks at what a client may have asked meanwhile.
const TICK: Duration = Duration::from_millis(500);

/// Longest time that one question about a task waits.
const WAIT: Duration = Duration::from_secs(60);

/// Wait before something that failed beneath is asked again.
const TROUBLE_WAIT: Duration = Duration::from_secs(1);

/// The lines of a batch on their way through the tasks.
pub(super) struct Feeding<'a> {
    service: &'a Service,
    input: &'a Input,
    /// The lines that are called, each with its task once that is known.
    in_flight: Mutex<BTreeMap<usize, Option<TaskId>>>,
}

impl<'a> Feeding<'a> {
    pub(super) fn new(service: &'a Service, input: &'a Input) -> Self {
        Self { service, input, in_flight: Mutex::default() }
    }

    /// Calls the lines that have no outcome, a window of them at a time.
    pub(super) async fn feed(
        &self,
        held: &mut Held,
        journal: &mut Journal,
        stop: &CancellationToken,
    ) -> Result<Cause, Left> {
        let todo: Vec<_> = (0..self.input.len()).filter(|line| !journal.has(*line)).collect();
        let mut todo = todo.into_iter();
        let ours = Ours::of(held);
        let (mut running, mut ticks) = (FuturesUnordered::new(), interval(TICK));
        loop {
            if let Some(cause) = held.record().must_stop(clock::now()) {
                drop(running);
                self.withdraw(&ours, todo).await;
                return Ok(cause);
            }
            while running.len() < self.service.settings.window {
                let Some(line) = todo.next() else { break };
                self.in_flight.lock().insert(line, None);
                running.push(self.line(&ours, line));
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Left::Stopped),
                // Before the lines: the lease is kept and a client is heard however many are done.
                _ = ticks.tick() => {
                    journal.sync().await?;
                    let counts = journal.counts();
                    held.update(|record| record.counts = counts).await?;
                    // However long this took, there is time for lines before the next.
                    ticks.reset();
                }
                done = running.next() => match done {
                    None => return Ok(Cause::Done),
                    Some((line, outcome)) => {
                        journal.add(line, &outcome?).await?;
                        self.in_flight.lock().remove(&line);
                    }
                },
            }
        }
    }

    /// One line: a task that is submitted, or found, and waited for.
    async fn line(&self, ours: &Ours, line: usize) -> (usize, Result<Outcome, Error>) {
        let call = match self.input.call(line).await {
            Ok(call) => call,
            Err(error) => return (line, Err(error)),
        };
        let custom_id = call.custom_id.clone();
        loop {
            match self.service.tasks.submit(ours.submission(line, &call)).await {
                Ok(accepted) => {
                    self.in_flight.lock().insert(line, Some(accepted.task_id));
                    if let Some(outcome) = self.end(ours, accepted.task_id, &custom_id).await {
                        return (line, Ok(outcome));
                    }
                }
                Err(fault) if matches!(fault.code.retry(), Retry::Later) => {
                    sleep(fault.retry_after.unwrap_or(TROUBLE_WAIT)).await;
                }
                Err(fault) => {
                    return (line, Ok(outcome::of_fault(&ours.batch, &custom_id, &fault)));
                }
            }
        }
    }

    /// What a task ended with; `None` if its record is gone and it has to be made again.
    async fn end(&self, ours: &Ours, id: TaskId, custom_id: &str) -> Option<Outcome> {
        loop {
            match self.service.tasks.wait(id, WAIT).await {
                Ok(view) if view.state.is_terminal() => {
                    let code = view.error_code.as_deref().and_then(ErrorCode::from_slug);
                    // Its deadline is that of the batch: what it has is no outcome of its own.
                    if code == Some(ErrorCode::DeadlineExceeded) && ours.expires <= clock::now() {
                        std::future::pending::<()>().await;
                    }
                    return Some(outcome::of_task(&ours.batch, custom_id, &view));
                }
                // The server stops: whoever waits for this is about to be told.
                Ok(_) => sleep(TICK).await,
                Err(fault) if fault.code == ErrorCode::TaskNotFound => return None,
                Err(fault) => {
                    tracing::debug!(%fault, "a task of a batch cannot be read yet");
                    sleep(TROUBLE_WAIT).await;
                }
            }
        }
    }

    /// Ends the tasks of a batch that nobody wants any more, those too that an earlier server made.
    async fn withdraw(&self, ours: &Ours, todo: impl Iterator<Item = usize>) {
        let mut lines = std::mem::take(&mut *self.in_flight.lock());
        if ours.generation > 1 {
            lines.extend(todo.take(self.service.settings.window).map(|line| (line, None)));
        }
        let ends = lines.into_iter().map(|(line, id)| async move {
            let id = match id {
                Some(id) => Some(id),
                None => self.task_of(ours, line).await,
            };
            if let Some(id) = id {
                self.cancel(id).await;
            }
        });
        join_all(ends).await;
    }

    /// The task of a line whose submission may or may not have been heard. Asked again, a line gives
    /// the task that it has; one that has none gets one which waits, to be cancelled.
    async fn task_of(&self, ours: &Ours, line: usize) -> Option<TaskId> {
        let call = self.input.call(line).await.ok()?;
        let later = Some(Duration::from_secs(3600));
        let submission = Submission { start_after: later, ..ours.submission(line, &call) };
        self.service.tasks.submit(submission).await.ok().map(|accepted| accepted.task_id)
    }

    async fn cancel(&self, id: TaskId) {
        match self.service.tasks.cancel(id).await {
            Ok(_) => {}
            Err(Fault { code: ErrorCode::TaskFinished | ErrorCode::TaskNotFound, .. }) => {}
            Err(fault) => tracing::warn!(%fault, %id, "a task of a batch could not be cancelled"),
        }
    }
}

/// What all tasks of a batch have in common.
struct Ours {
    batch: String,
    generation: u32,
    tenant: Tenant,
    expires: Timestamp,
}

impl Ours {
    fn of(held: &Held) -> Self {
        let record = held.record();
        Self {
            batch: held.id().to_owned(),
            generation: record.generation,
            tenant: record.tenant.clone(),
            expires: record.times.expires,
        }
    }

    fn submission(&self, line: usize, call: &Call) -> Submission {
        Submission {
            model: call.model.clone(),
            tenant: self.tenant.clone(),
            // Whoever waits for an answer goes first.
            priority: Priority::Low,
            route: call.route.clone(),
            payload: Bytes::clone(&call.body),
            content_type: Some("application/json".into()),
            idempotency_key: Some(format!("{}:{line}", self.batch)),
            deadline: Some(self.expires.since(clock::now())),
            start_after: None,
            webhook: None,
            traceparent: None,
            request_id: self.batch.clone(),
        }
    }
}
