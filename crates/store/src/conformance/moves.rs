//! Promises about tasks that come from another store.

use api::task::TaskState;
use types::{Priority, TaskId, WebhookEvent};

use super::{Fixture, answered, at, begin, claim, keyed, new_task, raised, retries, state, submit};
use crate::{
    Cursor, Discarded, MemoryStore, NewTask, Notice, Outcome, Place, Restored, Submitted,
    TaskStore, Webhook, WholeTask,
};

/// All tasks of a store.
pub async fn whole(store: &dyn TaskStore, limit: u32) -> Vec<WholeTask> {
    let (mut all, mut after) = (Vec::new(), None::<Cursor>);
    loop {
        let page = store.read_whole(after, limit).await.unwrap();
        assert!(page.tasks.len() <= limit as usize);
        all.extend(page.tasks);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

fn told(task: NewTask) -> NewTask {
    let events = vec![WebhookEvent::Dead];
    NewTask { webhook: Some(Webhook { url: "https://hooks.example".into(), events }), ..task }
}

async fn end(store: &dyn TaskStore, id: TaskId, outcome: Outcome) {
    let fence = begin(store, at(10)).await;
    assert_eq!(fence.id, id);
    store.renew(fence, at(2000), Some(0.1 + 0.2), at(15)).await.unwrap();
    store.finish(fence, outcome, at(20)).await.unwrap();
}

/// One task in each place but running, with all that tasks can have.
pub async fn fill(store: &dyn TaskStore) {
    for outcome in [answered("[1]"), Outcome::Failed(raised()), Outcome::Retry(raised())] {
        let mut task = keyed(told(NewTask { retry: retries(1), ..new_task() }), "k");
        task.idempotency.as_mut().unwrap().key = format!("{outcome:?}");
        task.request.headers = vec![("x-a".into(), "\"é\"".into())];
        task.request.body = bytes::Bytes::from_static(b"\x89PNG\0\xff");
        let id = submit(store, task).await;
        end(store, id, outcome).await;
    }
    let again = submit(store, NewTask { deadline: Some(at(9_000)), ..new_task() }).await;
    end(store, again, Outcome::Retry(raised())).await;
    let unwanted = submit(store, told(new_task())).await;
    store.cancel(unwanted, at(30)).await.unwrap();
    let notices = store.notices(10).await.unwrap();
    store.forget_notice(notices[0]).await.unwrap();
    submit(store, NewTask { not_before: Some(at(900)), ..new_task() }).await;
    let tenant = "acme".parse().unwrap();
    submit(store, NewTask { priority: Priority::High, tenant, ..new_task() }).await;
}

/// Word for word, its history and its times included; and it goes on from there.
pub async fn a_moved_task_is_what_it_was(fixture: &dyn Fixture) {
    let from = MemoryStore::new();
    fill(&from).await;
    let store = fixture.open().await;
    let moved = whole(&from, 100).await;
    let written = store.restore(moved.clone(), at(50)).await.unwrap();
    assert_eq!(written, vec![Restored::Written; moved.len()]);
    assert_eq!(whole(&*store, 3).await, moved);
    assert_eq!(store.stats().await.unwrap(), from.stats().await.unwrap());
    let notices = |mut all: Vec<Notice>| {
        all.sort_unstable_by_key(|notice| notice.task);
        all
    };
    let theirs = notices(from.notices(10).await.unwrap());
    assert_eq!(notices(store.notices(10).await.unwrap()), theirs);
    // Both are one from here on.
    for store in [&from as &dyn TaskStore, &*store] {
        assert_eq!(begin(store, at(60)).await.id, moved[6].record.id, "the urgent one");
        let fence = begin(store, at(60)).await;
        assert_eq!((fence.id, fence.attempt), (moved[3].record.id, 2), "the one that failed");
        assert_eq!(claim(store, at(60)).await, None);
        store.sweep(at(900), 100).await.unwrap();
        assert_eq!(begin(store, at(900)).await.id, moved[5].record.id, "the delayed one");
        assert_eq!(store.discard(moved[2].record.id).await.unwrap(), Discarded::Removed);
        store.sweep(at(4_000_000), 100).await.unwrap();
    }
    let states = |all: Vec<WholeTask>| -> Vec<_> {
        all.into_iter().map(|it| (it.record.id, it.record.standing.place)).collect()
    };
    assert_eq!(states(whole(&*store, 100).await), states(whole(&from, 100).await));
}

/// As after a restart; the attempt is remembered and not held against it.
pub async fn what_ran_elsewhere_waits_here(fixture: &dyn Fixture) {
    let from = MemoryStore::new();
    let id = submit(&from, NewTask { retry: retries(1), ..new_task() }).await;
    begin(&from, at(1)).await;
    let store = fixture.open().await;
    store.restore(whole(&from, 10).await, at(5)).await.unwrap();
    let moved = store.get(id).await.unwrap().unwrap();
    assert_eq!(moved.standing.place, Place::Ready(Priority::Normal));
    assert_eq!((moved.standing.attempt, moved.updated), (1, at(5)));
    assert_eq!(store.attempts(id).await.unwrap()[0].began, at(1));
    let fence = begin(&*store, at(6)).await;
    assert_eq!((fence.id, fence.attempt), (id, 2));
    store.finish(fence, answered("1"), at(7)).await.unwrap();
    assert_eq!(state(&*store, id).await, TaskState::Completed);
}

/// What is submitted later comes later.
pub async fn the_order_of_submission_is_kept_behind_what_is_there(fixture: &dyn Fixture) {
    let from = MemoryStore::new();
    let store = fixture.open().await;
    let mut expected = vec![submit(&*store, new_task()).await];
    // Their ids do not tell their order.
    let mut tasks: Vec<_> = (0..200).map(|_| new_task()).collect();
    tasks.reverse();
    for task in tasks {
        expected.push(submit(&from, task).await);
    }
    for page in whole(&from, 100).await.chunks(70) {
        store.restore(page.to_vec(), at(1)).await.unwrap();
    }
    expected.push(submit(&*store, new_task()).await);
    let claimed = store.claim(&super::model(), 300, at(1000), at(2)).await.unwrap();
    assert_eq!(claimed.iter().map(|task| task.id).collect::<Vec<_>>(), expected);
}

/// So a move that was interrupted can be begun again.
pub async fn a_task_that_is_there_is_left_alone(fixture: &dyn Fixture) {
    let from = MemoryStore::new();
    fill(&from).await;
    let store = fixture.open().await;
    let moved = whole(&from, 100).await;
    store.restore(moved[..6].to_vec(), at(50)).await.unwrap();
    let gone_on = begin(&*store, at(60)).await;
    let before = store.get(gone_on.id).await.unwrap();
    let again = store.restore(moved, at(70)).await.unwrap();
    assert_eq!(again[..6], [Restored::Exists; 6]);
    assert_eq!(again[6..], [Restored::Written]);
    assert_eq!(store.get(gone_on.id).await.unwrap(), before);
}

/// A client that repeats its request finds its task; of two tasks with one key the second is refused.
pub async fn a_moved_key_is_known_and_a_taken_one_is_refused(fixture: &dyn Fixture) {
    let from = MemoryStore::new();
    let id = submit(&from, keyed(new_task(), "k")).await;
    let moved = whole(&from, 10).await;
    let store = fixture.open().await;
    store.restore(moved, at(5)).await.unwrap();
    let Submitted::Existing(found) = store.submit(keyed(new_task(), "k")).await.unwrap() else {
        panic!("the key was forgotten");
    };
    assert_eq!(found.id, id);
    let mut other = keyed(new_task(), "k");
    other.request.body = "2".into();
    let other = keyed(other, "k");
    assert_eq!(store.submit(other.clone()).await.unwrap(), Submitted::Conflict { id });
    let elsewhere = MemoryStore::new();
    submit(&elsewhere, other).await;
    let refused = store.restore(whole(&elsewhere, 10).await, at(6)).await.unwrap();
    assert_eq!(refused, [Restored::KeyTaken { by: id }]);
    assert_eq!(whole(&*store, 10).await.len(), 1);
}

/// Whatever the size of the page, the class and the model of a task.
pub async fn whole_pages_go_from_the_oldest_to_the_newest_and_miss_none(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    assert_eq!(whole(&*store, 10).await, []);
    let mut expected = Vec::new();
    for number in 0..12 {
        let model = ["echo", "digits", "other"][number % 3].parse().unwrap();
        let priority = Priority::URGENT_FIRST[number / 4];
        expected.push(submit(&*store, NewTask { model, priority, ..new_task() }).await);
    }
    begin(&*store, at(1)).await;
    for limit in [1, 2, 5, 6, 12, 13, 100] {
        let read = whole(&*store, limit).await;
        let ids: Vec<_> = read.iter().map(|it| it.record.id).collect();
        assert_eq!(ids, expected, "{limit}");
    }
}
