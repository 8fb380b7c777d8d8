//! Kind `http`.

use std::{future, time::Duration};

use api::{Begun, Body};
use http::Request;
use http_body_util::BodyExt;
use serde_json::json;
use types::{ErrorCode, ModelSpec};

use crate::{
    calls::{QUICK, answer, build, call, failure, post, spec, to},
    provider::{Provider, Seen, json_answer, nowhere, streaming, text_answer},
};

fn model(endpoint: &str, method: &str) -> ModelSpec {
    spec(json!({"type": "external", "endpoint": endpoint, "method": method}))
}

#[tokio::test]
async fn a_post_carries_the_body_and_the_configured_headers_and_nothing_private() {
    let provider = Provider::always(200, json!({"label": "good"})).await;
    let mut spec = model(&provider.url("/sentiment?v=2"), "POST");
    spec.headers.insert("X-Token".into(), "Token ${TOKEN}".into());
    spec.api_key = Some("${TOKEN}".into());
    let mut request = post(r#"{"text":  1.50}"#);
    request.headers_mut().insert("x-tenant", "acme".parse().unwrap());
    request.headers_mut().insert("authorization", "Bearer our-door".parse().unwrap());

    assert_eq!(answer(&spec, request).await.json(), json!({"label": "good"}));

    let seen = provider.only();
    assert_eq!(seen.uri.to_string(), "/sentiment?v=2");
    assert_eq!(seen.body, r#"{"text":  1.50}"#);
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("x-token"), Some("Token t0ken"));
    assert_eq!(seen.header("authorization"), Some("Bearer t0ken"));
    assert_eq!(seen.header("x-tenant"), None);
}

#[tokio::test]
async fn a_get_turns_the_fields_of_the_body_into_parameters() {
    let provider = Provider::always(200, json!({})).await;
    let spec = model(&provider.url("/search?lang=de"), "GET");
    answer(&spec, post(r#"{"text": "a b", "k": 3, "tag": ["x", "y"]}"#)).await;

    let seen = provider.only();
    assert_eq!((seen.method.as_str(), seen.body.len()), ("GET", 0));
    assert_eq!(seen.uri.to_string(), "/search?lang=de&text=a+b&k=3&tag=x&tag=y");
}

#[tokio::test]
async fn an_answer_comes_back_byte_for_byte_with_its_type() {
    let provider = Provider::start(|_| {
        let mut answer = text_answer(201, "{ \"n\":1.0 }");
        answer.headers_mut().insert("content-type", "application/x-odd".parse().unwrap());
        answer.headers_mut().insert("x-not-begun", "1".parse().unwrap());
        future::ready(answer)
    })
    .await;
    let told = answer(&model(&provider.url("/"), "POST"), post("{}")).await;
    assert_eq!((told.status.as_u16(), told.text.as_str()), (201, "{ \"n\":1.0 }"));
    assert_eq!(told.head.headers()["content-type"], "application/x-odd");
    assert!(!told.head.headers().contains_key("x-not-begun"));
}

#[tokio::test]
async fn a_failed_status_is_named_with_the_beginning_of_the_body() {
    let provider = Provider::start(|_| future::ready(text_answer(418, "é".repeat(600)))).await;
    let (code, begun, detail) = failure(&model(&provider.url("/"), "POST"), post("{}")).await;
    assert_eq!((code, begun), (ErrorCode::ProviderFailed, Begun::Maybe));
    let expected = format!("the external service answered 418 I'm a teapot: {}", "é".repeat(500));
    assert_eq!(detail, expected);
}

/// Busy twice, then fine.
fn busy(seen: &Seen) -> http::Response<Body> {
    if seen.earlier == 2 {
        return json_answer(200, &json!({"attempt": 3}));
    }
    let mut answer = text_answer(503, "busy");
    answer.headers_mut().insert("retry-after", "0".parse().unwrap());
    answer
}

#[tokio::test]
async fn a_busy_provider_is_asked_again_where_that_is_harmless() {
    let provider = Provider::start(|seen| future::ready(busy(&seen))).await;
    let told = answer(&model(&provider.url("/"), "GET"), post("{}")).await;
    assert_eq!(told.json(), json!({"attempt": 3}));
}

#[tokio::test]
async fn a_post_is_sent_again_only_if_the_operator_asked_for_it() {
    let provider = Provider::start(|seen| future::ready(busy(&seen))).await;
    let mut spec = model(&provider.url("/once"), "POST");
    let (_, _, detail) = failure(&spec, post("{}")).await;
    assert_eq!(detail, "the external service answered 503 Service Unavailable: busy");
    assert_eq!(provider.seen().len(), 1);

    spec.endpoint = Some(provider.url("/thrice"));
    spec.retry = QUICK;
    assert_eq!(answer(&spec, post(r#"{"a":1}"#)).await.json(), json!({"attempt": 3}));
    assert!(provider.seen()[1..].iter().all(|seen| seen.body == r#"{"a":1}"#));
}

#[tokio::test]
async fn a_wait_beyond_the_deadline_is_not_begun() {
    let provider = Provider::start(|_| {
        let mut answer = text_answer(429, "slow down");
        answer.headers_mut().insert("retry-after", "3600".parse().unwrap());
        future::ready(answer)
    })
    .await;
    let (_, _, detail) = failure(&model(&provider.url("/"), "GET"), post("{}")).await;
    assert_eq!(detail, "the external service answered 429 Too Many Requests: slow down");
    assert_eq!(provider.seen().len(), 1);
}

#[tokio::test]
async fn a_provider_that_is_not_there_leaves_the_call_unbegun() {
    let mut spec = model(&nowhere().await, "POST");
    spec.retry = QUICK;
    let (code, begun, detail) = failure(&spec, post("{}")).await;
    assert_eq!((code, begun), (ErrorCode::ProviderFailed, Begun::No));
    assert!(detail.starts_with("could not connect to 127.0.0.1:"), "{detail}");
    assert!(detail.contains("refused"), "{detail}");
}

#[tokio::test]
async fn a_provider_that_hangs_up_may_have_begun() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        use tokio::io::AsyncReadExt;
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.read_exact(&mut [0; 4]).await.unwrap();
    });
    let (code, begun, detail) = failure(&model(&address, "POST"), post("{}")).await;
    assert_eq!((code, begun), (ErrorCode::ProviderFailed, Begun::Maybe));
    assert!(detail.contains("broke off without an answer"), "{detail}");
    server.await.unwrap();
}

#[tokio::test]
async fn the_time_that_is_left_bounds_the_call() {
    let provider = Provider::start(|_| future::pending()).await;
    let mut request = post("{}");
    request.headers_mut().insert("x-deadline-ms", "100".parse().unwrap());
    let (code, begun, detail) = failure(&model(&provider.url("/"), "POST"), request).await;
    assert_eq!((code, begun), (ErrorCode::DeadlineExceeded, Begun::Maybe));
    assert_eq!(detail, "the external service did not answer within 0.1s");
}

#[tokio::test]
async fn the_time_that_is_left_bounds_a_stream_too() {
    let (provider, pieces) = streaming("text/plain").await;
    let mut request = post("{}");
    request.headers_mut().insert("x-deadline-ms", "700".parse().unwrap());
    let endpoint = build(&model(&provider.url("/"), "POST")).unwrap();
    let mut body = endpoint.call(request).await.unwrap().into_body();

    pieces.send("one").await.unwrap();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
    let error = body.frame().await.unwrap().unwrap_err().to_string();
    assert_eq!(error, "the answer of the external service did not end within 0.7s");
    // The provider is let go even while the body is still held.
    pieces.closed().await;
}

#[tokio::test]
async fn each_piece_of_a_stream_comes_before_the_next_is_sent() {
    let (provider, pieces) = streaming("application/x-ndjson").await;
    let endpoint = build(&model(&provider.url("/"), "POST")).unwrap();
    let answer = endpoint.call(post("{}")).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    let mut body = answer.into_body();
    for piece in ["one\n", "two\n", "three\n"] {
        pieces.send(piece).await.unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), piece);
    }
    drop(pieces);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn dropping_the_answer_is_noticed_by_the_provider() {
    let (provider, pieces) = streaming("text/plain").await;
    let endpoint = build(&model(&provider.url("/"), "POST")).unwrap();
    let answer = endpoint.call(post("{}")).await.unwrap();
    drop(answer);
    tokio::time::timeout(Duration::from_secs(5), pieces.closed()).await.unwrap();
}

#[tokio::test]
async fn callers_cannot_wander_through_the_providers_other_doors() {
    let provider = Provider::always(200, json!({})).await;
    let spec = model(&provider.url("/a"), "POST");
    let (code, _, detail) = failure(&spec, to("/account/keys", "{}")).await;
    assert_eq!(code, ErrorCode::RouteNotFound);
    assert_eq!(detail, "this model has no route `/account/keys`; call it without one");
    assert!(provider.seen().is_empty());
}

#[tokio::test]
async fn a_streamed_request_passes_on_as_it_comes() {
    let provider = Provider::always(200, json!({})).await;
    let (pieces, body) = crate::provider::piecewise();
    let endpoint = build(&model(&provider.url("/"), "POST")).unwrap();
    let sender = async move {
        for piece in ["{\"a\"", ":1}"] {
            pieces.send(piece).await.unwrap();
        }
    };
    let request = Request::post("/").body(body).unwrap();
    let (told, ()) = tokio::join!(call(&*endpoint, request), sender);
    assert_eq!(told.unwrap().status, 200);
    assert_eq!(provider.only().body, r#"{"a":1}"#);
}
