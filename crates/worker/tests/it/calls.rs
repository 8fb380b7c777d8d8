//! What a handler gets, and what its caller gets back.

use std::{sync::Arc, time::Duration};

use api::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use serde::Deserialize;
use types::Fault;
use worker::{Incoming, Worker, json_handler};

use crate::support::{
    client::{call_id, request},
    one_route, post, start,
};

#[tokio::test]
async fn method_path_query_headers_and_body_pass_through_untouched() {
    let worker = start(one_route(|mut incoming: Incoming| async move {
        let body = incoming.read_body().await?;
        let request = &incoming.request;
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri(), "/call?a=%20b&c");
        assert_eq!(request.headers()["x-strange"], "Ünï".as_bytes());
        assert_eq!(&body[..], [0, 159, 146, 150]);
        assert_eq!(incoming.call_id, call_id(7));
        assert_eq!(incoming.request_id(), Some("r-1"));
        assert!(incoming.running.has_begun());
        Ok(Response::builder()
            .status(StatusCode::IM_A_TEAPOT)
            .header("x-own", "1")
            .body(Body::full(&b"\xff\x00"[..]))
            .unwrap())
    }))
    .await;
    let mut request = request(7, &[0_u8, 159, 146, 150][..]);
    *request.uri_mut() = "/call?a=%20b&c".parse().unwrap();
    let head = request.headers_mut();
    head.insert("x-strange", "Ünï".parse().unwrap());
    head.insert("x-request-id", "r-1".parse().unwrap());
    let answer = worker.client().await.send(request).await;
    assert_eq!(answer.status(), StatusCode::IM_A_TEAPOT, "{}", answer.text());
    assert_eq!(answer.header("x-own"), "1");
    assert_eq!(answer.header("content-length"), "2");
    assert_eq!(&answer.response.body()[..], b"\xff\x00");
}

#[tokio::test]
async fn one_connection_carries_many_calls() {
    let worker = start(one_route(length)).await;
    let mut client = worker.client().await;
    for n in 0..50 {
        let answer = client.post(vec![b'x'; n]).await;
        assert_eq!(answer.text(), n.to_string());
    }
}

/// Answers with the length of the body, and says whether it was at hand.
async fn length(mut incoming: Incoming) -> Result<Response<Body>, Fault> {
    let at_hand = matches!(incoming.request.body(), Body::Full(_));
    let body = incoming.read_body().await?;
    let answer = Response::builder().header("x-at-hand", at_hand.to_string());
    Ok(answer.body(Body::full(body.len().to_string())).unwrap())
}

#[tokio::test]
async fn short_bodies_are_at_hand_and_long_ones_stream() {
    let worker = start(one_route(length)).await;
    let mut client = worker.client().await;
    for (bytes, at_hand) in [(0, "true"), (100_000, "true"), (3_000_000, "false")] {
        let answer = client.post(vec![b'x'; bytes]).await;
        assert_eq!(answer.text(), bytes.to_string());
        assert_eq!(answer.header("x-at-hand"), at_hand, "{bytes}");
    }
}

#[tokio::test]
async fn a_body_that_says_it_is_too_long_is_refused_unread() {
    let worker = start(one_route(length).body_bytes_max(1_000)).await;
    let answer = worker.client().await.post(vec![b'x'; 1_001]).await;
    answer.is_problem(413, "body_too_large", "longer than this worker takes");
}

#[tokio::test]
async fn a_body_of_unknown_length_is_cut_at_the_limit() {
    let worker = start(one_route(length).body_bytes_max(1_000)).await;
    let send = |pieces: usize| {
        let pieces = (0..pieces).map(|_| Ok::<_, Fault>(Frame::data(Bytes::from(vec![0; 100]))));
        let body = Body::stream(StreamBody::new(stream::iter(pieces.collect::<Vec<_>>())));
        let request = Request::post("/call").header("host", "worker").body(body).unwrap();
        async { worker.client().await.send(request).await }
    };
    assert_eq!(send(10).await.text(), "1000");
    send(11).await.is_problem(413, "body_too_large", "longer than this worker takes");
}

#[tokio::test]
async fn a_header_that_cannot_be_read_is_named() {
    let worker = start(one_route(length)).await;
    let mut client = worker.client().await;
    for (name, value) in [("x-call-id", "7"), ("x-deadline-ms", "soon"), ("x-deadline-ms", "-1")] {
        let mut request = request(1, "");
        request.headers_mut().insert(name, value.parse().unwrap());
        client.send(request).await.is_problem(400, "invalid_header", name);
    }
}

#[tokio::test]
async fn the_deadline_is_the_nearer_of_the_callers_and_the_routes() {
    let left = |incoming: Incoming| async move {
        let left =
            incoming.deadline.map(|d| d.saturating_duration_since(std::time::Instant::now()));
        // Half a minute of slack: the tests share their machine with others.
        Ok(Response::new(Body::full(match left {
            None => "none",
            Some(left) if left > Duration::from_secs(60) => "far",
            Some(_) => "near",
        })))
    };
    let timed = worker::Route { timeout_s: Some(30.0), ..post("/timed") };
    let worker = start(
        Worker::builder("test").route(post("/call"), Arc::new(left)).route(timed, Arc::new(left)),
    )
    .await;
    let mut client = worker.client().await;
    for (path, asked, deadline) in [
        ("/call", None, "none"),
        ("/call", Some("100000"), "far"),
        ("/call", Some("18446744073709551615"), "far"),
        ("/timed", None, "near"),
        ("/timed", Some("100000"), "near"),
    ] {
        let mut request = request(1, "");
        *request.uri_mut() = path.parse().unwrap();
        if let Some(asked) = asked {
            request.headers_mut().insert("x-deadline-ms", asked.parse().unwrap());
        }
        assert_eq!(client.send(request).await.text(), deadline, "{path} {asked:?}");
    }
}

#[derive(Deserialize)]
struct Sum {
    terms: Vec<u32>,
}

async fn sum(sum: Sum) -> Result<u32, Fault> {
    Ok(sum.terms.iter().sum())
}

#[tokio::test]
async fn a_typed_handler_takes_and_gives_json() {
    let worker = start(one_route(json_handler(sum))).await;
    let answer = worker.client().await.post(r#"{"terms":[1,2,3]}"#).await;
    assert_eq!((answer.text(), answer.header("content-type")), ("6", "application/json"));
}

#[tokio::test]
async fn a_typed_handler_names_the_field_that_does_not_fit() {
    let worker = start(one_route(json_handler(sum))).await;
    let mut client = worker.client().await;
    let answer = client.post(r#"{"terms":[1,"two"]}"#).await;
    answer.is_problem(422, "invalid_input", "`terms[1]`: invalid type: string \"two\"");
    assert_eq!(answer.json()["errors"][0]["field"], "terms[1]");
    client.post(r#"{"terms":[1,}"#).await.is_problem(422, "invalid_json", "line 1 column 13");
}

#[tokio::test]
async fn a_typed_handler_refuses_what_says_it_is_no_json() {
    let worker = start(one_route(json_handler(sum))).await;
    let mut request = request(1, r#"{"terms":[]}"#);
    request.headers_mut().insert("content-type", "text/plain".parse().unwrap());
    let answer = worker.client().await.send(request).await;
    answer.is_problem(415, "unsupported_media_type", "not `text/plain`");
}
