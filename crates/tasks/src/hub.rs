//! Tells those who watch a task that something happened to it.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use api::worker::Report;
use parking_lot::Mutex;
use tokio::sync::broadcast::{self, error::RecvError};
use types::TaskId;

/// Signals that a watcher may fall behind; then it looks at the task itself.
const BACKLOG_MAX: usize = 32;

/// Something happened to a task.
#[derive(Debug, Clone)]
pub(crate) enum Signal {
    /// Its record changed.
    Changed,
    /// It goes forward.
    Progress(Arc<Report>),
}

/// Who watches which task. Nobody watches most of them, and those cost one look into a map.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hub(Arc<Mutex<HashMap<TaskId, broadcast::Sender<Signal>>>>);

impl Hub {
    /// Begins to watch a task, known or not.
    pub(crate) fn watch(&self, task: TaskId) -> Watch {
        let mut watched = self.0.lock();
        let signals = match watched.entry(task) {
            Entry::Occupied(there) => there.get().subscribe(),
            Entry::Vacant(free) => {
                let (sender, signals) = broadcast::channel(BACKLOG_MAX);
                free.insert(sender);
                signals
            }
        };
        Watch { hub: self.clone(), task, signals: Some(signals) }
    }

    pub(crate) fn changed(&self, task: TaskId) {
        self.send(task, || Signal::Changed);
    }

    /// Something may have happened to any task.
    pub(crate) fn all_changed(&self) {
        for watchers in self.0.lock().values() {
            let _ = watchers.send(Signal::Changed);
        }
    }

    pub(crate) fn progress(&self, task: TaskId, report: &Report) {
        self.send(task, || Signal::Progress(Arc::new(report.clone())));
    }

    fn send(&self, task: TaskId, signal: impl FnOnce() -> Signal) {
        if let Some(watchers) = self.0.lock().get(&task) {
            // They may all have left just now.
            let _ = watchers.send(signal());
        }
    }
}

/// One who watches one task.
#[derive(Debug)]
pub(crate) struct Watch {
    hub: Hub,
    task: TaskId,
    /// `None` only while it is dropped.
    signals: Option<broadcast::Receiver<Signal>>,
}

impl Watch {
    /// The next signal. Dropping the future loses none.
    pub(crate) async fn next(&mut self) -> Signal {
        let Some(signals) = &mut self.signals else { return Signal::Changed };
        match signals.recv().await {
            Ok(signal) => signal,
            // Whoever missed something looks at the task itself.
            Err(RecvError::Lagged(_) | RecvError::Closed) => Signal::Changed,
        }
    }

    /// Until the record has changed.
    pub(crate) async fn changed(&mut self) {
        while let Signal::Progress(_) = self.next().await {}
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = self.hub.0.lock();
        drop(self.signals.take());
        if watched.get(&self.task).is_some_and(|sender| sender.receiver_count() == 0) {
            watched.remove(&self.task);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_task_that_nobody_watches_any_more_is_forgotten() {
        let (hub, task) = (Hub::default(), TaskId::new(Uuid::from_u128(1)));
        let (mut first, second) = (hub.watch(task), hub.watch(task));
        drop(second);
        hub.changed(task);
        assert!(matches!(first.next().now_or_never(), Some(Signal::Changed)));
        assert!(first.next().now_or_never().is_none());
        drop(first);
        assert!(hub.0.lock().is_empty());
        hub.changed(task);
    }

    #[test]
    fn who_falls_behind_looks_at_the_task_itself() {
        let (hub, task) = (Hub::default(), TaskId::new(Uuid::from_u128(1)));
        let mut watch = hub.watch(task);
        for _ in 0..=BACKLOG_MAX {
            hub.changed(task);
        }
        assert!(watch.changed().now_or_never().is_some());
    }
}
