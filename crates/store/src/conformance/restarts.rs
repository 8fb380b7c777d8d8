//! Promises that outlive a server.

use super::{
    Fixture, answered, at, begin, claim, keyed, model, new_task, raised, retries, state, submit,
};
use crate::{Changed, Finished, Lease, NewTask, Outcome, Place, Submitted};
use api::task::TaskState;
use types::{ErrorCode, Priority};

/// Whatever its state; keys and counts work on.
pub async fn nothing_is_forgotten(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let done = submit(&*store, keyed(new_task(), "k")).await;
    let fence = begin(&*store, at(1)).await;
    store.finish(fence, answered("[1]"), at(2)).await.unwrap();
    let queued = submit(&*store, new_task()).await;
    let before = [store.get(done).await.unwrap(), store.get(queued).await.unwrap()];
    let counts = store.stats().await.unwrap();
    store.close().await;

    let store = fixture.open().await;
    store.recover(at(3)).await.unwrap();
    assert_eq!([store.get(done).await.unwrap(), store.get(queued).await.unwrap()], before);
    assert_eq!(store.stats().await.unwrap(), counts);
    let Submitted::Existing(found) = store.submit(keyed(new_task(), "k")).await.unwrap() else {
        panic!("the key was forgotten");
    };
    assert_eq!(found.id, done);
    assert_eq!(begin(&*store, at(4)).await.id, queued);
    assert_eq!(claim(&*store, at(4)).await, None);
}

/// Its lease has not ended, but its server has.
pub async fn what_ran_is_queued_at_once(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let ran = submit(&*store, new_task()).await;
    begin(&*store, at(1)).await;
    let waits = submit(&*store, NewTask { not_before: Some(at(9000)), ..new_task() }).await;
    store.close().await;

    let store = fixture.open().await;
    let swept = store.recover(at(2)).await.unwrap();
    let place = Place::Ready(Priority::Normal);
    assert_eq!(swept.changed, [Changed { id: ran, model: model(), place, attempt: 1 }]);
    assert_eq!(swept.next_due, Some(at(9000)));
    let again = begin(&*store, at(2)).await;
    assert_eq!((again.id, again.attempt), (ran, 2));
    assert_eq!(state(&*store, waits).await, TaskState::Queued);
    assert_eq!(claim(&*store, at(3)).await, None);
}

/// Not even against one that has a single attempt.
pub async fn restarts_are_not_held_against_a_task(fixture: &dyn Fixture) {
    let mut store = fixture.open().await;
    let id = submit(&*store, NewTask { retry: retries(1), ..new_task() }).await;
    for attempt in 1..=3 {
        let fence = begin(&*store, at(1)).await;
        assert_eq!((fence.id, fence.attempt), (id, attempt));
        store.close().await;
        store = fixture.open().await;
        store.recover(at(1)).await.unwrap();
        let found = store.get(id).await.unwrap().unwrap();
        assert_eq!(found.state(), TaskState::Queued);
        assert_eq!(found.error.unwrap().code, ErrorCode::WorkerFailed);
    }
    let fence = begin(&*store, at(1)).await;
    store.finish(fence, Outcome::Retry(raised()), at(1)).await.unwrap();
    assert_eq!(state(&*store, id).await, TaskState::Dead);
}

/// Recovering is about earlier lives only.
pub async fn a_server_leaves_its_own_tasks_alone(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    submit(&*store, new_task()).await;
    let fence = begin(&*store, at(1)).await;
    assert_eq!(store.recover(at(2)).await.unwrap().changed, []);
    assert_eq!(store.renew(fence, at(2000), None, at(2)).await.unwrap(), Lease::Held);
}

/// Even when the number of the attempt is right.
pub async fn an_answer_for_an_earlier_server_is_not_taken(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    submit(&*store, new_task()).await;
    let fence = begin(&*store, at(1)).await;
    let first = store.owner();
    store.close().await;

    let store = fixture.open().await;
    assert!(store.owner() > first, "{:?} > {first:?}", store.owner());
    let pretender = crate::Fence { owner: store.owner(), ..fence };
    let outcome = Outcome::Failed(raised());
    assert_eq!(store.finish(pretender, outcome, at(2)).await.unwrap(), Finished::Fenced);
    store.recover(at(3)).await.unwrap();
    assert_eq!(store.finish(fence, answered("1"), at(4)).await.unwrap(), Finished::Fenced);
}
