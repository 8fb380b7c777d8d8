//! The attempts that run in this process.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use parking_lot::Mutex;
use store::Fence;
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
    progress: Option<f64>,
}

impl Live {
    /// Notes that an attempt runs, until what is returned is dropped.
    pub(crate) fn enter(&self, fence: Fence, call: CallId) -> Entered {
        let task = fence.id;
        let stop = CancellationToken::new();
        let attempt = Attempt { call, number: fence.attempt, stop: stop.clone(), progress: None };
        let mut running = self.0.lock();
        if running.cancelled.contains(&task) {
            stop.cancel();
        }
        running.by_call.insert(call, task);
        // An earlier attempt that lost its lease may not have noticed yet.
        if let Some(earlier) = running.by_task.insert(task, attempt) {
            earlier.stop.cancel();
        }
        Entered { live: self.clone(), task, call, stop }
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
    pub(crate) fn report(&self, call: CallId, fraction: Option<f64>) -> Option<TaskId> {
        let mut running = self.0.lock();
        let task = *running.by_call.get(&call)?;
        let attempt = running.by_task.get_mut(&task).filter(|attempt| attempt.call == call)?;
        attempt.progress = fraction.or(attempt.progress);
        Some(task)
    }

    /// How far the running attempt of a task is.
    pub(crate) fn progress(&self, task: TaskId) -> Option<f64> {
        self.0.lock().by_task.get(&task)?.progress
    }
}

/// An attempt that runs.
#[derive(Debug)]
pub(crate) struct Entered {
    live: Live,
    task: TaskId,
    call: CallId,
    stop: CancellationToken,
}

impl Entered {
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

        assert_eq!(live.report(call(1), Some(0.9)), None);
        assert_eq!(live.report(call(2), Some(0.5)), Some(task));
        assert_eq!(live.report(call(2), None), Some(task));
        drop(first);
        assert_eq!(live.progress(task), Some(0.5));
        live.stop(task, 1);
        assert!(!second.stop.is_cancelled(), "the first attempt was meant");
        live.stop(task, 2);
        assert!(second.stop.is_cancelled());
        drop(second);
        assert_eq!(live.progress(task), None);
        assert_eq!(live.report(call(2), None), None);
    }
}
