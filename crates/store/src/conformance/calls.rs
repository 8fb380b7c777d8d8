//! Promises about cancelling, replaying, and calls that were never tasks.

use super::{Fixture, answered, at, begin, claim, new_task, raised, retries, state, submit};
use crate::{Cancelled, EndedTask, Finished, Lease, NewTask, Outcome, Replayed};
use api::task::TaskState;
use types::ErrorCode;

/// It says so to whoever asks.
pub async fn a_cancelled_task_is_never_claimed(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let ready = submit(&*store, new_task()).await;
    let delayed = submit(&*store, NewTask { not_before: Some(at(500)), ..new_task() }).await;
    for id in [ready, delayed] {
        assert_eq!(store.cancel(id, at(1)).await.unwrap(), Cancelled::Now);
        let found = store.get(id).await.unwrap().unwrap();
        assert_eq!((found.state(), found.updated), (TaskState::Cancelled, at(1)));
        assert_eq!(found.error.unwrap().code, ErrorCode::TaskCancelled);
    }
    store.sweep(at(1000), 100).await.unwrap();
    assert_eq!(claim(&*store, at(1000)).await, None);
}

/// Whoever runs it learns of it by renewing, and its answer comes too late.
pub async fn cancelling_takes_the_lease_from_what_runs(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let id = submit(&*store, new_task()).await;
    let fence = begin(&*store, at(1)).await;
    assert_eq!(store.cancel(id, at(2)).await.unwrap(), Cancelled::Now);
    assert_eq!(store.renew(fence, at(9000), None, at(2)).await.unwrap(), Lease::Lost);
    assert_eq!(store.finish(fence, answered("1"), at(3)).await.unwrap(), Finished::Fenced);
    assert_eq!(state(&*store, id).await, TaskState::Cancelled);
}

/// The answer says how it ended.
pub async fn what_has_ended_cannot_be_cancelled(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let id = submit(&*store, new_task()).await;
    let fence = begin(&*store, at(1)).await;
    store.finish(fence, answered("1"), at(2)).await.unwrap();
    let ended = Cancelled::Ended(TaskState::Completed);
    assert_eq!(store.cancel(id, at(3)).await.unwrap(), ended);
    assert_eq!(state(&*store, id).await, TaskState::Completed);
    assert_eq!(store.cancel(new_task().id, at(3)).await.unwrap(), Cancelled::Unknown);
}

/// And its old deadline does not count any more.
pub async fn a_dead_task_can_be_replayed_with_all_its_attempts(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let deadline = Some(at(100));
    let id = submit(&*store, NewTask { retry: retries(2), deadline, ..new_task() }).await;
    let fail = async |now| {
        let fence = begin(&*store, now).await;
        let outcome = Outcome::Retry(raised());
        store.finish(fence, outcome, now).await.unwrap()
    };
    fail(at(1)).await;
    assert_eq!(fail(at(1)).await, Finished::Applied(TaskState::Dead));

    assert_eq!(store.replay(id, at(200)).await.unwrap(), Replayed::Queued);
    assert_eq!(state(&*store, id).await, TaskState::Queued);
    assert_eq!(fail(at(201)).await, Finished::Applied(TaskState::Queued));
    let fence = begin(&*store, at(202)).await;
    assert_eq!(fence.attempt, 4);
    store.finish(fence, answered("1"), at(203)).await.unwrap();
    let found = store.get(id).await.unwrap().unwrap();
    assert_eq!((found.state(), found.error), (TaskState::Completed, None));
}

/// Neither what waits, nor what runs, nor what has its answer.
pub async fn only_tasks_without_an_answer_can_be_replayed(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let id = submit(&*store, new_task()).await;
    let replay = async || store.replay(id, at(5)).await.unwrap();
    assert_eq!(replay().await, Replayed::Refused(TaskState::Queued));
    let fence = begin(&*store, at(1)).await;
    assert_eq!(replay().await, Replayed::Refused(TaskState::Running));
    store.finish(fence, answered("1"), at(2)).await.unwrap();
    assert_eq!(replay().await, Replayed::Refused(TaskState::Completed));
    assert_eq!(store.replay(new_task().id, at(5)).await.unwrap(), Replayed::Unknown);
}

/// A synchronous call that the operator wants on record.
pub async fn a_call_that_ended_is_kept_and_never_claimed(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let (good, bad) = (new_task(), new_task());
    let (good_id, bad_id) = (good.id, bad.id);
    let outcome = answered("1");
    store.keep(EndedTask { task: good, outcome: outcome.clone(), ended: at(9) }).await.unwrap();
    let failed = Outcome::Failed(raised());
    store.keep(EndedTask { task: bad, outcome: failed, ended: at(9) }).await.unwrap();
    assert_eq!(claim(&*store, at(10)).await, None);

    let good = store.get(good_id).await.unwrap().unwrap();
    assert_eq!((good.state(), good.standing.attempt), (TaskState::Completed, 1));
    assert_eq!(good.answer.map(Outcome::Completed), Some(outcome));
    assert_eq!((good.created, good.updated), (at(0), at(9)));
    let bad = store.get(bad_id).await.unwrap().unwrap();
    assert_eq!((bad.state(), bad.error), (TaskState::Failed, Some(raised())));
}
