//! The attempts that run in this process.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use parking_lot::Mutex;
use store::{Fence, Progress};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use types::{CallId, TaskId};

/// What runs, by task and by call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Live(Arc<Mutex<Running>>);

/// Cancelled tasks that are remembered although none of their attempts was found here. One may
/// just have been claimed; it enters within moments.
const CANCELLED_MAX: usize = 64;

#[derive(Debug, Default)]
struct Running {
    by_task: HashMap<TaskId, Attempt>,
    by_call: HashMap<CallId, TaskId>,
    cancelled: VecDeque<TaskId>,
}

#[derive(Debug)]
struct Attempt {
    call: CallId,
    number: u32,
    stop: CancellationToken,
    progress: watch::Sender<Progress>,
}

impl Live {
    /// Notes that an attempt runs, until what is returned is dropped.
    pub(crate) fn enter(&self, fence: Fence, call: CallId) -> Entered {
        let task = fence.id;
        let stop = CancellationToken::new();
        let (progress, reported) = watch::channel(Progress::default());
        let attempt = Attempt { call, number: fence.attempt, stop: stop.clone(), progress };
        let mut running = self.0.lock();
        if running.cancelled.contains(&task) {
            stop.cancel();
        }
        running.by_call.insert(call, task);
        // An earlier attempt that lost its lease may not have noticed yet.
        if let Some(earlier) = running.by_task.insert(task, attempt) {
            earlier.stop.cancel();
        }
        Entered { live: self.clone(), task, call, stop, reported }
    }

    /// Ends the attempt of a task that was cancelled, also if it is only about to enter.
    pub(crate) fn cancel(&self, task: TaskId) {
        self.stop(task, u32::MAX);
        let mut running = self.0.lock();
        running.cancelled.push_back(task);
        if running.cancelled.len() > CANCELLED_MAX {
            running.cancelled.pop_front();
        }
    }

    /// Ends the attempt of a task, if it runs here and is not later than `last`: what ended an
    /// attempt may be heard of only when the next one has begun.
    pub(crate) fn stop(&self, task: TaskId, last: u32) {
        let running = self.0.lock();
        if let Some(attempt) = running.by_task.get(&task).filter(|there| there.number <= last) {
            attempt.stop.cancel();
        }
    }

    /// Notes how far a call is, and tells whose call it is.
    pub(crate) fn report(&self, call: CallId, said: Progress) -> Option<TaskId> {
        let mut running = self.0.lock();
        let task = *running.by_call.get(&call)?;
        let attempt = running.by_task.get_mut(&task).filter(|attempt| attempt.call == call)?;
        attempt.progress.send_modify(|last| follow(last, said));
        Some(task)
    }

    /// How far the running attempt of a task is.
    pub(crate) fn progress(&self, task: TaskId) -> Option<Progress> {
        Some(self.0.lock().by_task.get(&task)?.progress.borrow().clone())
    }
}

/// What is not said again stays as it was.
fn follow(last: &mut Progress, said: Progress) {
    last.fraction = said.fraction.or(last.fraction);
    last.message = said.message.or(last.message.take());
    last.partial = said.partial.or(last.partial.take());
}

/// An attempt that runs.
#[derive(Debug)]
pub(crate) struct Entered {
    live: Live,
    task: TaskId,
    call: CallId,
    stop: CancellationToken,
    reported: watch::Receiver<Progress>,
}

impl Entered {
    /// How far it is, as it says so.
    pub(crate) fn reported(&self) -> watch::Receiver<Progress> {
        self.reported.clone()
    }

    /// Until somebody wants it to end.
    pub(crate) async fn stopped(&self) {
        self.stop.cancelled().await;
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut running = self.live.0.lock();
        running.by_call.remove(&self.call);
        if running.by_task.get(&self.task).is_some_and(|attempt| attempt.call == self.call) {
            running.by_task.remove(&self.task);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn fence(id: TaskId, attempt: u32) -> Fence {
        Fence { id, owner: store::Owner(1), attempt }
    }

    fn call(number: u128) -> CallId {
        CallId::new(Uuid::from_u128(number))
    }

    #[test]
    fn a_task_that_is_cancelled_before_its_attempt_enters_does_not_run() {
        let (live, task) = (Live::default(), TaskId::new(Uuid::from_u128(9)));
        live.cancel(task);
        assert!(live.enter(fence(task, 1), call(1)).stop.is_cancelled());
        for other in 10..10 + CANCELLED_MAX as u128 {
            live.cancel(TaskId::new(Uuid::from_u128(other)));
        }
        assert_eq!(live.0.lock().cancelled.len(), CANCELLED_MAX);
    }

    #[test]
    fn a_later_attempt_takes_over_and_is_not_forgotten_with_the_earlier() {
        let (live, task) = (Live::default(), TaskId::new(Uuid::from_u128(9)));
        let first = live.enter(fence(task, 1), call(1));
        let second = live.enter(fence(task, 2), call(2));
        assert!(first.stop.is_cancelled() && !second.stop.is_cancelled());

        let said = |fraction: Option<f64>, message: Option<&str>| Progress {
            fraction,
            message: message.map(Into::into),
            partial: None,
        };
        assert_eq!(live.report(call(1), said(Some(0.9), None)), None);
        assert_eq!(live.report(call(2), said(Some(0.5), None)), Some(task));
        assert_eq!(live.report(call(2), said(None, Some("half"))), Some(task));
        drop(first);
        assert_eq!(live.progress(task), Some(said(Some(0.5), Some("half"))));
        assert_eq!(*second.reported().borrow(), said(Some(0.5), Some("half")));
        live.stop(task, 1);
        assert!(!second.stop.is_cancelled(), "the first attempt was meant");
        live.stop(task, 2);
        assert!(second.stop.is_cancelled());
        drop(second);
        assert_eq!(live.progress(task), None);
        assert_eq!(live.report(call(2), said(None, None)), None);
    }
}
