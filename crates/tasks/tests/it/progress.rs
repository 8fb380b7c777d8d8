//! What a running task says of itself, and who reads it.

use std::time::Duration;

use api::{
    task::{TaskState, TaskView},
    worker::Report,
};
use futures_util::FutureExt;
use serde_json::json;
use tokio::sync::watch;
use types::{CallId, TaskId};

use crate::house::{House, SOON, json as answer, until};

/// A task that runs until it is let go, and its call.
async fn running(house: &House) -> (TaskId, CallId, watch::Sender<bool>) {
    let (open, gate) = watch::channel(false);
    let endpoint = house.declare(1, move |_| {
        let mut gate = gate.clone();
        async move {
            gate.wait_for(|open| *open).await.unwrap();
            Ok(answer(200, "1"))
        }
    });
    let id = house.submit().await;
    until("it is called", || endpoint.calls() == 1).await;
    (id, endpoint.seen()[0].header("x-call-id").parse().unwrap(), open)
}

fn report(house: &House, call_id: CallId, message: &str, partial: Option<serde_json::Value>) {
    let message = Some(message.to_owned());
    let progress = Report::Progress { call_id, fraction: Some(0.5), message, partial };
    house.tasks.on_report(call_id, &progress);
}

fn partial(view: &TaskView) -> Option<&str> {
    view.partial.as_ref().map(|json| json.get())
}

#[tokio::test]
async fn the_last_word_and_the_last_partial_result_are_shown_while_the_attempt_runs() {
    let house = House::new();
    let (id, call, open) = running(&house).await;
    report(&house, call, "half", Some(json!({"words": ["a"]})));
    let view = house.tasks.get(id).await.unwrap();
    assert_eq!((view.progress, view.message.as_deref()), (Some(0.5), Some("half")));
    assert_eq!(partial(&view), Some(r#"{"words":["a"]}"#));

    // What is not said again stays; what is too large is told to followers only.
    report(&house, call, "more", Some(json!("a".repeat(1 << 20))));
    let view = house.tasks.get(id).await.unwrap();
    assert_eq!(view.message.as_deref(), Some("more"));
    assert_eq!(partial(&view), Some(r#"{"words":["a"]}"#));
    open.send(true).unwrap();
    let view = house.end(id).await;
    assert_eq!((view.message.as_deref(), partial(&view)), (None, None));
}

#[tokio::test]
async fn whoever_waits_for_a_change_hears_of_progress_and_of_the_end() {
    let house = House::new();
    let (id, call, open) = running(&house).await;
    let known = house.tasks.get(id).await.unwrap().version;
    let unchanged = house.tasks.wait_for_change(id, &known, Duration::from_millis(20)).await;
    assert_eq!(unchanged.unwrap().version, known);

    let mut waiting = Box::pin(house.tasks.wait_for_change(id, &known, SOON));
    assert!((&mut waiting).now_or_never().is_none());
    report(&house, call, "half", None);
    let view = waiting.await.unwrap();
    assert_eq!((view.state, view.message.as_deref()), (TaskState::Running, Some("half")));
    assert_ne!(view.version, known);

    let version = view.version;
    let waiting = house.tasks.wait_for_change(id, &version, SOON);
    open.send(true).unwrap();
    let ended = waiting.await.unwrap();
    assert_eq!(ended.state, TaskState::Completed);
    // Nothing can change any more, so nobody is kept waiting.
    let again = house.tasks.wait_for_change(id, &ended.version, SOON).now_or_never();
    assert_eq!(again.unwrap().unwrap().version, ended.version);
}
