//! Tasks that used up their attempts.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use api::task::TaskState;
use tasks::{Submission, TaskFilter, TaskSettings};
use types::{ErrorCode, ModelSpec, RetrySpec, TaskId};

use crate::house::{House, json, result, spec};

/// A model that fails until it is mended, and then echoes.
fn broken(house: &House) -> Arc<AtomicBool> {
    let mended = Arc::new(AtomicBool::new(false));
    let told = mended.clone();
    house.declare(4, move |seen| {
        let is_mended = told.load(Ordering::SeqCst);
        async move {
            let body = String::from_utf8(seen.body.to_vec()).unwrap();
            let boom = json(500, format!("{{\"detail\":\"boom {}\"}}", seen.header("x-attempt")));
            Ok(if is_mended { json(200, body) } else { boom })
        }
    });
    mended
}

async fn dead(house: &House) -> TaskId {
    let id = house.submit().await;
    assert_eq!(house.end(id).await.state, TaskState::Dead);
    id
}

fn any() -> TaskFilter {
    TaskFilter::default()
}

#[tokio::test]
async fn a_dead_letter_tells_every_attempt_and_may_be_replayed() {
    let house = House::new();
    let mended = broken(&house);
    let id = dead(&house).await;
    let letter = house.tasks.dead_letter(id).await.unwrap();
    let attempts = letter.attempts.unwrap();
    let told: Vec<_> =
        attempts.iter().map(|failed| (failed.attempt, failed.error.as_str())).collect();
    assert_eq!(told, [(1, "boom 1"), (2, "boom 2"), (3, "boom 3")]);
    assert!(attempts.iter().all(|failed| failed.error_code == "handler_failed"));
    assert!(attempts.iter().all(|failed| failed.began_ms <= failed.ended_ms));

    mended.store(true, Ordering::SeqCst);
    house.tasks.replay_dead_letter(id).await.unwrap();
    let view = house.end(id).await;
    assert_eq!((view.state, view.attempt), (TaskState::Completed, 4));
    assert_eq!((result(&view), &view.attempts), (r#"{"text": "hello"}"#, &None));
    // What went wrong before stays readable, but it is no dead letter any more.
    let view = house.tasks.get_with_attempts(id).await.unwrap();
    assert_eq!(view.attempts.unwrap().len(), 3);
    for fault in [
        house.tasks.dead_letter(id).await.unwrap_err(),
        house.tasks.replay_dead_letter(id).await.unwrap_err(),
        house.tasks.discard_dead_letter(id).await.unwrap_err(),
    ] {
        assert_eq!(fault.code, ErrorCode::TaskNotFound);
        assert!(fault.detail.ends_with("is no dead letter: it is completed"), "{fault}");
    }
}

#[tokio::test]
async fn all_that_match_are_replayed_page_by_page_and_none_twice() {
    // A single attempt, so that so many failures do not open the breaker of the endpoint.
    let retry = RetrySpec { attempts_max: 1, ..spec().retry };
    let house = House::with(ModelSpec { retry, ..spec() }, TaskSettings::default());
    broken(&house);
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(dead(&house).await);
    }
    let other = TaskFilter { error_code: Some(ErrorCode::ProviderFailed), ..any() };
    let none = house.tasks.replay_dead_letters(other, None, 10).await.unwrap();
    assert_eq!((none.handled, none.next_cursor), (0, None));

    let (mut handled, mut cursor, mut pages) = (0, None, 0);
    loop {
        let page = house.tasks.replay_dead_letters(any(), cursor, 2).await.unwrap();
        (handled, cursor, pages) = (handled + page.handled, page.next_cursor, pages + 1);
        // They die again at once, and are not met a second time all the same.
        for id in &ids {
            house.end(*id).await;
        }
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((handled, pages), (5, 3));
    for id in ids {
        assert_eq!(house.tasks.dead_letter(id).await.unwrap().attempt, 2);
    }
}

#[tokio::test]
async fn what_is_discarded_is_gone_and_others_stay() {
    let house = House::new();
    broken(&house);
    let (first, second) = (dead(&house).await, dead(&house).await);
    let acme = Submission { tenant: "acme".parse().unwrap(), ..house.submission() };
    let third = house.submit_as(acme).await;
    house.end(third).await;
    house.tasks.discard_dead_letter(first).await.unwrap();
    assert_eq!(house.tasks.get(first).await.unwrap_err().code, ErrorCode::TaskNotFound);
    let acme = TaskFilter { tenant: Some("acme".parse().unwrap()), ..any() };
    assert_eq!(house.tasks.discard_dead_letters(acme, None, 10).await.unwrap().handled, 1);
    let left = house.tasks.dead_letters(any(), None, 10).await.unwrap().tasks;
    assert_eq!(left.iter().map(|task| task.task_id).collect::<Vec<_>>(), [second]);
}
