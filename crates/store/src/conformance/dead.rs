//! Promises about dead letters.

use api::task::TaskState;
use types::{ErrorCode, TaskId};

use super::{Fixture, answered, at, begin, keyed, model, new_task, raised, retries, state, submit};
use crate::{Discarded, NewTask, Outcome, TaskError, TaskFilter, TaskStore};

/// Submits a task that dies of `code` at once.
async fn dead(store: &dyn TaskStore, code: ErrorCode, task: NewTask) -> TaskId {
    let id = submit(store, NewTask { retry: retries(1), ..task }).await;
    let fence = begin(store, at(1)).await;
    assert_eq!(fence.id, id);
    store.finish(fence, Outcome::Retry(TaskError::new(code, "no")), at(2)).await.unwrap();
    id
}

/// Nothing of it is left.
pub async fn a_discarded_task_is_forgotten_and_its_key_is_free(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let id = dead(&*store, ErrorCode::HandlerFailed, keyed(new_task(), "k")).await;
    assert_eq!(store.discard(id).await.unwrap(), Discarded::Removed);
    assert_eq!(store.get(id).await.unwrap(), None);
    assert_eq!(store.attempts(id).await.unwrap(), []);
    assert_eq!(store.stats().await.unwrap().iter().map(|of| of.counts[5]).sum::<u64>(), 0);
    assert_eq!(store.discard(id).await.unwrap(), Discarded::Unknown);
    submit(&*store, keyed(new_task(), "k")).await;
}

/// Others are somebody's work, or somebody's result.
pub async fn only_dead_tasks_can_be_discarded(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let refused = async |id, expected| {
        assert_eq!(store.discard(id).await.unwrap(), Discarded::Refused(expected));
        assert_eq!(state(&*store, id).await, expected);
    };
    let id = submit(&*store, new_task()).await;
    refused(id, TaskState::Queued).await;
    let fence = begin(&*store, at(1)).await;
    refused(id, TaskState::Running).await;
    store.finish(fence, answered("1"), at(2)).await.unwrap();
    refused(id, TaskState::Completed).await;
    let id = submit(&*store, new_task()).await;
    let fence = begin(&*store, at(3)).await;
    store.finish(fence, Outcome::Failed(raised()), at(4)).await.unwrap();
    refused(id, TaskState::Failed).await;
}

/// Alone and with other filters. What completed at last has no error any more.
pub async fn dead_tasks_are_found_by_the_code_of_their_error(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let tenant = || "acme".parse().unwrap();
    let first = dead(&*store, ErrorCode::ProviderFailed, new_task()).await;
    let acme = NewTask { tenant: tenant(), ..new_task() };
    let second = dead(&*store, ErrorCode::ProviderFailed, acme).await;
    let third = dead(&*store, ErrorCode::WorkerFailed, new_task()).await;
    let completed = submit(&*store, new_task()).await;
    let fence = begin(&*store, at(3)).await;
    let error = TaskError::new(ErrorCode::ProviderFailed, "no");
    store.finish(fence, Outcome::Retry(error), at(4)).await.unwrap();
    let fence = begin(&*store, at(5)).await;
    assert_eq!(fence.id, completed);
    store.finish(fence, answered("1"), at(6)).await.unwrap();

    let failed = |error_code| TaskFilter { error_code: Some(error_code), ..TaskFilter::default() };
    let provider = failed(ErrorCode::ProviderFailed);
    let cases = [
        (provider.clone(), vec![second, first]),
        (TaskFilter { state: Some(TaskState::Dead), ..provider.clone() }, vec![second, first]),
        (TaskFilter { model: Some(model()), ..provider.clone() }, vec![second, first]),
        (TaskFilter { tenant: Some(tenant()), ..provider.clone() }, vec![second]),
        (TaskFilter { state: Some(TaskState::Completed), ..provider }, vec![]),
        (failed(ErrorCode::WorkerFailed), vec![third]),
        (failed(ErrorCode::QueueFull), vec![]),
    ];
    for (filter, expected) in cases {
        let page = store.list(&filter, None, 10).await.unwrap();
        let found: Vec<_> = page.tasks.iter().map(|task| task.id).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
}
