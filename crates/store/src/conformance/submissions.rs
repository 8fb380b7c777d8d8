//! Promises about submitting.

use futures_util::future::join_all;

use super::{Bytes, Fixture, at, begin, keyed, model, new_task, retries, state, submit};
use crate::{NewTask, Progress, StoredRequest, Submitted};
use api::task::TaskState;

/// Nothing is changed on the way: no header, no byte, no class.
pub async fn a_task_reads_back_as_it_was_sent(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let task = NewTask {
        tenant: "acme".parse().unwrap(),
        priority: types::Priority::High,
        request: StoredRequest {
            route: Some("explain?depth=2".into()),
            content_type: Some("image/png".into()),
            headers: vec![("accept".into(), "text/plain".into()), ("x-a".into(), "\"é\"".into())],
            body: Bytes::from_static(b"\x89PNG\0\xff"),
        },
        retry: retries(7),
        deadline: Some(at(5000)),
        ..keyed(new_task(), "k")
    };
    submit(&*store, task.clone()).await;

    let found = store.get(task.id).await.unwrap().unwrap();
    assert_eq!(
        (&found.model, &found.tenant, &found.request),
        (&task.model, &task.tenant, &task.request)
    );
    assert_eq!(found.idempotency_key.as_deref(), Some("k"));
    assert_eq!(found.state(), TaskState::Queued);
    assert_eq!(found.standing.priority, task.priority);
    assert_eq!((found.standing.attempt, found.standing.retry), (0, retries(7)));
    assert_eq!((found.standing.deadline, found.standing.keep_for), (task.deadline, task.keep_for));
    assert_eq!((found.created, found.updated), (task.created, task.created));
    assert_eq!((found.answer, found.error), (None, None));
    assert_eq!(found.progress, Progress::default());
}

/// Asking is not an error.
pub async fn an_unknown_task_is_none(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    assert_eq!(store.get(new_task().id).await.unwrap(), None);
}

/// Also when it has long been answered.
pub async fn the_same_key_and_request_give_the_same_task(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let first = submit(&*store, keyed(new_task(), "k")).await;
    let Submitted::Existing(found) = store.submit(keyed(new_task(), "k")).await.unwrap() else {
        panic!("a second task was made");
    };
    assert_eq!((found.id, found.state()), (first, TaskState::Queued));

    let fence = begin(&*store, at(1)).await;
    store.finish(fence, super::answered("1"), at(2)).await.unwrap();
    let Submitted::Existing(found) = store.submit(keyed(new_task(), "k")).await.unwrap() else {
        panic!("a second task was made");
    };
    assert_eq!((found.id, found.state()), (first, TaskState::Completed));
}

/// And nothing of it is written.
pub async fn the_same_key_with_another_request_is_a_conflict(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let first = submit(&*store, keyed(new_task(), "k")).await;
    let mut other = new_task();
    other.request.body = Bytes::from_static(b"{}");
    let other = keyed(other, "k");
    let id = other.id;
    assert_eq!(store.submit(other).await.unwrap(), Submitted::Conflict { id: first });
    assert_eq!(store.get(id).await.unwrap(), None);
}

/// The scope of a key.
pub async fn keys_belong_to_a_tenant_and_a_model(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    submit(&*store, keyed(new_task(), "k")).await;
    submit(&*store, NewTask { tenant: "acme".parse().unwrap(), ..keyed(new_task(), "k") }).await;
    submit(&*store, NewTask { model: "digits".parse().unwrap(), ..keyed(new_task(), "k") }).await;
    submit(&*store, keyed(new_task(), "another")).await;
}

/// Only what waits counts, and only in its own model.
pub async fn a_full_queue_refuses_until_there_is_room(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let bounded = || NewTask { queued_max: 2, ..new_task() };
    submit(&*store, bounded()).await;
    submit(&*store, NewTask { not_before: Some(at(9000)), ..bounded() }).await;
    let refused = bounded();
    assert_eq!(store.submit(refused.clone()).await.unwrap(), Submitted::Full);
    assert_eq!(store.get(refused.id).await.unwrap(), None);
    submit(&*store, NewTask { model: "digits".parse().unwrap(), ..bounded() }).await;

    begin(&*store, at(1)).await;
    submit(&*store, bounded()).await;
    assert_eq!(store.submit(bounded()).await.unwrap(), Submitted::Full);
}

/// Group commits mix nothing up: each caller gets its own answer, and each task is there.
pub async fn many_at_once_are_all_kept(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let tasks: Vec<_> = (0..200)
        .map(|number| {
            let mut task = new_task();
            task.request.body = Bytes::from(format!("{number}"));
            task
        })
        .collect();
    join_all(tasks.iter().map(|task| submit(&*store, task.clone()))).await;
    for task in tasks {
        assert_eq!(store.get(task.id).await.unwrap().unwrap().request, task.request);
        assert_eq!(state(&*store, task.id).await, TaskState::Queued);
    }
    let counted = store.stats().await.unwrap();
    assert_eq!(counted.len(), 1);
    assert_eq!((&counted[0].model, counted[0].count(TaskState::Queued)), (&model(), 200));
}
