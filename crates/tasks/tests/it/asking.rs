//! What may be asked about tasks.

use std::time::Duration;

use api::{task::TaskState, worker::Report};
use futures_util::StreamExt;
use tasks::{Submission, TaskEvent, TaskFilter, TaskSettings};
use tokio::sync::watch;
use types::{ErrorCode, TaskId};
use uuid::Uuid;

use crate::house::{House, SOON, json, result, spec, until};

#[tokio::test]
async fn an_unknown_task_is_named() {
    let house = House::new();
    let id: TaskId = TaskId::new(Uuid::from_u128(7));
    let tasks = &house.tasks;
    for fault in [
        tasks.get(id).await.unwrap_err(),
        tasks.cancel(id).await.unwrap_err(),
        tasks.retry(id).await.unwrap_err(),
        tasks.wait(id, SOON).await.unwrap_err(),
        tasks.events(id).await.err().unwrap(),
    ] {
        assert_eq!(fault.code, ErrorCode::TaskNotFound);
        assert_eq!(fault.detail, "task 00000000-0000-0000-0000-000000000007 not found");
    }
}

#[tokio::test]
async fn an_unknown_model_takes_no_tasks() {
    let house = House::new();
    let submission = Submission { model: "eco".parse().unwrap(), ..house.submission() };
    let fault = house.tasks.submit(submission).await.unwrap_err();
    assert_eq!(fault.code, ErrorCode::ModelNotFound);
    assert!(fault.detail.starts_with("model eco not found"), "{fault}");
}

#[tokio::test]
async fn the_same_key_gives_the_same_task_and_another_body_is_a_conflict() {
    let house = House::new();
    house.declare_echo();
    let keyed = || Submission { idempotency_key: Some("k".into()), ..house.submission() };
    let id = house.submit_as(keyed()).await;
    house.end(id).await;
    let again = house.tasks.submit(keyed()).await.unwrap();
    assert_eq!((again.task_id, again.status.as_str()), (id, "completed"));
    let other = Submission { payload: "{}".into(), ..keyed() };
    let fault = house.tasks.submit(other).await.unwrap_err();
    assert_eq!(fault.code, ErrorCode::IdempotencyConflict);
    assert!(fault.detail.contains(&id.to_string()), "{fault}");
}

#[tokio::test]
async fn a_queue_that_is_full_refuses_and_says_when_to_come_back() {
    let house = House::with(spec(), TaskSettings { queued_max: 2, ..TaskSettings::default() });
    house.submit().await;
    house.submit().await;
    let fault = house.tasks.submit(house.submission()).await.unwrap_err();
    assert_eq!(fault.code, ErrorCode::QueueFull);
    assert_eq!(fault.detail, "2 tasks of model echo wait already");
    assert!(fault.retry_after.is_some());
}

#[tokio::test]
async fn a_cancelled_task_that_waits_is_never_called() {
    let house = House::new();
    let id = house.submit().await;
    let view = house.tasks.cancel(id).await.unwrap();
    assert_eq!((view.state, view.status.as_str()), (TaskState::Cancelled, "failed"));
    assert_eq!(view.error_code.as_deref(), Some("task_cancelled"));
    let endpoint = house.declare_echo();
    let other = house.submit().await;
    house.end(other).await;
    assert_eq!(endpoint.calls(), 1);
    let fault = house.tasks.cancel(id).await.unwrap_err();
    assert_eq!(fault.code, ErrorCode::TaskFinished);
    assert_eq!(house.tasks.retry(id).await.unwrap_err().code, ErrorCode::TaskFinished);
}

#[tokio::test]
async fn cancelling_drops_the_call_that_runs() {
    let house = House::new();
    let endpoint = house.declare(1, |_| std::future::pending());
    let id = house.submit().await;
    until("the task runs", || endpoint.calls() == 1).await;
    let view = house.tasks.cancel(id).await.unwrap();
    assert_eq!(view.state, TaskState::Cancelled);
    until("the call is dropped", || endpoint.dropped() == 1).await;
    assert_eq!(house.end(id).await.state, TaskState::Cancelled);
}

