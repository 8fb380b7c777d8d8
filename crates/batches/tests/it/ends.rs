//! The ends that a batch can come to.

use std::time::Duration;

use api::{openai::BatchStatus, task::TaskState};
use tasks::TaskFilter;
use tokio::time::sleep;
use types::{ErrorCode, Priority};

use crate::house::{Ground, line, until};

#[tokio::test]
async fn every_line_is_answered_once_and_in_its_place() {
    let ground = Ground::new();
    ground.model.open();
    let server = ground.server();
    let id = server.submit(50).await;
    server.check(&id, BatchStatus::Completed, 50).await;
    let calls = ground.model.calls();
    assert_eq!((calls.len(), calls.values().sum::<u32>()), (50, 50));
    let batch = server.batch(&id).await;
    assert_eq!((batch.error_file_id, batch.errors), (None, None));
    assert!(
        batch.completed_at >= batch.finalizing_at && batch.finalizing_at >= batch.in_progress_at
    );
    let journals = std::fs::read_dir(ground.folder()).unwrap();
    let mut kept = journals.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(!kept.any(|name| name.starts_with("batch_")), "journals are removed");
}

#[tokio::test]
async fn lines_that_fail_are_in_a_file_of_their_own_with_their_status() {
    let ground = Ground::new();
    ground.model.open();
    ground.model.refuse_odd();
    let server = ground.server();
    let id = server.submit(9).await;
    let results = server.check(&id, BatchStatus::Completed, 9).await;
    assert_eq!((results.answered.len(), results.failed.len()), (5, 4));
    let response = results.failed[0].response.as_ref().unwrap();
    assert_eq!(response.status_code, 422);
    assert!(response.body.get().contains(r#""message":"odd""#), "{}", response.body);
}

#[tokio::test]
async fn a_file_with_a_bad_line_calls_nothing_and_names_it() {
    let ground = Ground::new();
    ground.model.open();
    let server = ground.server();
    let text = [line(0), line(1), line(0), "{}".into(), line(2)].join("\n");
    let file = server.upload_text(&text).await;
    let id = server.submit_file(file, "1h").await;
    let batch = server.end(&id).await;
    assert_eq!(batch.status, BatchStatus::Failed);
    assert!(batch.failed_at.is_some() && batch.in_progress_at.is_none());
    let errors = batch.errors.unwrap().data;
    let named: Vec<_> = errors.iter().map(|error| (error.line, &*error.code)).collect();
    let expected = [(Some(3), "duplicate_custom_id"), (Some(4), "missing_required_parameter")];
    assert_eq!(named, expected);
    assert_eq!(ground.model.calls().len(), 0);
}

#[tokio::test]
async fn a_cancelled_batch_drops_what_runs_and_keeps_what_was_answered() {
    let ground = Ground::new();
    let server = ground.server();
    let id = server.submit(20).await;
    ground.model.let_pass(3);
    server.until(&id, |batch| batch.request_counts.completed == 3).await;
    until("two calls wait", || ground.model.calls().len() == 5).await;
    let asked = server.batches.cancel(&id).await.unwrap();
    assert_eq!(asked.status, BatchStatus::Cancelling);
    let results = server.check(&id, BatchStatus::Cancelled, 20).await;
    assert_eq!(results.answered.len(), 3);
    let error = results.failed[0].error.as_ref().unwrap();
    assert_eq!((&*error.code, results.failed[0].response.is_none()), ("batch_cancelled", true));
    until("what ran is dropped", || ground.model.dropped() == 2).await;
    assert_eq!(ground.model.calls().len(), 5, "nothing more is called");
    let open = server.tasks.list(TaskFilter::default(), None, 100).await.unwrap();
    assert!(open.tasks.iter().all(|task| task.state.is_terminal()));

    let again = server.batches.cancel(&id).await.unwrap_err();
    assert_eq!(again.code, ErrorCode::BatchFinished);
}

#[tokio::test]
async fn a_batch_that_is_cancelled_at_once_still_ends() {
    let ground = Ground::new();
    let server = ground.server();
    let id = server.submit(5).await;
    server.batches.cancel(&id).await.unwrap();
    server.check(&id, BatchStatus::Cancelled, 5).await;
}

#[tokio::test]
async fn a_batch_whose_time_is_over_ends_with_what_it_has() {
    let ground = Ground::new();
    let server = ground.server();
    let file = server.upload(0..10).await;
    ground.model.let_pass(4);
    let id = server.submit_file(file, "2s").await;
    let results = server.check(&id, BatchStatus::Expired, 10).await;
    assert_eq!(results.answered.len(), 4);
    assert!(results.failed.iter().all(|line| line.error.as_ref().unwrap().code == "batch_expired"));
    assert!(server.batch(&id).await.expired_at.is_some());
}

#[tokio::test]
async fn only_a_window_of_lines_are_tasks_and_they_wait_behind_others() {
    let ground = Ground::new();
    let server = ground.server();
    let id = server.submit(100).await;
    until("two calls wait", || ground.model.calls().len() == 2).await;
    sleep(Duration::from_millis(50)).await;
    let tasks = server.tasks.list(TaskFilter::default(), None, 100).await.unwrap().tasks;
    assert_eq!(tasks.len(), 4, "a window of them");
    assert!(tasks.iter().all(|task| task.priority == Priority::Low));
    let running = tasks.iter().filter(|task| task.state == TaskState::Running).count();
    assert_eq!(running, 2);
    ground.model.open();
    server.check(&id, BatchStatus::Completed, 100).await;
}
