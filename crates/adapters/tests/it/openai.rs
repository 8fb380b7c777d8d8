//! Kind `openai`.

use std::future;

use api::{Begun, Body};
use http::Request;
use http_body_util::BodyExt;
use serde_json::json;
use types::{ErrorCode, ModelSpec};

use crate::{
    calls::{QUICK, answer, build, env, failure, post, spec, to},
    provider::{Provider, json_answer, nowhere, streaming},
};

fn model(endpoint: &str) -> ModelSpec {
    spec(json!({"kind": "openai", "endpoint": endpoint, "upstream_model": "up-7b"}))
}

#[tokio::test]
async fn a_chat_goes_through_with_the_servers_name_for_the_model() {
    let provider = Provider::always(200, json!({"object": "chat.completion"})).await;
    let mut spec = model(&provider.url(""));
    spec.api_key = Some("${TOKEN}".into());
    let body = r#"{"model": "ours", "temperature": 0.70, "messages": [{"role":"user"}]}"#;
    let mut request = to("/v1/chat/completions", body);
    for (name, value) in [
        ("authorization", "Bearer our-door"),
        ("openai-beta", "yes"),
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "1"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let told = answer(&spec, request).await;
    assert_eq!(told.json(), json!({"object": "chat.completion"}));

    let seen = provider.only();
    assert_eq!(seen.uri.path(), "/v1/chat/completions");
    assert_eq!(seen.body, body.replace("ours", "up-7b"));
    assert_eq!(seen.header("authorization"), Some("Bearer t0ken"));
    assert_eq!(seen.header("openai-beta"), Some("yes"));
    assert_eq!(seen.header("x-hop"), None);
}

#[tokio::test]
async fn every_way_to_write_the_address_reaches_the_same_place() {
    let provider = Provider::always(200, json!({})).await;
    for (base, route, path) in [
        ("", "/", "/v1/chat/completions"),
        ("/", "/v1/completions", "/v1/completions"),
        ("/v1", "/v1/embeddings", "/v1/embeddings"),
        ("/v1/", "/embeddings", "/v1/embeddings"),
        ("/proxy", "/v1/completions", "/proxy/v1/completions"),
        ("/v1beta/openai", "/v1/chat/completions", "/v1beta/openai/chat/completions"),
    ] {
        answer(&model(&provider.url(base)), to(route, "{}")).await;
        assert_eq!(provider.seen().last().unwrap().uri.path(), path, "{base} {route}");
    }
}

#[tokio::test]
async fn the_list_of_models_needs_no_body() {
    let provider = Provider::always(200, json!({"data": []})).await;
    let request = Request::get("/v1/models?limit=5").body(Body::empty()).unwrap();
    assert_eq!(answer(&model(&provider.url("/v1")), request).await.json(), json!({"data": []}));
    let seen = provider.only();
    assert_eq!((seen.method.as_str(), seen.uri.to_string()), ("GET", "/v1/models?limit=5".into()));
    assert!(seen.body.is_empty());
}

#[tokio::test]
async fn without_a_name_for_the_server_ours_is_used() {
    let provider = Provider::always(200, json!({})).await;
    let mut spec = model(&provider.url(""));
    spec.upstream_model = None;
    answer(&spec, post(r#"{"model":"something else"}"#)).await;
    assert_eq!(provider.only().json(), json!({"model": "ours"}));
}

#[tokio::test]
async fn the_key_of_the_environment_is_used_but_not_required() {
    let provider = Provider::always(200, json!({})).await;
    let spec = model(&provider.url(""));
    let name = "ours".parse().unwrap();
    let with_key = |variable: &str| (variable == "OPENAI_API_KEY").then(|| "sk-1".to_owned());
    for (endpoint, key) in [
        (adapters::build(&name, &spec, &with_key), Some("Bearer sk-1")),
        (adapters::build(&name, &spec, &env), None),
    ] {
        drop(endpoint.unwrap().call(post("{}")).await.unwrap());
        assert_eq!(provider.seen().last().unwrap().header("authorization"), key);
    }
}

#[tokio::test]
async fn events_pass_through_one_by_one() {
    let (provider, events) = streaming("text/event-stream").await;
    let endpoint = build(&model(&provider.url(""))).unwrap();
    let answer = endpoint.call(post(r#"{"stream":true}"#)).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut body = answer.into_body();
    for event in ["data: {\"n\":1}\n\n", "data: {\"n\":2}\n\n", "data: [DONE]\n\n"] {
        events.send(event).await.unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), event);
    }
    drop(events);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn leaving_in_the_middle_of_a_stream_ends_it_at_the_server() {
    let (provider, events) = streaming("text/event-stream").await;
    let endpoint = build(&model(&provider.url(""))).unwrap();
    let mut body = endpoint.call(post("{}")).await.unwrap().into_body();
    events.send("data: 1\n\n").await.unwrap();
    body.frame().await.unwrap().unwrap();
    drop(body);
    events.closed().await;
}

#[tokio::test]
async fn refusals_of_the_server_are_the_servers_own() {
    let error = json!({"error": {"message": "context too long", "type": "invalid_request_error"}});
    for status in [400, 401, 404, 429, 500, 503] {
        let body = error.clone();
        let provider = Provider::start(move |_| {
            let mut answer = json_answer(status, &body);
            answer.headers_mut().insert("retry-after", "0".parse().unwrap());
            future::ready(answer)
        })
        .await;
        let mut spec = model(&provider.url(""));
        spec.retry = QUICK;
        let told = answer(&spec, post("{}")).await;
        assert_eq!((told.status.as_u16(), told.json()), (status, error.clone()));
        assert_eq!(told.head.headers()["retry-after"], "0");
        provider.only();
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_leaves_the_call_unbegun() {
    let mut spec = model(&nowhere().await);
    spec.retry = QUICK;
    let (code, begun, _) = failure(&spec, post("{}")).await;
    assert_eq!((code, begun), (ErrorCode::ProviderFailed, Begun::No));
}

#[tokio::test]
async fn only_inference_can_be_reached() {
    let provider = Provider::always(200, json!({})).await;
    let spec = model(&provider.url(""));
    for path in ["/v1/files", "/v1/organization/keys", "/v1/../admin", "/v1/chat/completions/x"] {
        let (code, ..) = failure(&spec, to(path, "{}")).await;
        assert_eq!(code, ErrorCode::RouteNotFound, "{path}");
    }
    let (code, ..) = failure(&spec, post("not json")).await;
    assert_eq!(code, ErrorCode::InvalidJson);
    assert!(provider.seen().is_empty());
}
