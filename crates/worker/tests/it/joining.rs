//! How a worker belongs to a gateway.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use api::{
    Body,
    worker::{Address, EngineStats, Heartbeat},
};
use http::{Response, StatusCode};
use serde_json::json;
use types::{ErrorCode, Fault};
use worker::{Incoming, WorkerError};

use crate::support::{
    client::{Client, call_id, request},
    gateway::{Gateway, Manners, SEVERAL_HEARTBEATS},
    handlers::{Gate, Queue, ok},
    one_route, start_with,
};

#[tokio::test]
async fn a_worker_says_who_it_is_and_where_it_is_called() {
    let gateway = Gateway::start();
    let worker = start_with(one_route(ok).capacity(3), |launch| {
        gateway.admits(launch);
        launch.model = "digits".parse().unwrap();
        launch.version = "9".into();
        launch.capacity = Some(5);
    })
    .await;
    gateway.is_joined().await;
    let registration = gateway.look(|told| told.registrations[0].clone());
    assert_eq!(registration.model.as_str(), "digits");
    assert_eq!(registration.version, "9");
    assert_eq!(registration.address, worker.address);
    assert_eq!(registration.token, None, "on a unix socket the file's mode is the lock");
    assert_eq!(registration.launch_id, "launch-1");
    assert_eq!(registration.pid, std::process::id());
    assert_eq!(registration.description.name, "digits");
    assert_eq!(registration.description.capacity, 5);
    assert_eq!(registration.description.default_route, "/call");
    gateway.look(|told| assert_eq!(told.strange, Vec::<String>::new()));
}

#[tokio::test]
async fn a_worker_that_was_started_first_waits_for_its_gateway() {
    let mut gateway = Gateway::absent();
    let worker = start_with(one_route(ok), |launch| gateway.admits(launch)).await;
    assert_eq!(worker.client().await.post("").await.text(), "ok");
    gateway.appear();
    gateway.is_joined().await;
}

