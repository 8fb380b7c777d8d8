//! How a worker ends.

use std::time::Duration;

use http::Method;

use crate::support::{
    client::{request, request_to},
    handlers::{Gate, Queue, ok},
    one_route, soon, start,
};

#[tokio::test]
async fn a_draining_worker_finishes_what_runs_and_takes_nothing_new() {
    let gate = Gate::closed();
    let worker = start(one_route(gate.clone())).await;
    let running = worker.client().await.sending(request(1, ""));
    gate.holds(1).await;

    let mut client = worker.client().await;
    let drain = client.send(request_to(Method::POST, "/-/drain", 1, "")).await;
    assert_eq!(drain.text(), r#"{"status":"draining","calls":1}"#);
    let refused = client.post("").await;
    refused.was_not_begun();
    refused.is_problem(503, "server_draining", "takes nothing new");
    client.get("/-/ready").await.is_problem(503, "server_draining", "takes nothing new");
    assert_eq!(client.get("/-/live").await.status(), 200);

    gate.let_through(1);
    assert_eq!(running.await.unwrap().text(), "through");
}

#[tokio::test]
async fn a_call_that_waits_in_a_handlers_queue_goes_to_another_worker() {
    let queue = Queue::default();
    let worker = start(one_route(queue.clone())).await;
    let waiting = worker.client().await.sending(request(1, ""));
    let begun = worker.client().await.sending(request(2, ""));
    queue.holds(2).await;
    let (first, second) = (queue.take(), queue.take());
    let (begins, waits) =
        if first.call_id() < second.call_id() { (second, first) } else { (first, second) };
    assert!(begins.begin());

    worker.client().await.send(request_to(Method::POST, "/-/drain", 3, "")).await;
    waiting.await.unwrap().was_not_begun();
    assert!(!waits.begin(), "its code must not run any more");
    assert!(waits.is_cancelled());

    queue.answer();
    assert_eq!(begun.await.unwrap().text(), "answered");
}

#[tokio::test]
async fn a_worker_that_is_stopped_waits_for_its_calls_and_removes_its_socket() {
    let gate = Gate::closed();
    let worker = start(one_route(gate.clone())).await;
    let socket = worker.dir.path().join("worker.sock");
    assert!(socket.exists());
    let running = worker.client().await.sending(request(1, ""));
    gate.holds(1).await;

    worker.stop();
    // Connections stay open until the last call is over, and calls on them are refused.
    let mut client = worker.client().await;
    crate::support::eventually_refuses(&mut client).await;
    gate.let_through(1);
    assert_eq!(running.await.unwrap().text(), "through");
    worker.ended().await.unwrap();
    assert!(!socket.exists());
}

#[tokio::test]
async fn a_call_that_never_ends_does_not_hold_the_worker_for_ever() {
    let gate = Gate::closed();
    let worker = start(one_route(gate.clone()).drain_max(Duration::from_millis(50))).await;
    let mut client = worker.client().await;
    let call = tokio::spawn(async move {
        let answer = client.begin(request(1, "")).await;
        answer.status()
    });
    gate.holds(1).await;
    worker.stop();
    worker.ended().await.unwrap();
    gate.holds(0).await;
    assert!(call.await.is_err(), "the connection was cut");
}

#[tokio::test]
async fn idle_connections_do_not_delay_the_end() {
    let worker = start(one_route(ok)).await;
    let mut idle = worker.client().await;
    assert_eq!(idle.post("").await.text(), "ok");
    let unused = worker.client().await;
    worker.stop();
    soon(worker.ended()).await.unwrap();
    idle.leave().await;
    unused.leave().await;
}
