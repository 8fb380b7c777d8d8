//! Promises about the history of a task.

use std::time::Duration;

use policy::{backoff::Backoff, task::TaskPolicy};
use types::{ErrorCode, TaskId};

use super::{Fixture, answered, at, begin, new_task, raised, retries, submit};
use crate::{FailedAttempt, NewTask, Outcome, TaskError, TaskStore};

async fn history(store: &dyn TaskStore, id: TaskId) -> Vec<FailedAttempt> {
    store.attempts(id).await.unwrap()
}

fn numbers(history: &[FailedAttempt]) -> Vec<u32> {
    history.iter().map(|failed| failed.attempt).collect()
}

fn refused(words: &str) -> TaskError {
    TaskError::new(ErrorCode::ProviderFailed, words)
}

/// With its times and its server, across a replay, and until the record is removed.
pub async fn every_attempt_that_failed_is_remembered_with_its_error(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let hour = Duration::from_secs(3600);
    let task = NewTask { retry: retries(2), keep_for: hour, ..new_task() };
    let id = submit(&*store, task).await;
    let mut expected = Vec::new();
    for (attempt, began) in [(1, 10), (2, 20)] {
        let fence = begin(&*store, at(began)).await;
        let error = refused(&format!("no {attempt}"));
        store.finish(fence, Outcome::Retry(error.clone()), at(began + 5)).await.unwrap();
        let (owner, began, ended) = (store.owner(), at(began), at(began + 5));
        expected.push(FailedAttempt { attempt, owner, began, ended, error });
        assert_eq!(history(&*store, id).await, expected);
    }
    store.replay(id, at(30)).await.unwrap();
    assert_eq!(history(&*store, id).await, expected);
    let fence = begin(&*store, at(40)).await;
    store.finish(fence, Outcome::Failed(raised()), at(41)).await.unwrap();
    assert_eq!(numbers(&history(&*store, id).await), [1, 2, 3]);

    store.sweep(at(41).after(hour), 10).await.unwrap();
    assert_eq!(store.get(id).await.unwrap(), None);
    assert_eq!(history(&*store, id).await, []);
}

/// The answer itself is no failure.
pub async fn an_answer_leaves_the_failures_before_it_readable(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let id = submit(&*store, new_task()).await;
    let fence = begin(&*store, at(1)).await;
    store.finish(fence, Outcome::Retry(raised()), at(2)).await.unwrap();
    let fence = begin(&*store, at(3)).await;
    store.renew(fence, at(5000), Some(0.5), at(4)).await.unwrap();
    store.finish(fence, answered("1"), at(5)).await.unwrap();
    let history = history(&*store, id).await;
    assert_eq!(numbers(&history), [1]);
    assert_eq!(history[0].error, raised());
}

/// Both say which server ran the attempt.
pub async fn a_lost_lease_and_a_lost_server_stand_in_the_history(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let id = submit(&*store, new_task()).await;
    begin(&*store, at(1)).await;
    store.sweep(at(5000), 10).await.unwrap();
    begin(&*store, at(6000)).await;
    let earlier = store.owner();
    store.close().await;

    let store = fixture.open().await;
    store.recover(at(6500)).await.unwrap();
    let history = history(&*store, id).await;
    assert_eq!(numbers(&history), [1, 2]);
    assert!(history.iter().all(|failed| failed.owner == earlier), "{history:?}");
    assert!(history.iter().all(|failed| failed.error.code == ErrorCode::WorkerFailed));
    assert_eq!((history[0].began, history[0].ended), (at(1), at(5000)));
    assert_eq!((history[1].began, history[1].ended), (at(6000), at(6500)));
}

/// The cancellation is how the attempt ended.
pub async fn a_cancelled_attempt_is_remembered_and_a_task_that_never_ran_has_none(
    fixture: &dyn Fixture,
) {
    let store = fixture.open().await;
    let running = submit(&*store, new_task()).await;
    let waiting = submit(&*store, new_task()).await;
    assert_eq!(begin(&*store, at(1)).await.id, running);
    store.cancel(running, at(2)).await.unwrap();
    store.cancel(waiting, at(2)).await.unwrap();
    let history_of_running = history(&*store, running).await;
    assert_eq!(numbers(&history_of_running), [1]);
    assert_eq!(history_of_running[0].error.code, ErrorCode::TaskCancelled);
    assert_eq!(history(&*store, waiting).await, []);
}

/// However long a task is tried.
pub async fn of_very_many_failures_the_first_and_the_latest_are_kept(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let id = submit(&*store, NewTask { retry: retries(100), ..new_task() }).await;
    for _ in 0..FailedAttempt::KEPT_MAX + 5 {
        let fence = begin(&*store, at(1)).await;
        store.finish(fence, Outcome::Retry(raised()), at(1)).await.unwrap();
    }
    let last = FailedAttempt::KEPT_MAX as u32 + 5;
    let expected: Vec<_> = [1].into_iter().chain(7..=last).collect();
    assert_eq!(numbers(&history(&*store, id).await), expected);
}

/// The task says that its time is over, its history why it needed so long.
pub async fn the_time_that_ran_out_does_not_hide_the_error_before_it(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let long = Duration::from_secs(60);
    let retry = TaskPolicy { backoff: Backoff { base: long, max: long }, ..retries(3) };
    let id = submit(&*store, NewTask { retry, deadline: Some(at(900)), ..new_task() }).await;
    let fence = begin(&*store, at(1)).await;
    store.finish(fence, Outcome::Retry(refused("busy")), at(2)).await.unwrap();
    let found = store.get(id).await.unwrap().unwrap();
    assert_eq!(found.error.map(|error| error.code), Some(ErrorCode::DeadlineExceeded));
    assert_eq!(history(&*store, id).await[0].error, refused("busy"));
}