#[tokio::test]
async fn a_wait_ends_with_the_task_or_with_its_time() {
    let house = House::new();
    let (open, gate) = watch::channel(false);
    let endpoint = house.declare(1, move |_| {
        let mut gate = gate.clone();
        async move {
            gate.wait_for(|open| *open).await.unwrap();
            Ok(json(200, "1"))
        }
    });
    let id = house.submit().await;
    until("the task runs", || endpoint.calls() == 1).await;
    let view = house.tasks.wait(id, Duration::from_millis(30)).await.unwrap();
    assert_eq!(view.state, TaskState::Running);
    let (view, ()) = tokio::join!(house.end(id), async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        open.send(true).unwrap();
    });
    assert_eq!((view.state, result(&view)), (TaskState::Completed, "1"));
}

#[tokio::test]
async fn whoever_follows_a_task_hears_everything_in_order() {
    let house = House::new();
    let id = house.submit().await;
    let mut events = house.tasks.events(id).await.unwrap();
    let (begin, begun) = watch::channel(false);
    let endpoint = house.declare(1, move |_| {
        let mut begun = begun.clone();
        async move {
            begun.wait_for(|begun| *begun).await.unwrap();
            Ok(json(200, "1"))
        }
    });
    let mut told = Vec::new();
    while let Some(event) = tokio::time::timeout(SOON, events.next()).await.unwrap() {
        let json = serde_json::to_value(&event).unwrap();
        match event {
            TaskEvent::State(view) => {
                assert_eq!(json["state"], view.state.as_str());
                told.push(view.state.as_str().to_owned());
                if view.state == TaskState::Running {
                    until("it is called", || endpoint.calls() == 1).await;
                    let call = endpoint.seen()[0].header("x-call-id").parse().unwrap();
                    let progress = Report::Progress {
                        call_id: call,
                        fraction: Some(0.5),
                        message: Some("half".into()),
                        partial: None,
                    };
                    house.tasks.on_report(call, &progress);
                    assert_eq!(house.tasks.get(id).await.unwrap().progress, Some(0.5));
                }
            }
            TaskEvent::Progress { fraction, .. } => {
                assert_eq!(json.to_string(), r#"{"fraction":0.5,"message":"half"}"#);
                told.push(format!("{}", fraction.unwrap()));
                begin.send(true).unwrap();
            }
        }
    }
    assert_eq!(told, ["queued", "running", "0.5", "completed"]);

    let ended: Vec<_> = house.tasks.events(id).await.unwrap().collect().await;
    assert_eq!(ended.len(), 1, "of a task that has ended only the end is told");
}

#[tokio::test]
async fn lists_are_paged_and_filtered() {
    let house = House::new();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(house.submit().await);
    }
    house.tasks.cancel(ids[1]).await.unwrap();
    let page = house.tasks.list(TaskFilter::default(), None, 2).await.unwrap();
    let listed: Vec<_> = page.tasks.iter().map(|task| task.task_id).collect();
    assert_eq!(listed, [ids[2], ids[1]]);
    let rest = house.tasks.list(TaskFilter::default(), page.next_cursor, 2).await.unwrap();
    assert_eq!((rest.tasks[0].task_id, rest.next_cursor), (ids[0], None));
    let queued = TaskFilter { state: Some(TaskState::Queued), ..TaskFilter::default() };
    assert_eq!(house.tasks.list(queued, None, 10).await.unwrap().tasks.len(), 2);

    let cursor = Some("nonsense".into());
    let fault = house.tasks.list(TaskFilter::default(), cursor, 10).await.unwrap_err();
    assert_eq!(fault.code, ErrorCode::InvalidQuery);
    assert!(fault.detail.contains("`nonsense`"), "{fault}");
}
