//! How many calls a worker holds.

use crate::support::{
    client::request,
    handlers::{Gate, Queue},
    one_route, start,
};

#[tokio::test]
async fn a_call_beyond_the_capacity_is_left_to_another_worker() {
    let gate = Gate::closed();
    let worker = start(one_route(gate.clone()).capacity(2)).await;
    let held = [
        worker.client().await.sending(request(1, "")),
        worker.client().await.sending(request(2, "")),
    ];
    gate.holds(2).await;
    let mut client = worker.client().await;
    let refused = client.post("").await;
    refused.was_not_begun();
    refused.is_problem(503, "model_unavailable", "as many calls as it can");
    assert_eq!(refused.header("retry-after"), "1");

    gate.let_through(3);
    for call in held {
        assert_eq!(call.await.unwrap().text(), "through");
    }
    assert_eq!(client.post("").await.text(), "through");
}

#[tokio::test]
async fn the_contract_is_answered_even_when_every_place_is_taken() {
    let gate = Gate::closed();
    let worker = start(one_route(gate.clone()).capacity(1)).await;
    let held = worker.client().await.sending(request(1, ""));
    gate.holds(1).await;
    let mut client = worker.client().await;
    for path in ["/-/describe", "/-/live", "/-/ready"] {
        assert_eq!(client.get(path).await.status(), 200, "{path}");
    }
    gate.let_through(1);
    held.await.unwrap();
}

#[tokio::test]
async fn code_that_cannot_be_stopped_keeps_its_place_until_it_is_done() {
    let queue = Queue::default();
    let worker = start(one_route(queue.clone()).capacity(1)).await;
    let leaving = worker.client().await;
    leaving.send_and_leave(request(1, ""), queue.holds(1)).await;

    // The client left; its code goes on.
    let running = queue.take();
    running.cancelled().await;
    let mut client = worker.client().await;
    client.post("").await.was_not_begun();

    drop(running);
    let call = client.sending(request(2, ""));
    queue.holds(1).await;
    drop(queue.take());
    queue.answer();
    assert_eq!(call.await.unwrap().text(), "answered");
}
