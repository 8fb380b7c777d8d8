//! The ring itself: bounded by count, bytes and age. Pure.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use api::task::{TaskState, TaskView};
use bytes::Bytes;
use store::TaskError;
use types::{ModelName, Priority, TaskId, Timestamp};

use super::{cancelled, is_older};
use crate::{RecentSettings, json, view};

/// What one call costs besides its bodies: its entry, its place in the order, its text.
const CALL_BYTES: usize = 512;

/// One call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) model: ModelName,
    pub(super) payload: Option<Bytes>,
    pub(super) state: TaskState,
    pub(super) result: Option<Bytes>,
    pub(super) error: Option<TaskError>,
    pub(super) progress: Option<f64>,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
}

/// How a call ended.
#[derive(Debug)]
pub(super) enum Ended {
    Completed(Option<Bytes>),
    Failed(TaskError),
    Cancelled,
}

impl Call {
    pub(super) const fn new(model: ModelName, payload: Option<Bytes>, now: Timestamp) -> Self {
        Self {
            model,
            payload,
            state: TaskState::Running,
            result: None,
            error: None,
            progress: None,
            created: now,
            updated: now,
        }
    }

    fn bytes(&self) -> usize {
        let length = |body: &Option<Bytes>| body.as_ref().map_or(0, Bytes::len);
        let words = self.error.as_ref().map_or(0, |error| error.detail.len());
        CALL_BYTES + length(&self.payload) + length(&self.result) + words
    }

    fn end(&mut self, how: Ended, now: Timestamp) {
        self.updated = now;
        match how {
            Ended::Completed(result) => (self.state, self.result) = (TaskState::Completed, result),
            Ended::Failed(error) => (self.state, self.error) = (TaskState::Failed, Some(error)),
            Ended::Cancelled => {
                (self.state, self.error) = (TaskState::Cancelled, Some(cancelled()));
            }
        }
    }

    pub(super) fn view(&self, id: TaskId) -> TaskView {
        let embed = |body: &Option<Bytes>| body.as_ref().and_then(|body| json::embed(None, body));
        TaskView {
            task_id: id,
            model: self.model.clone(),
            payload: embed(&self.payload),
            status: self.state.status().into(),
            state: self.state,
            ts: view::seconds(self.updated),
            result: match &self.error {
                Some(error) => json::error(&error.detail),
                None => embed(&self.result),
            },
            error_code: self.error.as_ref().map(view::slug),
            attempt: 1,
            priority: Priority::default(),
            created_ms: self.created.millis(),
            updated_ms: self.updated.millis(),
            progress: self.progress,
            message: None,
            partial: None,
            version: format!("{}-{}", self.updated.millis(), self.progress.unwrap_or_default()),
            attempts: None,
        }
    }
}

/// The calls in the order in which they began.
#[derive(Debug)]
pub(super) struct Ring {
    calls_max: usize,
    bytes_max: usize,
    keep_for: Duration,
    calls: HashMap<TaskId, Call>,
    order: VecDeque<TaskId>,
    bytes: usize,
}

impl Ring {
    pub(super) fn new(settings: &RecentSettings) -> Self {
        Self {
            calls_max: settings.calls_max,
            bytes_max: settings.bytes_max,
            keep_for: settings.keep_for,
            calls: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
        }
    }

    pub(super) fn begin(&mut self, id: TaskId, call: Call) {
        let now = call.created;
        self.bytes += call.bytes();
        if let Some(twin) = self.calls.insert(id, call) {
            // An id that was used twice keeps its first place in the order.
            self.bytes -= twin.bytes();
        } else {
            self.order.push_back(id);
        }
        self.shrink(now);
    }

    /// Notes how a call ended, and gives it; `None` if it was pushed out meanwhile.
    pub(super) fn end(&mut self, id: TaskId, how: Ended, now: Timestamp) -> Option<Call> {
        let call = self.calls.get_mut(&id)?;
        let before = call.bytes();
        call.end(how, now);
        let ended = call.clone();
        self.bytes = self.bytes - before + ended.bytes();
        self.shrink(now);
        Some(ended)
    }

