//! Stories of calls: who waits, who is refused, what is tried again, and when a place is free.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail by panicking")]

mod dying;
mod house;
mod progress;

use std::time::Duration;

use api::{Body, EndpointError, headers};
use bytes::Bytes;
use dispatch::CapLoad;
use fleet::Availability;
use futures_util::FutureExt;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use types::{ErrorCode, Fault, ModelSpec};

use crate::house::{House, Reply, ok};

const SECOND: Duration = Duration::from_secs(1);

fn one_at_a_time(queue_max: u32) -> ModelSpec {
    ModelSpec { max_concurrency: Some(1), queue_max, timeout_seconds: 10.0, ..ModelSpec::default() }
}

#[tokio::test(start_paused = true)]
async fn a_call_reaches_the_default_route_with_the_headers_of_the_contract() {
    let house = House::with(ModelSpec::default());
    let peer = house.declare(4, |request| {
        assert_eq!(request.uri(), "/");
        for name in [headers::CALL_ID, headers::TENANT, headers::PRIORITY, headers::DEADLINE_MS] {
            assert!(request.headers().contains_key(&name), "{name} is missing");
        }
        assert_eq!(request.headers()[headers::DEADLINE_MS], "60000");
        assert!(!request.headers().contains_key("connection"));
        assert!(!request.headers().contains_key("x-hop"), "`connection` names it");
        Reply::Now(ok("hi"))
    });
    let mut call = house.call();
    call.request.headers_mut().insert("connection", "x-hop, keep-alive".parse().unwrap());
    call.request.headers_mut().insert("x-hop", "1".parse().unwrap());
    let answer = house.dispatcher.call(call).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hi");
    assert_eq!(peer.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_model_is_told_the_nearest_name() {
    let house = House::with(ModelSpec::default());
    let mut call = house.call();
    call.model = "ecko".parse().unwrap();
    let fault = house.dispatcher.call(call).await.err().unwrap();
    assert_eq!(fault.code, ErrorCode::ModelNotFound);
    assert_eq!(fault.detail, "model ecko not found; did you mean echo?");
}

#[tokio::test(start_paused = true)]
async fn the_cap_holds_back_and_the_bound_refuses() {
    let house = House::with(one_at_a_time(1));
    let peer = house.declare(8, |_| Reply::After(SECOND, ok("")));
    let first = house.spawn_call();
    let second = house.spawn_call();
    house.settle().await;
    assert_eq!(peer.calls(), 1, "the second waits");
    let fault = house.dispatcher.call(house.call()).await.err().unwrap();
    assert_eq!(fault.code, ErrorCode::QueueFull);
    assert!(fault.retry_after.is_some());
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(peer.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn only_a_share_of_the_cap_runs_here_and_never_more_than_the_cap() {
    let spec = ModelSpec { max_concurrency: Some(3), ..one_at_a_time(8) };
    let house = House::with(spec);
    let peer = house.declare(8, |_| Reply::After(SECOND, ok("")));
    house.dispatcher.set_share(&house.model, 1);
    let calls: Vec<_> = (0..4).map(|_| house.spawn_call()).collect();
    house.settle().await;
    assert_eq!(peer.calls(), 1);
    let load = CapLoad { model: house.model.clone(), cap: 3, running: 1, waiting: 3 };
    assert_eq!(house.dispatcher.loads(), [load]);
    house.dispatcher.set_share(&house.model, 99);
    house.settle().await;
    assert_eq!(peer.calls(), 3);
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_the_queue_makes_room() {
    let house = House::with(one_at_a_time(1));
    house.declare(8, |_| Reply::After(SECOND, ok("")));
    let first = house.spawn_call();
    let second = house.spawn_call();
    house.settle().await;
    second.abort();
    house.settle().await;
    let third = house.spawn_call();
    house.settle().await;
    first.await.unwrap().unwrap();
    third.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_place_is_free_when_the_last_byte_was_read_and_not_before() {
    let house = House::with(one_at_a_time(4));
    let peer = house.declare(8, |_| Reply::Now(streamed()));
    let answer = house.dispatcher.call(house.call()).await.unwrap();
    let second = house.spawn_call();
    house.settle().await;
    assert_eq!(peer.calls(), 1);
    answer.into_body().collect().await.unwrap();
    second.await.unwrap().unwrap();
}

fn streamed() -> Response<Body> {
    let chunks =
        http_body_util::StreamBody::new(futures_util::stream::iter(["a", "b"].map(|text| {
            Ok::<_, std::convert::Infallible>(http_body::Frame::data(Bytes::from_static(
                text.as_bytes(),
            )))
        })));
    Response::new(Body::stream(chunks))
}

#[tokio::test(start_paused = true)]
async fn a_dropped_answer_frees_the_place_of_an_endpoint_that_cannot_report() {
    let house = House::with(one_at_a_time(4));
    house.declare(8, |_| Reply::Now(streamed()));
    drop(house.dispatcher.call(house.call()).await.unwrap());
    house.dispatcher.call(house.call()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_not_begun_goes_to_another_replica() {
    let house = House::with(ModelSpec::default());
    let gone = house.declare(8, |_| {
        Reply::Fail(EndpointError::not_begun(Fault::new(ErrorCode::WorkerFailed, "gone")))
    });
    let busy = house.declare(8, |_| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert(headers::NOT_BEGUN, "1".parse().unwrap());
        Reply::Now(response)
    });
    let well = house.declare(8, |_| Reply::Now(ok("")));
    for _ in 0..3 {
        let answer = house.dispatcher.call(house.call()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
    assert_eq!(well.calls(), 3);
    assert!(gone.calls() + busy.calls() > 0);
}

#[tokio::test(start_paused = true)]
async fn while_one_endpoint_rests_its_calls_go_to_the_other() {
    let house = House::with(ModelSpec::default());
    let down = house.declare(8, |_| {
        Reply::Fail(EndpointError::not_begun(Fault::new(ErrorCode::WorkerFailed, "down")))
    });
    house.declare(8, |_| Reply::Now(ok("")));
    for _ in 0..64 {
        house.dispatcher.call(house.call()).await.unwrap();
    }
    assert_eq!(down.calls(), 16, "then its breaker opened");
}

#[tokio::test(start_paused = true)]
async fn a_model_whose_only_endpoint_rests_refuses_at_once() {
    let house = House::with(ModelSpec::default());
    let down = house.declare(8, |_| {
        Reply::Fail(EndpointError::maybe_begun(Fault::new(ErrorCode::WorkerFailed, "down")))
    });
    for _ in 0..16 {
        house.dispatcher.call(house.call()).await.err().unwrap();
    }
    let begin = tokio::time::Instant::now();
    let fault = house.dispatcher.call(house.call()).await.err().unwrap();
    assert_eq!(fault.code, ErrorCode::ModelUnavailable);
    assert!(fault.retry_after.is_some());
    assert_eq!((begin.elapsed(), down.calls()), (Duration::ZERO, 16));
}

#[tokio::test(start_paused = true)]
async fn what_may_have_begun_is_not_sent_twice() {
    let house = House::with(ModelSpec::default());
    let peer = house.declare(8, |_| {
        Reply::Fail(EndpointError::maybe_begun(Fault::new(ErrorCode::WorkerFailed, "died")))
    });
    let fault = house.dispatcher.call(house.call()).await.err().unwrap();
    assert_eq!((fault.code, peer.calls()), (ErrorCode::WorkerFailed, 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_its_own_deadline_or_the_models() {
    let house = House::with(ModelSpec { timeout_seconds: 2.0, ..ModelSpec::default() });
    house.declare(8, |_| Reply::After(100 * SECOND, ok("")));
    for (own, expected) in [(Some(SECOND), SECOND), (None, 2 * SECOND)] {
        let begin = tokio::time::Instant::now();
        let mut call = house.call();
        call.deadline = own.map(|time| begin + time);
        let fault = house.dispatcher.call(call).await.err().unwrap();
        assert_eq!(fault.code, ErrorCode::DeadlineExceeded);
        assert_eq!(begin.elapsed().as_secs(), expected.as_secs());
    }
}

#[tokio::test]
async fn a_worker_that_answers_in_time_for_code_that_still_runs_keeps_the_place() {
    const TIME_UP: &str = "HTTP/1.1 504 Gateway Timeout\r\nx-error-code: deadline_exceeded\r\n\
        content-length: 0\r\n\r\n";
    let house = House::with(one_at_a_time(4));
    let folder = tempfile::tempdir().unwrap();
    let member = house.register(folder.path(), TIME_UP);

    let first = house.call();
    let call_id = first.call_id;
    let answer = house.dispatcher.call(first).await.unwrap();
    assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
    drop(answer.into_body().collect().await.unwrap());

    let mut second = house.call();
    second.deadline = Some(tokio::time::Instant::now() + Duration::from_millis(100));
    let fault = house.dispatcher.call(second).await.err().unwrap();
    assert_eq!(fault.code, ErrorCode::DeadlineExceeded, "it has waited for the place");

    house.report_end(&member, call_id);
    house.dispatcher.call(house.call()).await.unwrap();
}

#[tokio::test]
async fn a_call_that_was_given_up_before_it_left_gives_its_place_back_at_once() {
    let house = House::with(one_at_a_time(4));
    let folder = tempfile::tempdir().unwrap();
    house.register(folder.path(), "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    house.settle().await;
    // It cannot do more at once than take its place and begin to connect.
    assert!(house.dispatcher.call(house.call()).now_or_never().is_none());

    let mut next = house.call();
    next.deadline = Some(tokio::time::Instant::now() + SECOND);
    house.dispatcher.call(next).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn calls_wait_for_a_model_that_starts_and_are_refused_by_one_that_fails() {
    let house = House::with(ModelSpec::default());
    let waiting = house.spawn_call();
    house.settle().await;
    house.declare(1, |_| Reply::Now(ok("")));
    waiting.await.unwrap().unwrap();

    let house = House::with(ModelSpec::default());
    let waiting = house.spawn_call();
    house.settle().await;
    let reason = "no Python was found".to_owned();
    house.fleet.set_availability(&house.model, Availability::Failing { reason });
    let fault = waiting.await.unwrap().err().unwrap();
    assert_eq!(fault.code, ErrorCode::ModelUnavailable);
    assert_eq!(fault.detail, "model echo is unavailable: no Python was found");
}

#[tokio::test(start_paused = true)]
async fn a_replica_can_be_called_as_soon_as_it_has_joined() {
    let house = House::with(ModelSpec::default());
    let reason = "no worker has joined".to_owned();
    house.fleet.set_availability(&house.model, Availability::Failing { reason });
    house.settle().await;
    house.dispatcher.call(house.call()).await.err().unwrap();
    house.declare(1, |_| Reply::Now(ok("")));
    house.dispatcher.call(house.call()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn urgent_calls_go_first() {
    let house = House::with(one_at_a_time(8));
    let peer = house.declare(8, |_| Reply::After(SECOND, ok("")));
    let first = house.spawn_call();
    house.settle().await;
    let low = house.spawn_call_with(types::Priority::Low);
    house.settle().await;
    let high = house.spawn_call_with(types::Priority::High);
    house.settle().await;
    for call in [first, low, high] {
        call.await.unwrap().unwrap();
    }
    assert_eq!(peer.priorities(), ["normal", "high", "low"]);
}
