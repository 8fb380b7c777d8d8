//! Promises about lists and counts.

use super::{Fixture, answered, at, begin, model, new_task, raised, submit};
use crate::{Cursor, NewTask, Outcome, TaskFilter, TaskStore};
use api::task::TaskState;
use types::{Priority, TaskId};

/// Reads a whole list in pages.
async fn walk(store: &dyn TaskStore, filter: &TaskFilter, limit: u32) -> Vec<TaskId> {
    let (mut ids, mut after) = (Vec::new(), None::<Cursor>);
    loop {
        let page = store.list(filter, after, limit).await.unwrap();
        assert!(page.tasks.len() <= limit as usize);
        ids.extend(page.tasks.iter().map(|task| task.id));
        after = page.next;
        if after.is_none() {
            return ids;
        }
        // A cursor goes over the wire and comes back.
        after = after.map(|cursor| cursor.to_string().parse().unwrap());
    }
}

/// Whatever the size of the page, the class and the model of a task.
pub async fn pages_go_from_the_newest_to_the_oldest_and_miss_none(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    assert_eq!(store.list(&TaskFilter::default(), None, 10).await.unwrap().tasks, []);
    let mut expected = Vec::new();
    for number in 0..12 {
        let model = ["echo", "digits", "other"][number % 3].parse().unwrap();
        let priority = Priority::URGENT_FIRST[number / 4];
        expected.push(submit(&*store, NewTask { model, priority, ..new_task() }).await);
    }
    begin(&*store, at(1)).await;
    expected.reverse();
    for limit in [1, 2, 5, 6, 12, 13, 100] {
        assert_eq!(walk(&*store, &TaskFilter::default(), limit).await, expected, "{limit}");
    }
}

/// Alone and together; a name that no task has matches none.
pub async fn filters_narrow_a_list(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let acme = || NewTask { tenant: "acme".parse().unwrap(), ..new_task() };
    let digits = NewTask { model: "digits".parse().unwrap(), ..acme() };
    let digits = submit(&*store, digits).await;
    let first = submit(&*store, acme()).await;
    let second = submit(&*store, new_task()).await;
    let delayed = submit(&*store, NewTask { not_before: Some(at(900)), ..acme() }).await;
    let fence = begin(&*store, at(1)).await;
    assert_eq!(fence.id, first);
    store.finish(fence, Outcome::Failed(raised()), at(1)).await.unwrap();

    let all = TaskFilter::default();
    let tenant = || Some("acme".parse().unwrap());
    let cases = [
        (TaskFilter { model: Some(model()), ..all.clone() }, vec![delayed, second, first]),
        (TaskFilter { tenant: tenant(), ..all.clone() }, vec![delayed, first, digits]),
        (
            TaskFilter { state: Some(TaskState::Queued), ..all.clone() },
            vec![delayed, second, digits],
        ),
        (
            TaskFilter { state: Some(TaskState::Failed), tenant: tenant(), ..all.clone() },
            vec![first],
        ),
        (
            TaskFilter {
                model: Some(model()),
                state: Some(TaskState::Queued),
                tenant: tenant(),
                error_code: None,
            },
            vec![delayed],
        ),
        (TaskFilter { state: Some(TaskState::Dead), ..all.clone() }, vec![]),
        (TaskFilter { model: Some("unknown".parse().unwrap()), ..all.clone() }, vec![]),
        (TaskFilter { tenant: Some("unknown".parse().unwrap()), ..all }, vec![]),
    ];
    for (filter, expected) in cases {
        for limit in [1, 10] {
            assert_eq!(walk(&*store, &filter, limit).await, expected, "{filter:?}");
        }
    }
}

/// Tasks that arrive meanwhile do not move it.
pub async fn a_page_goes_on_where_the_last_one_ended(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(submit(&*store, new_task()).await);
    }
    let filter = TaskFilter::default();
    let first = store.list(&filter, None, 2).await.unwrap();
    submit(&*store, new_task()).await;
    let second = store.list(&filter, first.next, 2).await.unwrap();
    let read: Vec<_> = first.tasks.iter().chain(&second.tasks).map(|task| task.id).collect();
    assert_eq!(read, [ids[3], ids[2], ids[1], ids[0]]);
    assert_eq!(second.next, None);
}

/// In step with every change.
pub async fn tasks_are_counted_by_model_and_state(fixture: &dyn Fixture) {
    let store = fixture.open().await;
    for _ in 0..3 {
        submit(&*store, new_task()).await;
    }
    submit(&*store, NewTask { model: "digits".parse().unwrap(), ..new_task() }).await;
    let fence = begin(&*store, at(1)).await;
    begin(&*store, at(1)).await;
    store.finish(fence, answered("1"), at(2)).await.unwrap();

    let counted = store.stats().await.unwrap();
    let names: Vec<_> = counted.iter().map(|of| of.model.as_str()).collect();
    assert_eq!(names, ["digits", "echo"]);
    let echo = |state| counted[1].count(state);
    assert_eq!(counted[0].count(TaskState::Queued), 1);
    assert_eq!(
        TaskState::ALL.map(echo),
        [1, 1, 1, 0, 0, 0],
        "queued, running, completed, failed, cancelled, dead"
    );
}