    /// Whether the call is known and runs.
    pub(super) fn progress(&mut self, id: TaskId, fraction: Option<f64>) -> bool {
        match self.calls.get_mut(&id).filter(|call| !call.state.is_terminal()) {
            Some(call) => {
                call.progress = fraction.or(call.progress);
                true
            }
            None => false,
        }
    }

    pub(super) fn find(&self, id: TaskId, now: Timestamp) -> Option<&Call> {
        self.calls.get(&id).filter(|call| !is_older(call.updated, self.keep_for, now))
    }

    /// Pushes the oldest out until all bounds hold.
    fn shrink(&mut self, now: Timestamp) {
        while let Some(oldest) = self.order.front() {
            let is_old = self
                .calls
                .get(oldest)
                .is_none_or(|call| is_older(call.updated, self.keep_for, now));
            if !is_old && self.order.len() <= self.calls_max && self.bytes <= self.bytes_max {
                return;
            }
            if let Some(call) = self.order.pop_front().and_then(|id| self.calls.remove(&id)) {
                self.bytes -= call.bytes();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn id(number: usize) -> TaskId {
        TaskId::new(Uuid::from_u128(number as u128))
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + ms)
    }

    fn call(payload: usize, ms: u64) -> Call {
        Call::new("echo".parse().unwrap(), Some(vec![b'1'; payload].into()), at(ms))
    }

    fn ring(calls_max: usize, bytes_max: usize) -> Ring {
        let keep_for = Duration::from_millis(1000);
        Ring::new(&RecentSettings { calls_max, bytes_max, keep_for, stored: false })
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut ring = ring(2, usize::MAX);
        for number in 0..3 {
            ring.begin(id(number), call(1, 0));
        }
        assert!(ring.find(id(0), at(0)).is_none());
        assert!(ring.find(id(1), at(0)).is_some() && ring.find(id(2), at(0)).is_some());
        assert!(ring.end(id(0), Ended::Completed(None), at(1)).is_none());
    }

    #[test]
    fn a_large_result_pushes_others_out_and_at_last_itself() {
        let mut ring = ring(10, 4 * CALL_BYTES);
        ring.begin(id(0), call(1, 0));
        ring.begin(id(1), call(1, 0));
        let large = vec![b'1'; 3 * CALL_BYTES - 1].into();
        assert!(ring.end(id(1), Ended::Completed(Some(large)), at(1)).is_some());
        assert!(ring.find(id(0), at(1)).is_none() && ring.find(id(1), at(1)).is_some());
        ring.begin(id(2), call(4 * CALL_BYTES, 2));
        assert_eq!((ring.calls.len(), ring.bytes), (0, 0));
    }

    #[test]
    fn a_call_is_forgotten_some_time_after_its_end() {
        let mut ring = ring(10, usize::MAX);
        ring.begin(id(0), call(1, 0));
        ring.end(id(0), Ended::Cancelled, at(500));
        assert_eq!(ring.find(id(0), at(1500)).unwrap().state, TaskState::Cancelled);
        assert!(ring.find(id(0), at(1501)).is_none());
        ring.begin(id(1), call(1, 1501));
        assert_eq!(ring.calls.len(), 1);
    }

    proptest! {
        #[test]
        fn no_bound_is_ever_broken(
            deeds in prop::collection::vec((0..12_usize, 0..3000_usize, 0..3_u8), 0..200),
        ) {
            let mut ring = ring(5, 6000);
            for (step, (number, size, what)) in deeds.into_iter().enumerate() {
                let now = step as u64 * 50;
                match what {
                    0 => ring.begin(id(number), call(size, now)),
                    1 => drop(ring.end(id(number), Ended::Cancelled, at(now))),
                    _ => {
                        let result = Some(vec![b'1'; size].into());
                        drop(ring.end(id(number), Ended::Completed(result), at(now)));
                    }
                }
                prop_assert!(ring.calls.len() <= 5 && ring.bytes <= 6000);
                prop_assert_eq!(ring.calls.len(), ring.order.len());
                prop_assert_eq!(ring.bytes, ring.calls.values().map(Call::bytes).sum::<usize>());
            }
        }
    }
}
