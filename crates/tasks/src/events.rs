//! What a client that follows a task is told.

use api::{task::TaskView, worker::Report};
use futures_util::stream::{self, BoxStream, StreamExt};
use serde::Serialize;
use serde_json::Value;
use types::TaskId;

use crate::{
    Tasks,
    hub::{Signal, Watch},
};

/// One thing that happened to a task.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum TaskEvent {
    /// It stands here now. Comes first, with every change of state, and last.
    State(Box<TaskView>),
    /// It goes forward.
    Progress {
        /// Share done, 0 to 1, if known.
        #[serde(skip_serializing_if = "Option::is_none")]
        fraction: Option<f64>,
        /// A word for a person.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// A partial result.
        #[serde(skip_serializing_if = "Option::is_none")]
        partial: Option<Value>,
    },
}

/// Who follows a task, and what it was told last.
struct Follower {
    tasks: Tasks,
    id: TaskId,
    watch: Watch,
    last: Option<Box<TaskView>>,
}

/// The events of a task that stands at `first`, until it has ended or the server stops.
pub(crate) fn follow(tasks: Tasks, watch: Watch, first: TaskView) -> BoxStream<'static, TaskEvent> {
    let id = first.task_id;
    let first = Box::new(first);
    let over = first.state.is_terminal();
    let follower = Follower { tasks, id, watch, last: Some(first.clone()) };
    let begin = stream::once(async move { TaskEvent::State(first) });
    let rest = stream::unfold((!over).then_some(follower), |follower| async move {
        let mut follower = follower?;
        let event = follower.next().await?;
        let over = matches!(&event, TaskEvent::State(view) if view.state.is_terminal());
        Some((event, (!over).then_some(follower)))
    });
    begin.chain(rest).boxed()
}

impl Follower {
    /// The next event; `None` if there will be none that can be told.
    async fn next(&mut self) -> Option<TaskEvent> {
        loop {
            let signal = tokio::select! {
                () = self.tasks.stopped() => return None,
                signal = self.watch.next() => signal,
            };
            match signal {
                Signal::Progress(report) => {
                    if let Some(progress) = progress(&report) {
                        return Some(progress);
                    }
                }
                Signal::Changed => {
                    let view = Box::new(self.tasks.get(self.id).await.ok()?);
                    if let Some(event) = self.news(view) {
                        return Some(event);
                    }
                }
            }
        }
    }

    /// What is new since the task was looked at last. Two changes may come so close that both were
    /// seen at once; and of what another server runs, progress is only seen by looking.
    fn news(&mut self, view: Box<TaskView>) -> Option<TaskEvent> {
        let last = self.last.replace(view.clone());
        let Some(last) =
            last.filter(|last| (last.state, last.attempt) == (view.state, view.attempt))
        else {
            return Some(TaskEvent::State(view));
        };
        let TaskView { progress: fraction, message, partial, version, .. } = *view;
        let partial = partial.and_then(|json| serde_json::from_str(json.get()).ok());
        (last.version != version).then_some(TaskEvent::Progress { fraction, message, partial })
    }
}

fn progress(report: &Report) -> Option<TaskEvent> {
    match report {
        Report::Progress { fraction, message, partial, .. } => Some(TaskEvent::Progress {
            fraction: *fraction,
            message: message.clone(),
            partial: partial.clone(),
        }),
        Report::Ended { .. } => None,
    }
}
