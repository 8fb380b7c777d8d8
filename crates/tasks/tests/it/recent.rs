//! Synchronous calls that are remembered.

use std::time::Duration;

use api::{task::TaskState, worker::Report};
use bytes::Bytes;
use http::StatusCode;
use tasks::{RecentSettings, Record, TaskSettings};
use types::{CallId, ErrorCode, Fault, TaskId};
use uuid::Uuid;

use crate::house::{House, SOON, result, spec};

type End = fn(Record);

fn fresh() -> TaskId {
    TaskId::new(Uuid::now_v7())
}

fn begin(house: &House, id: TaskId) -> Record {
    house.tasks.recent().begin(id, &house.model, &Bytes::from_static(b"{\"a\": 1}"))
}

#[tokio::test]
async fn a_call_can_be_read_like_a_task_while_it_runs_and_after() {
    let (house, id) = (House::new(), fresh());
    let record = begin(&house, id);
    let view = house.tasks.get(id).await.unwrap();
    assert_eq!(
        (view.state, view.status.as_str(), view.attempt),
        (TaskState::Running, "running", 1)
    );
    assert_eq!(view.payload.unwrap().get(), "{\"a\": 1}");

    let progress = Report::Progress {
        call_id: CallId::new(id.uuid()),
        fraction: Some(0.25),
        message: None,
        partial: None,
    };
    house.tasks.on_report(CallId::new(id.uuid()), &progress);
    assert_eq!(house.tasks.get(id).await.unwrap().progress, Some(0.25));

    record.completed(Some(Bytes::from_static(b"{\"b\": 2}")));
    let view = house.tasks.get(id).await.unwrap();
    assert_eq!((view.state, result(&view)), (TaskState::Completed, "{\"b\": 2}"));
}

#[tokio::test]
async fn every_way_to_end_is_told_apart() {
    let house = House::new();
    let ends: [(End, TaskState, &str, Option<&str>); 4] = [
        (|record| record.completed(None), TaskState::Completed, "", None),
        (
            |record| record.failed(&Fault::new(ErrorCode::WorkerFailed, "the worker died")),
            TaskState::Failed,
            r#"{"error":"the worker died"}"#,
            Some("worker_failed"),
        ),
        (
            |record| {
                let body = Bytes::from_static(br#"{"detail":"boom"}"#);
                record.refused(StatusCode::INTERNAL_SERVER_ERROR, &body);
            },
            TaskState::Failed,
            r#"{"error":"boom"}"#,
            Some("handler_failed"),
        ),
        (
            drop,
            TaskState::Cancelled,
            r#"{"error":"the client left before the answer"}"#,
            Some("task_cancelled"),
        ),
    ];
    for (end, state, text, code) in ends {
        let id = fresh();
        end(begin(&house, id));
        let view = house.tasks.get(id).await.unwrap();
        assert_eq!((view.state, result(&view)), (state, text));
        assert_eq!(view.error_code.as_deref(), code);
    }
}

#[tokio::test]
async fn a_call_can_be_waited_for_but_not_cancelled_or_tried_again() {
    let (house, id) = (House::new(), fresh());
    let record = begin(&house, id);
    let fault = house.tasks.cancel(id).await.unwrap_err();
    assert_eq!(fault.code, ErrorCode::InvalidRequest);
    let (view, ()) = tokio::join!(house.tasks.wait(id, SOON), async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        record.completed(Some(Bytes::from_static(b"1")));
    });
    assert_eq!(view.unwrap().state, TaskState::Completed);
    assert_eq!(house.tasks.cancel(id).await.unwrap_err().code, ErrorCode::TaskFinished);
    assert_eq!(house.tasks.retry(id).await.unwrap_err().code, ErrorCode::InvalidRequest);
}

#[tokio::test]
async fn nothing_is_remembered_where_that_is_switched_off() {
    let recent = RecentSettings { calls_max: 0, ..RecentSettings::default() };
    let house = House::with(spec(), TaskSettings { recent, ..TaskSettings::default() });
    let id = fresh();
    begin(&house, id).completed(None);
    assert_eq!(house.tasks.get(id).await.unwrap_err().code, ErrorCode::TaskNotFound);
}

#[tokio::test]
async fn ended_calls_are_written_where_that_is_wanted() {
    let recent = RecentSettings { stored: true, ..RecentSettings::default() };
    let house = House::with(spec(), TaskSettings { recent, ..TaskSettings::default() });
    let (good, bad) = (fresh(), fresh());
    begin(&house, good).completed(Some(Bytes::from_static(b"7")));
    begin(&house, bad).failed(&Fault::new(ErrorCode::WorkerFailed, "the worker died"));
    house.shut_down().await;
    let good = house.store.get(good).await.unwrap().unwrap();
    assert_eq!((good.state(), &good.answer.unwrap().body[..]), (TaskState::Completed, &b"7"[..]));
    let bad = house.store.get(bad).await.unwrap().unwrap();
    assert_eq!(
        (bad.state(), bad.error.unwrap().code),
        (TaskState::Failed, ErrorCode::WorkerFailed)
    );
}
