//! What a worker reports of its calls.

use std::collections::BTreeMap;

use api::{
    Body,
    worker::{Outcome, Report},
};
use http::{Response, StatusCode};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};
use types::{ErrorCode, Fault};
use worker::{Handler, Incoming};

use crate::support::{
    Served,
    client::{call_id, request},
    gateway::{Gateway, Manners, SEVERAL_HEARTBEATS},
    handlers::{Gate, Queue, ok},
    one_route, start_with,
};

async fn joined(handler: impl Handler) -> (Gateway, Served) {
    let gateway = Gateway::start();
    let worker = start_with(one_route(handler), |launch| gateway.admits(launch)).await;
    gateway.is_joined().await;
    (gateway, worker)
}

fn ended(id: u128, outcome: Outcome) -> Report {
    Report::Ended { call_id: call_id(id), outcome, usage: BTreeMap::new() }
}

#[tokio::test]
async fn the_end_of_a_call_whose_client_left_is_reported() {
    let gate = Gate::closed();
    let (gateway, worker) = joined(gate.clone()).await;
    worker.client().await.send_and_leave(request(7, ""), gate.holds(1)).await;
    gateway.is_told(|told| told.reports == [ended(7, Outcome::Cancelled)]).await;
}

#[tokio::test]
async fn the_end_is_reported_when_the_code_has_ended_and_not_before() {
    let queue = Queue::default();
    let (gateway, worker) = joined(queue.clone()).await;
    let leaving = worker.client().await;
    leaving.send_and_leave(request(7, ""), queue.holds(1)).await;
    let running = queue.take();
    running.cancelled().await;
    tokio::time::sleep(SEVERAL_HEARTBEATS).await;
    gateway.look(|told| assert_eq!(told.reports, []));
    drop(running);
    gateway.is_told(|told| told.reports == [ended(7, Outcome::Cancelled)]).await;
}

#[tokio::test]
async fn code_that_outlives_its_answer_reports_its_end() {
    let queue = Queue::default();
    let (gateway, worker) = joined(queue.clone()).await;
    let call = worker.client().await.sending(request(7, ""));
    queue.holds(1).await;
    let running = queue.take();
    assert!(running.begin());
    queue.answer();
    assert_eq!(call.await.unwrap().text(), "answered");
    assert_eq!(gateway.next_heartbeat().await.len(), 1, "it still holds its place");
    drop(running);
    gateway.is_told(|told| told.reports == [ended(7, Outcome::Completed)]).await;
}

#[tokio::test]
async fn the_end_of_an_answer_is_reported_only_if_its_connection_ends_with_it() {
    let (gateway, worker) = joined(ok).await;
    let mut client = worker.client().await;
    assert_eq!(client.send(request(7, "")).await.text(), "ok");
    assert_eq!(client.send(request(8, "")).await.text(), "ok");
    tokio::time::sleep(SEVERAL_HEARTBEATS).await;
    gateway.look(|told| assert_eq!(told.reports, []));
    // Whoever left may have given the call up before it heard the answer.
    client.leave().await;
    gateway.is_told(|told| told.reports == [ended(8, Outcome::Completed)]).await;
}

#[tokio::test]
async fn a_call_whose_client_left_before_anybody_looked_at_it_is_reported_too() {
    let (gateway, worker) = joined(ok).await;
    let mut stream = UnixStream::connect(worker.dir.path().join("worker.sock")).await.unwrap();
    let ask = |id| format!("POST /call HTTP/1.1\r\nhost: w\r\nx-call-id: {}\r\n\r\n", call_id(id));
    stream.write_all(ask(7).as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok") {
        stream.read_buf(&mut answer).await.unwrap();
    }
    // The worker sees the next request and the end of its connection at once.
    stream.try_write(ask(8).as_bytes()).unwrap();
    drop(stream);
    gateway.is_told(|told| told.reports == [ended(8, Outcome::Cancelled)]).await;
}

