//! How tasks end when their server does.

use std::time::Duration;

use api::task::TaskState;
use futures_util::StreamExt;
use tasks::TaskSettings;
use tokio::sync::watch;
use types::ErrorCode;

use crate::house::{House, SOON, json, spec, until};

/// Tasks that get no time to finish.
fn at_once() -> TaskSettings {
    TaskSettings { drain: Duration::from_millis(20), ..TaskSettings::default() }
}

#[tokio::test]
async fn a_task_that_finishes_in_the_time_of_the_drain_has_its_answer() {
    let house = House::new();
    let (open, gate) = watch::channel(false);
    let endpoint = house.declare(1, move |_| {
        let mut gate = gate.clone();
        async move {
            gate.wait_for(|open| *open).await.unwrap();
            Ok(json(200, "1"))
        }
    });
    let (running, waiting) = (house.submit().await, house.submit().await);
    until("the first runs", || endpoint.calls() == 1).await;
    let ((), ()) = tokio::join!(house.shut_down(), async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        let refused = house.tasks.submit(house.submission()).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::ServerDraining);
        open.send(true).unwrap();
    });
    let state = async |id| house.store.get(id).await.unwrap().unwrap().state();
    assert_eq!(state(running).await, TaskState::Completed);
    assert_eq!(state(waiting).await, TaskState::Queued);
    assert_eq!(endpoint.calls(), 1);
}

#[tokio::test]
async fn a_task_that_does_not_finish_in_time_is_put_back_and_its_attempt_not_counted() {
    let house = House::with(spec(), at_once());
    let endpoint = house.declare(1, |_| std::future::pending());
    let id = house.submit().await;
    until("it runs", || endpoint.calls() == 1).await;
    house.shut_down().await;
    assert_eq!(endpoint.dropped(), 1);
    let record = house.store.get(id).await.unwrap().unwrap();
    assert_eq!((record.state(), record.standing.failures), (TaskState::Queued, 0));
}

#[tokio::test]
async fn whoever_waits_or_follows_is_let_go() {
    let house = House::with(spec(), at_once());
    let id = house.submit().await;
    let events = house.tasks.events(id).await.unwrap();
    let waiting = async { tokio::join!(house.tasks.wait(id, SOON), events.count()) };
    let ((view, told), ()) = tokio::join!(waiting, house.shut_down());
    assert_eq!((view.unwrap().state, told), (TaskState::Queued, 1));
}
