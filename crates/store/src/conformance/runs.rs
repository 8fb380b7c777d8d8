//! Promises about claiming and finishing.

use futures_util::future::join_all;
use policy::{backoff::Backoff, task::TaskPolicy};
use std::{collections::BTreeSet, time::Duration};

use super::{
    Bytes, Fixture, answered, at, begin, claim, model, new_task, raised, retries, state, submit,
};
use crate::{Finished, Lease, NewTask, Next, Outcome, Progress, StoredAnswer};
use api::task::TaskState;
use types::{Priority, Tenant};

/// Within a class, the order of submission decides.
pub async fn urgent_classes_go_first_and_then_the_oldest(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let mut submitted = Vec::new();
    for priority in
        [Priority::Low, Priority::Normal, Priority::High, Priority::Normal, Priority::High]
    {
        submitted.push(submit(&*store, NewTask { priority, ..new_task() }).await);
    }
    for expected in [2, 4, 1, 3, 0] {
        assert_eq!(begin(&*store, at(1)).await.id, submitted[expected]);
    }
    assert_eq!(claim(&*store, at(1)).await, None);
}

/// However many ask at the same time.
pub async fn a_task_is_claimed_once(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    for _ in 0..20 {
        submit(&*store, new_task()).await;
    }
    let claims = join_all((0..30).map(|_| claim(&*store, at(1)))).await;
    let claimed: Vec<_> = claims.into_iter().flatten().collect();
    assert_eq!(claimed.len(), 20);
    let ids: BTreeSet<_> = claimed.iter().map(|record| record.id).collect();
    assert_eq!(ids.len(), 20);
    for record in claimed {
        assert_eq!((record.state(), record.standing.attempt), (TaskState::Running, 1));
        assert_eq!(record.standing.owner, store.owner());
        assert_eq!(record.standing.due, Some(at(1001)));
        assert_eq!(store.get(record.id).await.unwrap(), Some(record));
    }
}

/// It is the task that a claim would take, and it is not taken.
pub async fn a_peek_tells_whose_turn_it_is(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    assert_eq!(store.peek(&model()).await.unwrap(), None);
    submit(&*store, new_task()).await;
    let tenant: Tenant = "acme".parse().unwrap();
    let urgent = NewTask { priority: Priority::High, tenant: tenant.clone(), ..new_task() };
    submit(&*store, urgent).await;
    submit(&*store, NewTask { not_before: Some(at(500)), ..new_task() }).await;
    let urgent = Next { priority: Priority::High, tenant };
    for _ in 0..2 {
        assert_eq!(store.peek(&model()).await.unwrap().as_ref(), Some(&urgent));
    }
    begin(&*store, at(1)).await;
    let normal = Next { priority: Priority::Normal, tenant: Tenant::default() };
    assert_eq!(store.peek(&model()).await.unwrap(), Some(normal));
    begin(&*store, at(1)).await;
    assert_eq!(store.peek(&model()).await.unwrap(), None);
}

/// Models do not see each other.
pub async fn a_claim_takes_only_its_model(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    submit(&*store, NewTask { model: "digits".parse().unwrap(), ..new_task() }).await;
    assert_eq!(claim(&*store, at(1)).await, None);
    assert_eq!(store.claim(&"unknown".parse().unwrap(), 9, at(9), at(1)).await.unwrap(), []);
}

/// JSON is not rewritten, and other types are kept too.
pub async fn an_answer_is_kept_byte_for_byte(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let id = submit(&*store, new_task()).await;
    let fence = begin(&*store, at(1)).await;
    let answer = StoredAnswer {
        content_type: Some("application/octet-stream".into()),
        body: Bytes::from_static(b"{ \"b\":1,\0\"a\":\xff }"),
    };
    let outcome = Outcome::Completed(answer.clone());
    let finished = store.finish(fence, outcome, at(2)).await.unwrap();
    assert_eq!(finished, Finished::Applied(TaskState::Completed));

    let found = store.get(id).await.unwrap().unwrap();
    assert_eq!((found.answer, found.error), (Some(answer), None));
    assert_eq!((found.created, found.updated), (at(0), at(2)));
}

/// Its error stays readable.
pub async fn a_failed_task_is_not_tried_again(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let id = submit(&*store, new_task()).await;
    let fence = begin(&*store, at(1)).await;
    let finished = store.finish(fence, Outcome::Failed(raised()), at(2)).await.unwrap();
    assert_eq!(finished, Finished::Applied(TaskState::Failed));
    assert_eq!(store.get(id).await.unwrap().unwrap().error, Some(raised()));
    assert_eq!(claim(&*store, at(3)).await, None);
}

/// Each attempt has its number; the last one that fails leaves the task dead, with its error.
pub async fn a_task_is_tried_again_until_it_is_dead(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let id = submit(&*store, NewTask { retry: retries(3), ..new_task() }).await;
    for (attempt, expected) in
        [(1, TaskState::Queued), (2, TaskState::Queued), (3, TaskState::Dead)]
    {
        let fence = begin(&*store, at(1)).await;
        assert_eq!((fence.id, fence.attempt), (id, attempt));
        let outcome = Outcome::Retry(raised());
        assert_eq!(store.finish(fence, outcome, at(1)).await.unwrap(), Finished::Applied(expected));
        let found = store.get(id).await.unwrap().unwrap();
        assert_eq!((found.error, found.standing.attempt), (Some(raised()), attempt));
    }
    assert_eq!(claim(&*store, at(2)).await, None);
}