#[tokio::test]
async fn a_call_whose_time_is_up_is_reported_when_its_code_has_stopped() {
    let (gateway, worker) = joined(|_: Incoming| std::future::pending()).await;
    let mut late = request(7, "");
    late.headers_mut().insert("x-deadline-ms", http::HeaderValue::from_static("20"));
    let mut client = worker.client().await;
    assert_eq!(client.send(late).await.status(), 504);
    gateway.is_told(|told| told.reports == [ended(7, Outcome::Cancelled)]).await;
}

#[tokio::test]
async fn usage_is_summed_and_reported_however_the_call_ends() {
    let (gateway, worker) = joined(|incoming: Incoming| async move {
        incoming.running.usage("tokens", 2);
        incoming.running.usage("tokens", 3);
        incoming.running.usage("images", 1);
        if incoming.request.uri().query().is_some() {
            return Err(Fault::new(ErrorCode::HandlerFailed, "half way"));
        }
        Ok(Response::new(Body::empty()))
    })
    .await;
    let mut failing = request(8, "");
    *failing.uri_mut() = "/call?fail".parse().unwrap();
    let mut client = worker.client().await;
    assert_eq!(client.send(request(7, "")).await.status(), 200);
    assert_eq!(client.send(failing).await.status(), 500);
    let usage = BTreeMap::from([("images".to_owned(), 1), ("tokens".to_owned(), 5)]);
    let end = |id, outcome| Report::Ended { call_id: call_id(id), outcome, usage: usage.clone() };
    gateway
        .is_told(|told| told.reports == [end(7, Outcome::Completed), end(8, Outcome::Failed)])
        .await;
}

#[tokio::test]
async fn progress_is_reported_at_once_and_shows_in_heartbeats() {
    let queue = Queue::default();
    let (gateway, worker) = joined(queue.clone()).await;
    let _call = worker.client().await.sending(request(7, ""));
    queue.holds(1).await;
    let running = queue.take();
    assert!(running.begin());
    tokio::time::sleep(SEVERAL_HEARTBEATS).await;
    running.progress(Some(1.5), Some("done".into()), Some(json!({"part": 1})));
    running.progress(Some(f64::NAN), None, None);
    gateway
        .is_told(|told| {
            told.reports
                == [
                    Report::Progress {
                        call_id: call_id(7),
                        fraction: Some(1.0),
                        message: Some("done".into()),
                        partial: Some(json!({"part": 1})),
                    },
                    Report::Progress {
                        call_id: call_id(7),
                        fraction: None,
                        message: None,
                        partial: None,
                    },
                ]
        })
        .await;
    let beat = gateway.next_heartbeat().await[0];
    assert!(beat.idle_ms + 100 <= beat.age_ms, "{beat:?}");
}

#[tokio::test]
async fn reports_that_were_not_taken_are_sent_again() {
    let gate = Gate::closed();
    let (gateway, worker) = joined(gate.clone()).await;
    let deaf = Manners { refuses_reports: Some(StatusCode::BAD_GATEWAY), ..Manners::default() };
    gateway.set_manners(deaf);
    worker.client().await.send_and_leave(request(7, ""), gate.holds(1)).await;
    gate.holds(0).await;
    tokio::time::sleep(SEVERAL_HEARTBEATS).await;
    gateway.set_manners(Manners::default());
    gateway.is_told(|told| told.reports == [ended(7, Outcome::Cancelled)]).await;
}

#[tokio::test]
async fn the_last_reports_go_before_the_goodbye() {
    let (gateway, worker) = joined(|incoming: Incoming| async move {
        incoming.running.usage("tokens", 1);
        Ok(Response::new(Body::empty()))
    })
    .await;
    worker.client().await.send(request(7, "")).await;
    worker.stop();
    worker.ended().await.unwrap();
    gateway.look(|told| assert_eq!((told.reports.len(), told.departures), (1, 1)));
}
