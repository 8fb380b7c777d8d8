//! Models that run elsewhere, in front of a stand-in for their provider.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::{any, post},
};
use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::task::AbortHandle;

use super::yard::Yard;
use crate::desk::Desk;

/// What was asked: path, `authorization`, body.
type Asked = Arc<Mutex<Vec<(String, String, Value)>>>;

/// A stand-in for every provider; it stops when this is dropped.
struct Provider {
    url: String,
    asked: Asked,
    serving: AbortHandle,
}

impl Provider {
    async fn start() -> Self {
        let asked = Asked::default();
        let router = Router::new()
            .route("/sentiment", post(sentiment))
            .route("/broken", any(broken))
            .route("/v1/chat/completions", post(chat))
            .with_state(asked.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, asked, serving: serving.abort_handle() }
    }

    fn asked(&self) -> Vec<(String, String, Value)> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn note(asked: &Asked, request: Request) -> Value {
    let path = request.uri().to_string();
    let key = request.headers().get("authorization").map(|key| key.to_str().unwrap().to_owned());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    asked.lock().unwrap().push((path, key.unwrap_or_default(), body.clone()));
    body
}

async fn sentiment(State(asked): State<Asked>, request: Request) -> Json<Value> {
    let body = note(&asked, request).await;
    Json(json!({"sentiment": "good", "of": body["text"]}))
}

async fn broken(State(asked): State<Asked>, request: Request) -> Response {
    note(&asked, request).await;
    (StatusCode::PAYMENT_REQUIRED, "no credit").into_response()
}

async fn chat(State(asked): State<Asked>, request: Request) -> Response {
    let body = note(&asked, request).await;
    if body["stream"] == true {
        let text = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\ndata: [DONE]\n\n";
        return ([("content-type", "text/event-stream")], Body::from(text)).into_response();
    }
    Json(json!({"model": body["model"], "choices": [{"message": {"content": "hi"}}]}))
        .into_response()
}

#[tokio::test]
async fn an_http_api_is_called_as_any_other_model() {
    let provider = Provider::start().await;
    let config = format!(
        "[models.mood]\ntype = 'external'\nendpoint = '{}/sentiment'\nheaders = {{authorization = 'Bearer ${{KEY}}'}}\n",
        provider.url
    );
    let yard = Yard::at(Desk::new().variable("KEY", "s3cret"), &config).await;
    let answer = yard.post("/invoke/mood").json(&json!({"text": "fine"})).send().await;
    let expected = json!({"sentiment": "good", "of": "fine"});
    assert_eq!(answer.json().await["result"], expected);

    let accepted =
        yard.post("/tasks/mood").json(&json!({"text": "later"})).send().await.json().await;
    let path = format!("/tasks/{}?wait=30", accepted["task_id"].as_str().unwrap());
    let task = yard.get(&path).send().await.json().await;
    assert_eq!((&task["state"], &task["result"]["of"]), (&json!("completed"), &json!("later")));
    let (_, key, _) = &provider.asked()[0];
    assert_eq!(key, "Bearer s3cret");
}

#[tokio::test]
async fn what_a_provider_says_no_with_is_passed_on_in_words() {
    let provider = Provider::start().await;
    let config = format!(
        "[models.poor]\ntype = 'external'\nendpoint = '{}/broken'\n\
         [models.absent]\ntype = 'external'\nendpoint = 'http://127.0.0.1:1/'\n",
        provider.url
    );
    let yard = Yard::open(&config).await;
    let told = yard.post("/invoke/poor").json("{}").send().await.refusal().await;
    let detail = "the external service answered 402 Payment Required: no credit";
    assert_eq!(told, ("provider_failed".into(), detail.into()));
    let (code, detail) = yard.post("/invoke/absent").json("{}").send().await.refusal().await;
    assert_eq!(code, "provider_failed", "{detail}");
    assert!(detail.contains("could not connect to 127.0.0.1:1"), "{detail}");
}

#[tokio::test]
async fn an_openai_server_is_reached_by_its_own_routes_and_streams() {
    let provider = Provider::start().await;
    let config = format!(
        "[models.talker]\nkind = 'openai'\nendpoint = '{}/v1'\napi_key = '${{KEY}}'\nupstream_model = 'big-1'\n",
        provider.url
    );
    let yard = Yard::at(Desk::new().variable("KEY", "s3cret"), &config).await;
    let body = json!({"model": "talker", "messages": [], "temperature": 0.10});
    let answer = yard.post("/v1/chat/completions").json(&body).send().await.json().await;
    assert_eq!(answer["choices"][0]["message"]["content"], "hi");
    let (path, key, asked) = provider.asked().remove(0);
    assert_eq!((path.as_str(), key.as_str()), ("/v1/chat/completions", "Bearer s3cret"));
    assert_eq!(asked["model"], "big-1");

    let body = json!({"model": "talker", "messages": [], "stream": true});
    let answer = yard.post("/v1/chat/completions").json(&body).send().await;
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert!(answer.text().await.ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_missing_key_makes_only_its_own_model_unavailable() {
    let yard = Yard::open("[models.talker]\nkind = 'openai'\nendpoint = 'http://127.0.0.1:1/v1'\napi_key = '${TALKER_KEY}'\n").await;
    let card = yard.model("talker").await;
    assert_eq!(card["status"], "failing");
    assert!(card["reason"].as_str().unwrap().contains("TALKER_KEY"), "{card}");
    let (code, detail) = yard.post("/invoke/talker").json("{}").send().await.refusal().await;
    assert_eq!(code, "model_unavailable");
    assert!(detail.starts_with("model talker is unavailable: ") && detail.contains("TALKER_KEY"));
    assert_eq!(yard.post("/invoke/local-echo").json("{}").send().await.status, 200);
}
