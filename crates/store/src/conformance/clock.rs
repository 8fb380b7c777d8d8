//! Promises about what time alone does.

use policy::{backoff::Backoff, task::TaskPolicy};
use std::time::Duration;

use super::{
    Fixture, answered, at, begin, claim, keyed, model, new_task, raised, retries, state, submit,
};
use crate::{Changed, Finished, Lease, NewTask, Outcome, Place};
use api::task::TaskState;
use types::{ErrorCode, Priority};

/// And the sweep that makes it ready names its model, so that somebody can be woken.
pub async fn a_delayed_task_is_ready_at_its_moment(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let id = submit(&*store, NewTask { not_before: Some(at(500)), ..new_task() }).await;
    assert_eq!(claim(&*store, at(499)).await, None);
    let swept = store.sweep(at(499), 100).await.unwrap();
    assert_eq!((swept.changed.len(), swept.next_due), (0, Some(at(500))));
    let swept = store.sweep(at(500), 100).await.unwrap();
    let place = Place::Ready(Priority::Normal);
    let ready = Changed { id, model: model(), place, attempt: 0 };
    assert_eq!((swept.changed, swept.next_due), (vec![ready], None));
    assert_eq!(begin(&*store, at(500)).await.id, id);
}

/// Whether a claim or a sweep notices it first.
pub async fn a_task_whose_deadline_passed_fails_instead_of_running(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let late = || NewTask { deadline: Some(at(100)), ..new_task() };
    let claimed = submit(&*store, late()).await;
    assert_eq!(claim(&*store, at(100)).await, None);
    let swept = submit(&*store, late()).await;
    let delayed = submit(&*store, NewTask { not_before: Some(at(200)), ..late() }).await;
    assert_eq!(store.sweep(at(100), 100).await.unwrap().changed.len(), 2);
    for id in [claimed, swept, delayed] {
        let found = store.get(id).await.unwrap().unwrap();
        assert_eq!(found.state(), TaskState::Failed);
        assert_eq!(found.error.unwrap().code, ErrorCode::DeadlineExceeded);
    }
    assert_eq!(claim(&*store, at(300)).await, None);
}

/// Waiting for it would help nobody. The last error is not forgotten.
pub async fn a_retry_that_comes_after_the_deadline_fails_at_once(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let second = Duration::from_secs(1);
    let backoff = Backoff { base: second, max: second };
    let retry = TaskPolicy { attempts_max: 3, backoff };
    let id = submit(&*store, NewTask { deadline: Some(at(100)), retry, ..new_task() }).await;
    let fence = begin(&*store, at(1)).await;
    let outcome = Outcome::Retry(raised());
    let finished = store.finish(fence, outcome, at(2)).await.unwrap();
    assert_eq!(finished, Finished::Applied(TaskState::Failed));
    let error = store.get(id).await.unwrap().unwrap().error.unwrap();
    assert_eq!(error.code, ErrorCode::DeadlineExceeded);
    assert!(error.detail.contains("boom"), "{}", error.detail);
}

/// The earlier holder is not listened to any more.
pub async fn a_lease_that_ends_gives_the_task_to_the_next(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let id = submit(&*store, new_task()).await;
    let first = begin(&*store, at(0)).await;
    assert_eq!(store.sweep(at(999), 100).await.unwrap().changed, []);
    let swept = store.sweep(at(1000), 100).await.unwrap();
    let place = Place::Ready(Priority::Normal);
    assert_eq!(swept.changed, [Changed { id, model: model(), place, attempt: 1 }]);

    let second = begin(&*store, at(1001)).await;
    assert_eq!((second.id, second.attempt), (id, 2));
    assert_eq!(store.finish(first, answered("1"), at(1002)).await.unwrap(), Finished::Fenced);
    assert_eq!(store.renew(first, at(9000), None, at(2)).await.unwrap(), Lease::Lost);
    let finished = store.finish(second, answered("2"), at(1003)).await.unwrap();
    assert_eq!(finished, Finished::Applied(TaskState::Completed));
}

/// A task that kills every worker must come to an end.
pub async fn a_lease_that_ends_counts_as_an_attempt(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let id = submit(&*store, NewTask { retry: retries(2), ..new_task() }).await;
    for (now, expected) in [(0, TaskState::Queued), (2000, TaskState::Dead)] {
        begin(&*store, at(now)).await;
        store.sweep(at(now + 1000), 100).await.unwrap();
        assert_eq!(state(&*store, id).await, expected);
    }
    let error = store.get(id).await.unwrap().unwrap().error.unwrap();
    assert_eq!(error.code, ErrorCode::WorkerFailed);
}

/// As long as its holder says.
pub async fn a_renewed_lease_lasts_longer(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let id = submit(&*store, new_task()).await;
    let fence = begin(&*store, at(0)).await;
    assert_eq!(store.renew(fence, at(5000), None, at(2)).await.unwrap(), Lease::Held);
    assert_eq!(store.sweep(at(4999), 100).await.unwrap().next_due, Some(at(5000)));
    assert_eq!(state(&*store, id).await, TaskState::Running);
    store.sweep(at(5000), 100).await.unwrap();
    assert_eq!(state(&*store, id).await, TaskState::Queued);
}

/// Its key is free again then, and what has not ended is kept however old it is.
pub async fn a_record_is_removed_after_its_time(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let brief = || NewTask { keep_for: Duration::from_millis(100), ..keyed(new_task(), "k") };
    let id = submit(&*store, brief()).await;
    assert_eq!(store.sweep(at(50_000), 100).await.unwrap().removed, 0);
    let fence = begin(&*store, at(50_000)).await;
    store.finish(fence, answered("1"), at(50_001)).await.unwrap();
    assert_eq!(store.sweep(at(50_100), 100).await.unwrap().removed, 0);
    assert_eq!(store.sweep(at(50_101), 100).await.unwrap().removed, 1);
    assert_eq!(store.get(id).await.unwrap(), None);
    assert_eq!(
        store.stats().await.unwrap().iter().filter(|of| of.counts.iter().any(|n| *n > 0)).count(),
        0
    );
    submit(&*store, brief()).await;
}

/// So that one sweep holds nothing up for long; it says that there is more.
pub async fn a_sweep_does_no_more_than_asked(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    for _ in 0..5 {
        submit(&*store, NewTask { not_before: Some(at(10)), ..new_task() }).await;
    }
    let mut steps = Vec::new();
    loop {
        let swept = store.sweep(at(10), 2).await.unwrap();
        steps.push(swept.changed.len());
        if !swept.more {
            break;
        }
    }
    assert_eq!(steps.iter().sum::<usize>(), 5);
    assert!(steps.iter().all(|step| *step <= 2), "{steps:?}");
    let error = Outcome::Failed(raised());
    let fence = begin(&*store, at(11)).await;
    assert_eq!(
        store.finish(fence, error, at(12)).await.unwrap(),
        Finished::Applied(TaskState::Failed)
    );
}