/// Its number is not used again all the same, because it is a fence.
pub async fn an_attempt_that_was_not_begun_does_not_count(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let id = submit(&*store, NewTask { retry: retries(1), ..new_task() }).await;
    for attempt in 1..=5 {
        let fence = begin(&*store, at(1)).await;
        assert_eq!(fence.attempt, attempt);
        let outcome = Outcome::NotBegun { error: raised(), not_before: at(1) };
        let finished = store.finish(fence, outcome, at(1)).await.unwrap();
        assert_eq!(finished, Finished::Applied(TaskState::Queued));
        let found = store.get(id).await.unwrap().unwrap();
        assert_eq!((found.standing.attempt, found.standing.failures), (attempt, 0));
    }
    let fence = begin(&*store, at(2)).await;
    let outcome = Outcome::Retry(raised());
    let finished = store.finish(fence, outcome, at(2)).await.unwrap();
    assert_eq!(finished, Finished::Applied(TaskState::Dead));
}

/// Whatever is said about it later.
pub async fn a_finished_task_never_runs_again(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let id = submit(&*store, new_task()).await;
    let fence = begin(&*store, at(1)).await;
    store.finish(fence, answered("1"), at(2)).await.unwrap();
    let finished = store.get(id).await.unwrap();

    let outcome = Outcome::Retry(raised());
    assert_eq!(store.finish(fence, outcome, at(3)).await.unwrap(), Finished::Fenced);
    assert_eq!(store.finish(fence, answered("2"), at(3)).await.unwrap(), Finished::Fenced);
    assert_eq!(store.renew(fence, at(9000), Some(0.5), at(2)).await.unwrap(), Lease::Lost);
    assert_eq!(claim(&*store, at(4)).await, None);
    assert_eq!(store.get(id).await.unwrap(), finished);
}

/// Its own later submissions are not held up by it.
pub async fn a_retry_waits_for_its_moment(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let half_a_second = Duration::from_millis(500);
    let backoff = Backoff { base: half_a_second, max: half_a_second };
    let retry = TaskPolicy { backoff, ..retries(2) };
    let first = submit(&*store, NewTask { retry, ..new_task() }).await;
    let fence = begin(&*store, at(1)).await;
    store.finish(fence, Outcome::Retry(raised()), at(1)).await.unwrap();
    assert_eq!(state(&*store, first).await, TaskState::Queued);
    // The wait is drawn from the upper half of the backoff.
    let due = store.get(first).await.unwrap().unwrap().standing.due.unwrap();
    assert!((at(251)..=at(501)).contains(&due), "{due:?}");
    store.sweep(at(250), 100).await.unwrap();
    assert_eq!(claim(&*store, at(250)).await, None);

    let second = submit(&*store, new_task()).await;
    assert_eq!(begin(&*store, at(3)).await.id, second);
    store.sweep(due, 100).await.unwrap();
    assert_eq!(begin(&*store, due).await.id, first);
}

/// A renewal without news leaves it.
pub async fn progress_is_kept_for_the_attempt_that_made_it(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let id = submit(&*store, new_task()).await;
    let fence = begin(&*store, at(1)).await;
    assert_eq!(store.renew(fence, at(2000), Some(0.25), at(2)).await.unwrap(), Lease::Held);
    assert_eq!(store.renew(fence, at(3000), None, at(2)).await.unwrap(), Lease::Held);
    let found = store.get(id).await.unwrap().unwrap();
    assert_eq!((found.progress.fraction, found.standing.due), (Some(0.25), Some(at(3000))));

    let outcome = Outcome::Retry(raised());
    store.finish(fence, outcome, at(5)).await.unwrap();
    let again = store.claim(&model(), 1, at(9000), at(5)).await.unwrap().remove(0);
    assert_eq!(again.progress, Progress::default());
}

/// At most as many as asked for, in their order, and those that are too late are none of them.
pub async fn several_are_claimed_together(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let mut ids = Vec::new();
    for deadline in [None, Some(at(5)), None, None] {
        ids.push(submit(&*store, NewTask { deadline, ..new_task() }).await);
    }
    let claimed = store.claim(&model(), 2, at(9000), at(7)).await.unwrap();
    let found: Vec<_> = claimed.iter().map(|record| record.id).collect();
    assert_eq!(found, [ids[0], ids[2]]);
    assert!(claimed.iter().all(|record| record.standing.attempt == 1));
    assert_eq!(state(&*store, ids[1]).await, TaskState::Failed);
    let rest = store.claim(&model(), 9, at(9000), at(7)).await.unwrap();
    assert_eq!(rest.iter().map(|record| record.id).collect::<Vec<_>>(), [ids[3]]);
    for record in claimed.iter().chain(&rest) {
        let fence = record.fence().unwrap();
        let finished = store.finish(fence, answered("1"), at(8)).await.unwrap();
        assert_eq!(finished, Finished::Applied(TaskState::Completed));
    }
}