#[tokio::test]
async fn a_worker_that_may_not_join_ends_with_the_gateways_words() {
    let gateway = Gateway::start();
    gateway.set_manners(Manners { refuses: Some(StatusCode::FORBIDDEN), ..Manners::default() });
    let worker = start_with(one_route(ok), |launch| gateway.admits(launch)).await;
    match worker.ended().await {
        Err(WorkerError::Refused { status: 403, detail, .. }) => assert_eq!(detail, "no"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_busy_gateway_is_asked_again() {
    let gateway = Gateway::start();
    let busy = Manners { refuses: Some(StatusCode::SERVICE_UNAVAILABLE), ..Manners::default() };
    gateway.set_manners(busy);
    let _worker = start_with(one_route(ok), |launch| gateway.admits(launch)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    gateway.look(|told| assert!(told.registrations.is_empty()));
    gateway.set_manners(Manners::default());
    gateway.is_joined().await;
}

#[tokio::test]
async fn heartbeats_name_the_calls_whose_code_runs() {
    let gateway = Gateway::start();
    let gate = Gate::closed();
    let worker = start_with(one_route(gate.clone()), |launch| gateway.admits(launch)).await;
    gateway.is_joined().await;
    assert_eq!(gateway.next_heartbeat().await, []);

    let call = worker.client().await.sending(request(7, ""));
    gate.holds(1).await;
    tokio::time::sleep(SEVERAL_HEARTBEATS).await;
    let running = gateway.next_heartbeat().await;
    assert_eq!(running.len(), 1);
    assert_eq!(running[0].call_id, call_id(7));
    assert!(running[0].age_ms >= 100, "{running:?}");
    assert_eq!(running[0].idle_ms, running[0].age_ms, "it reported no progress");
    gateway.look(|told| assert_eq!(told.heartbeats.last().unwrap().epoch, 1));

    gate.let_through(1);
    call.await.unwrap();
    assert_eq!(gateway.next_heartbeat().await, []);
}

#[tokio::test]
async fn heartbeats_tell_how_the_engine_does_if_there_is_one() {
    let gateway = Gateway::start();
    let told = Arc::new(AtomicU64::new(5));
    let engine = told.clone();
    let look = move || EngineStats { generated_tokens: engine.load(SeqCst), ..Default::default() };
    let builder = one_route(ok).engine_stats(look);
    let _worker = start_with(builder, |launch| gateway.admits(launch)).await;
    let last_told = |tokens: u64| {
        let is_told = move |beat: &Heartbeat| {
            beat.engine.as_ref().is_some_and(|engine| engine.generated_tokens == tokens)
        };
        gateway.is_told(move |told| told.heartbeats.last().is_some_and(is_told))
    };
    last_told(5).await;
    told.store(9, SeqCst);
    last_told(9).await;
}

#[tokio::test]
async fn a_call_that_waits_in_a_queue_is_not_named_until_it_begins() {
    let gateway = Gateway::start();
    let queue = Queue::default();
    let worker = start_with(one_route(queue.clone()), |launch| gateway.admits(launch)).await;
    gateway.is_joined().await;
    let call = worker.client().await.sending(request(7, ""));
    queue.holds(1).await;
    assert_eq!(gateway.next_heartbeat().await, []);

    let running = queue.take();
    assert!(running.begin());
    assert_eq!(gateway.next_heartbeat().await[0].call_id, call_id(7));

    // Even when its client has left, as long as its code runs.
    call.abort();
    running.cancelled().await;
    assert_eq!(gateway.next_heartbeat().await[0].call_id, call_id(7));
    drop(running);
    assert_eq!(gateway.next_heartbeat().await, []);
}

#[tokio::test]
async fn a_worker_that_was_forgotten_joins_again() {
    for status in [StatusCode::NOT_FOUND, StatusCode::CONFLICT] {
        let gateway = Gateway::start();
        let _worker = start_with(one_route(ok), |launch| gateway.admits(launch)).await;
        gateway.is_joined().await;
        gateway.set_manners(Manners { forgets: Some(status), ..Manners::default() });
        gateway.is_told(|told| told.registrations.len() == 2).await;
        gateway.is_told(|told| told.heartbeats.last().is_some_and(|beat| beat.epoch == 2)).await;
    }
}

#[tokio::test]
async fn a_worker_that_is_stopped_says_goodbye_when_its_last_call_is_over() {
    let gateway = Gateway::start();
    let gate = Gate::closed();
    let worker = start_with(one_route(gate.clone()), |launch| gateway.admits(launch)).await;
    gateway.is_joined().await;
    let call = worker.client().await.sending(request(1, ""));
    gate.holds(1).await;
    worker.stop();
    assert_eq!(gateway.next_heartbeat().await.len(), 1, "a draining worker keeps its lease");
    gateway.look(|told| assert_eq!(told.departures, 0));
    gate.let_through(1);
    call.await.unwrap();
    worker.ended().await.unwrap();
    gateway.look(|told| assert_eq!(told.departures, 1));
}

#[tokio::test]
async fn a_worker_joins_when_it_has_answered_its_warm_up() {
    let gateway = Gateway::start();
    let bodies = Arc::new(AtomicUsize::new(0));
    let warmed = bodies.clone();
    let worker = start_with(
        one_route(move |mut incoming: Incoming| {
            let warmed = warmed.clone();
            async move {
                assert_eq!(incoming.read_body().await?, r#"{"n":1}"#);
                warmed.fetch_add(1, SeqCst);
                Ok(Response::new(Body::full("warm")))
            }
        }),
        |launch| {
            gateway.admits(launch);
            launch.warmup = Some(json!({"n": 1}));
        },
    )
    .await;
    gateway.is_joined().await;
    assert_eq!(bodies.load(SeqCst), 1);
    assert_eq!(worker.client().await.get("/-/ready").await.status(), 200);
}

#[tokio::test]
async fn until_it_is_warm_a_worker_is_live_and_not_ready() {
    let gate = Gate::closed();
    let worker =
        start_with(one_route(gate.clone()), |launch| launch.warmup = Some(json!({}))).await;
    gate.holds(1).await;
    let mut client = worker.client().await;
    assert_eq!(client.get("/-/live").await.status(), 200);
    client.get("/-/ready").await.is_problem(503, "model_unavailable", "warming up");
    gate.let_through(1);
    crate::support::soon(async {
        while client.get("/-/ready").await.status() != 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_worker_whose_warm_up_fails_ends_with_the_reason_and_never_joins() {
    let gateway = Gateway::start();
    let cold = |_: Incoming| async { Err(Fault::new(ErrorCode::HandlerFailed, "no weights")) };
    let worker = start_with(one_route(cold), |launch| {
        gateway.admits(launch);
        launch.warmup = Some(json!({}));
    })
    .await;
    let error = worker.ended().await.unwrap_err();
    assert!(error.to_string().contains("no weights"), "{error}");
    gateway.look(|told| assert!(told.registrations.is_empty()));
}

#[tokio::test]
async fn on_tcp_every_call_needs_the_token_that_only_the_gateway_knows() {
    let gateway = Gateway::start();
    let worker = start_with(one_route(ok), |launch| {
        gateway.admits(launch);
        launch.listen = Address::Tcp("127.0.0.1:0".into());
    })
    .await;
    gateway.is_joined().await;
    let registration = gateway.look(|told| told.registrations[0].clone());
    assert_eq!(registration.address, worker.address);
    assert!(!worker.address.to_string().ends_with(":0"), "the port that the system chose");

    let mut client = Client::connect(&worker.address).await;
    assert_eq!(client.get("/-/live").await.status(), 200);
    for path in ["/-/describe", "/-/ready", "/call", "/nowhere"] {
        let answer = client.get(path).await;
        answer.is_problem(401, "unauthorized", "authorization");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    let with_token = |token: String| {
        let mut request = request(1, "");
        request.headers_mut().insert("authorization", token.parse().unwrap());
        request
    };
    let token = registration.token.unwrap();
    let wrong = with_token(format!("Bearer {}", token.replace(|_: char| true, "0")));
    let right = with_token(format!("Bearer {token}"));
    assert_eq!(client.send(wrong).await.status(), 401);
    assert_eq!(client.send(right).await.text(), "ok");
}

#[tokio::test]
async fn a_worker_on_every_address_registers_the_one_that_the_gateway_can_reach() {
    let gateway = Gateway::start();
    let worker = start_with(one_route(ok), |launch| {
        gateway.admits(launch);
        launch.listen = Address::Tcp("0.0.0.0:0".into());
    })
    .await;
    gateway.is_joined().await;
    let port = worker.address.to_string().rsplit_once(':').unwrap().1.to_owned();
    let registered = gateway.look(|told| told.registrations[0].address.to_string());
    assert_eq!(registered, format!("tcp:127.0.0.1:{port}"));
}
