//! The command line's client of our own surface.

use std::future;

use adapters::client::{GatewayClient, GatewayError};
use futures_util::StreamExt;
use http::Method;
use serde_json::{Value, json};

use crate::provider::{Provider, json_answer, nowhere, streaming};

#[tokio::test]
async fn json_goes_out_and_comes_back() {
    let server = Provider::start(|seen| {
        let body = if seen.body.is_empty() { Value::Null } else { seen.json() };
        future::ready(json_answer(200, &json!({"path": seen.uri.to_string(), "body": body})))
    })
    .await;
    let client = GatewayClient::new(&server.url("/"))
        .unwrap()
        .with_header(http::header::AUTHORIZATION, "Bearer k")
        .unwrap();
    let told: Value = client.post("/invoke/echo", &json!({"a": 1})).await.unwrap();
    assert_eq!(told, json!({"path": "/invoke/echo", "body": {"a": 1}}));
    let told: Value = client.get("/tasks?limit=2").await.unwrap();
    assert_eq!(told, json!({"path": "/tasks?limit=2", "body": null}));
    assert!(server.seen().iter().all(|seen| seen.header("authorization") == Some("Bearer k")));
}

#[tokio::test]
async fn a_refusal_says_what_the_server_said() {
    let fault = types::Fault::new(types::ErrorCode::ModelNotFound, "model x not found");
    let problem = api::Problem::new(&fault, "r-1");
    let server = Provider::always(404, serde_json::to_value(&problem).unwrap()).await;
    let client = GatewayClient::new(&server.url("")).unwrap();
    let error = client.get::<Value>("/invoke/x").await.unwrap_err();
    assert_eq!(error.to_string(), "model x not found (404 Not Found)");
    let GatewayError::Refused { problem: Some(told), .. } = error else { panic!("{error:?}") };
    assert_eq!(*told, problem);
}

#[tokio::test]
async fn a_stream_is_handed_on_piece_by_piece() {
    let (server, sender) = streaming("text/event-stream").await;
    let client = GatewayClient::new(&server.url("")).unwrap();
    let answer = client.send(Method::POST, "/invoke/s", Some("{}".into())).await.unwrap();
    let mut pieces = GatewayClient::pieces(answer);
    for piece in ["data: 1\n\n", "data: 2\n\n"] {
        sender.send(piece).await.unwrap();
        assert_eq!(pieces.next().await.unwrap().unwrap(), piece);
    }
    drop(sender);
    assert!(pieces.next().await.is_none());
}

#[tokio::test]
async fn an_absent_server_is_told_from_a_wrong_address() {
    let client = GatewayClient::new(&nowhere().await).unwrap();
    let error = client.get::<Value>("/healthz").await.unwrap_err().to_string();
    assert!(error.contains("is the server running?"), "{error}");
    let error = GatewayClient::new("localhost").unwrap_err().to_string();
    assert_eq!(error, "the address of the server must start with http:// or https://");
}
