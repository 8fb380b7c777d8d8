//! Promises about the ends that webhooks are told of.

use api::task::TaskState;
use types::{TaskId, WebhookEvent};

use super::{Fixture, answered, at, begin, claim, new_task, raised, retries, submit};
use crate::{Discarded, NewTask, Notice, Outcome, TaskStore, Webhook};

fn webhook() -> Option<Webhook> {
    let events = vec![WebhookEvent::Completed, WebhookEvent::Dead];
    Some(Webhook { url: "https://hooks.example/a?b=\"c\"".into(), events })
}

async fn notices(store: &dyn TaskStore) -> Vec<Notice> {
    store.notices(100).await.unwrap()
}

/// Also when the server stops in between; which events are wanted is for others to judge.
pub async fn the_end_of_a_task_with_a_webhook_is_noted_until_it_is_forgotten(
    fixture: &dyn Fixture,
) {
    let store = fixture.open().await;
    let told = submit(&*store, NewTask { webhook: webhook(), ..new_task() }).await;
    assert_eq!(store.get(told).await.unwrap().unwrap().webhook, webhook());
    let silent = submit(&*store, new_task()).await;
    for id in [told, silent] {
        let fence = begin(&*store, at(1)).await;
        assert_eq!(fence.id, id);
        assert_eq!(notices(&*store).await, []);
        store.finish(fence, answered("1"), at(2)).await.unwrap();
        if id == told {
            assert_eq!(notices(&*store).await.len(), 1);
            let notice = Notice { task: told, attempt: 1, state: TaskState::Completed };
            let other = Notice { attempt: 2, ..notice };
            store.forget_notice(other).await.unwrap();
            store.close().await;
            let store = fixture.open().await;
            assert_eq!(notices(&*store).await, [notice]);
            for _ in 0..2 {
                store.forget_notice(notice).await.unwrap();
                assert_eq!(notices(&*store).await, []);
            }
            return also_without_an_answer(&*store).await;
        }
    }
}

/// A cancellation is an end too, of a task that never ran.
async fn also_without_an_answer(store: &dyn TaskStore) {
    while claim(store, at(3)).await.is_some() {}
    let id = submit(store, NewTask { webhook: webhook(), ..new_task() }).await;
    store.cancel(id, at(4)).await.unwrap();
    let notice = Notice { task: id, attempt: 0, state: TaskState::Cancelled };
    assert_eq!(notices(store).await, [notice]);
}

async fn die(store: &dyn TaskStore, id: TaskId) {
    let fence = begin(store, at(1)).await;
    assert_eq!(fence.id, id);
    store.finish(fence, Outcome::Retry(raised()), at(2)).await.unwrap();
}

/// A replay leads to another one.
pub async fn each_end_of_a_task_is_a_notice_of_its_own(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let task = NewTask { webhook: webhook(), retry: retries(1), ..new_task() };
    let id = submit(&*store, task).await;
    die(&*store, id).await;
    store.replay(id, at(3)).await.unwrap();
    die(&*store, id).await;
    let notice = |attempt| Notice { task: id, attempt, state: TaskState::Dead };
    // Both fell into one moment, so any order is right.
    let mut found = notices(&*store).await;
    found.sort_unstable_by_key(|notice| notice.attempt);
    assert_eq!(found, [notice(1), notice(2)]);
    assert_eq!(store.notices(1).await.unwrap().len(), 1);
    store.forget_notice(notice(1)).await.unwrap();
    assert_eq!(notices(&*store).await, [notice(2)]);
}

/// There would be nothing to tell of it.
pub async fn a_task_that_is_removed_takes_its_notice_along(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let task = NewTask { webhook: webhook(), retry: retries(1), ..new_task() };
    let id = submit(&*store, task).await;
    die(&*store, id).await;
    assert_eq!(store.discard(id).await.unwrap(), Discarded::Removed);
    assert_eq!(notices(&*store).await, []);
}
