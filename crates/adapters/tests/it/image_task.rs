//! Kind `image-task`, in both wire formats.

use std::{future, sync::Arc, time::Duration};

use api::Begun;
use http::Response;
use serde_json::{Value, json};
use types::{ErrorCode, ModelSpec};

use crate::{
    calls::{QUICK, answer, build, failure, post, spec},
    provider::{Provider, Seen, json_answer, nowhere, text_answer},
};

const ORDER: &str = r#"{"prompt": "a corgi", "image_urls": ["https://in/1.jpg"], "size": "3:4"}"#;

/// A provider that accepts orders with the first answer and questions with the others in turn,
/// the last one again and again.
async fn provider(submit: (u16, Value), polls: Vec<(u16, Value)>) -> Provider {
    let polls = Arc::new(polls);
    Provider::start(move |seen: Seen| {
        let (status, json) = match seen.method.as_str() {
            "POST" => &submit,
            _ => &polls[seen.earlier.min(polls.len() - 1)],
        };
        future::ready(match json {
            Value::String(text) => text_answer(*status, text.clone()),
            json => json_answer(*status, json),
        })
    })
    .await
}

fn model(provider: &Provider, profile: &str) -> ModelSpec {
    let mut spec = spec(json!({
        "kind": "image-task", "profile": profile, "endpoint": provider.url(""),
        "timeout_seconds": 90, "metadata": {"poll_interval_ms": 5},
    }));
    spec.retry = QUICK;
    spec
}

fn accepted() -> (u16, Value) {
    (200, json!({"code": 200, "data": [{"status": "submitted", "task_id": "task_1"}]}))
}

fn status(word: &str) -> (u16, Value) {
    (200, json!({"code": 200, "data": {"id": "task_1", "status": word, "progress": 50}}))
}

fn completed() -> (u16, Value) {
    (
        200,
        json!({"code": 200, "data": {
            "id": "task_1", "status": "completed", "progress": 100,
            "result": {"images": [{"url": ["https://out/1.png"], "expires_at": 1_763_174_708}]},
        }}),
    )
}

/// The detail of a failed apimart call, which must be a 500 that may have begun.
async fn trouble(submit: (u16, Value), polls: Vec<(u16, Value)>) -> String {
    let provider = provider(submit, polls).await;
    let (code, begun, detail) = failure(&model(&provider, "apimart"), post(ORDER)).await;
    assert_eq!((code.status(), begun), (500, Begun::Maybe), "{detail}");
    detail
}

#[tokio::test]
async fn apimart_is_ordered_from_and_asked_until_the_image_is_there() {
    let polls = vec![status("pending"), status("processing"), completed()];
    let provider = provider(accepted(), polls).await;
    let told = answer(&model(&provider, "apimart"), post(ORDER)).await;
    assert_eq!(
        told.json(),
        json!({"task_id": "task_1", "result": {
            "status": "completed", "image_url": "https://out/1.png", "raw": completed().1,
        }})
    );
    assert_eq!(told.head.headers()["content-type"], "application/json");

    let seen = provider.seen();
    let lines: Vec<_> = seen.iter().map(|seen| format!("{} {}", seen.method, seen.uri)).collect();
    let ask = "GET /v1/tasks/task_1";
    assert_eq!(lines, ["POST /v1/images/generations", ask, ask, ask]);
    assert!(seen.iter().all(|seen| seen.header("authorization") == Some("Bearer banana")));
    assert_eq!(
        seen[0].json(),
        json!({
            "model": "gemini-2.5-flash-image-preview", "prompt": "a corgi", "size": "3:4", "n": 1,
            "image_urls": ["https://in/1.jpg"],
        })
    );
}

#[tokio::test]
async fn the_settings_of_the_seed_work_in_the_metadata() {
    let provider = provider(accepted(), vec![completed()]).await;
    let mut spec = model(&provider, "apimart");
    spec.endpoint = None;
    for (field, value) in [
        ("base_url", json!(provider.url("/v1"))),
        ("default_size", json!("16:9")),
        ("api_key", json!("${TOKEN}")),
    ] {
        spec.metadata.insert(field.into(), value);
    }
    answer(&spec, post(r#"{"prompt": "p", "image_urls": "https://in/only.jpg"}"#)).await;
    let order = &provider.seen()[0];
    assert_eq!(order.uri.path(), "/v1/images/generations");
    assert_eq!(order.header("authorization"), Some("Bearer t0ken"));
    assert_eq!(order.json()["size"], "16:9");
    assert_eq!(order.json()["image_urls"], json!(["https://in/only.jpg"]));
}

#[tokio::test]
async fn nanobananaapi_makes_images_from_words_and_from_images() {
    let info = |flag: u8| {
        let response =
            json!({"originImageUrl": "https://out/o", "resultImageUrl": "https://out/r"});
        let data = json!({"taskId": "n 1", "successFlag": flag, "response": response});
        (200, json!({"code": 200, "msg": "success", "data": data}))
    };
    let submit = (200, json!({"code": 200, "msg": "success", "data": {"taskId": "n 1"}}));
    let provider = provider(submit, vec![info(0), info(1)]).await;
    let mut spec = model(&provider, "nanobananaapi");
    spec.callback_url = Some("https://us/callback".into());

    let told = answer(&spec, post(r#"{"prompt": "a cat", "numImages": 2}"#)).await.json();
    assert_eq!(told["task_id"], "n 1");
    assert_eq!(told["result"]["status"], "completed");
    assert_eq!(told["result"]["image_url"], "https://out/r");
    assert_eq!(told["result"]["raw"], info(1).1);
    answer(&spec, post(ORDER)).await;

    let seen = provider.seen();
    assert_eq!(seen[0].uri.to_string(), "/api/v1/nanobanana/generate");
    assert_eq!(seen[1].uri.to_string(), "/api/v1/nanobanana/record-info?taskId=n%201");
    assert_eq!(
        seen[0].json(),
        json!({
            "prompt": "a cat", "type": "TEXTTOIAMGE", "callBackUrl": "https://us/callback",
            "numImages": 2, "image_size": "1:1",
        })
    );
    let from_image = seen.iter().filter(|seen| seen.method == "POST").nth(1).unwrap().json();
    assert_eq!(from_image["type"], "IMAGETOIAMGE");
    assert_eq!(from_image["imageUrls"], json!(["https://in/1.jpg"]));
    assert_eq!(from_image["image_size"], "3:4");
}

#[tokio::test]
async fn nanobananaapi_says_no_inside_a_success_and_by_its_flags() {
    let info = |flag: u8, message: Option<&str>| {
        let data = json!({"taskId": "n1", "successFlag": flag, "errorMessage": message});
        (200, json!({"code": 200, "msg": "success", "data": data}))
    };
    let submit = (200, json!({"code": 200, "data": {"taskId": "n1"}}));
    let poor = json!({"code": 402, "msg": "Insufficient credits"});
    for (submit, poll, text) in [
        (submit.clone(), info(2, None), "Task n1 failed: CREATE_TASK_FAILED".to_owned()),
        (submit.clone(), info(3, Some("unsafe")), "Task n1 failed: unsafe".to_owned()),
        ((200, poor.clone()), info(0, None), format!("create_task failed: 402 -> {poor}")),
    ] {
        let provider = provider(submit, vec![poll]).await;
        let (code, _, detail) = failure(&model(&provider, "nanobananaapi"), post(ORDER)).await;
        assert_eq!((code, detail), (ErrorCode::ProviderFailed, text));
    }
}

#[tokio::test]
async fn a_payload_without_its_parts_is_refused_in_the_words_of_the_seed() {
    let provider = provider(accepted(), vec![completed()]).await;
    let spec = model(&provider, "apimart");
    for (payload, text) in [
        (r#"{"image_urls": ["u"]}"#, "payload.prompt is required"),
        (r#"{"prompt": "", "image_urls": ["u"]}"#, "payload.prompt is required"),
        (r#"{"prompt": "p"}"#, "payload.image_urls is required"),
        (r#"{"prompt": "p", "image_urls": []}"#, "payload.image_urls is required"),
    ] {
        let (code, _, detail) = failure(&spec, post(payload)).await;
        assert_eq!((code, detail.as_str()), (ErrorCode::HandlerFailed, text));
    }
    assert_eq!(failure(&spec, post("[]")).await.0, ErrorCode::InvalidInput);
    assert_eq!(failure(&spec, post("{")).await.0, ErrorCode::InvalidJson);
    assert!(provider.seen().is_empty());
}

#[tokio::test]
async fn an_order_that_is_refused_is_not_placed_again() {
    let provider = provider((503, json!("try later")), vec![completed()]).await;
    let (_, _, detail) = failure(&model(&provider, "apimart"), post(ORDER)).await;
    assert_eq!(detail, "create_task failed: 503 -> try later");
    provider.only();
}

#[tokio::test]
async fn answers_that_make_no_sense_are_shown() {
    let odd = json!({"code": 200, "data": []});
    assert_eq!(trouble((200, odd.clone()), vec![]).await, format!("Unexpected response: {odd}"));
    assert_eq!(
        trouble(accepted(), vec![(200, odd.clone())]).await,
        format!("Unexpected response: {odd}")
    );
    assert_eq!(
        trouble(accepted(), vec![(200, json!("<html>"))]).await,
        "Unexpected response: <html>"
    );
}

#[tokio::test]
async fn a_question_that_is_refused_ends_the_call() {
    let denied = json!({"error": "no such task"});
    assert_eq!(
        trouble(accepted(), vec![(404, denied.clone())]).await,
        format!("get_result failed: 404 -> {denied}")
    );
}

#[tokio::test]
async fn too_many_questions_only_slow_the_asking() {
    let slow = || (429, json!({"code": 429}));
    let told_in_body = (200, json!({"code": 429, "msg": "slow down"}));
    let polls = vec![slow(), slow(), slow(), slow(), told_in_body, completed()];
    let provider = provider(accepted(), polls).await;
    let told = answer(&model(&provider, "apimart"), post(ORDER)).await;
    assert_eq!(told.json()["result"]["status"], "completed");
}

#[tokio::test]
async fn a_passing_failure_does_not_give_up_an_image_that_is_paid_for() {
    let down = || (502, json!("bad gateway"));
    let polls = vec![down(), down(), status("processing"), down(), down(), completed()];
    let provider = provider(accepted(), polls).await;
    let told = answer(&model(&provider, "apimart"), post(ORDER)).await;
    assert_eq!(told.json()["result"]["status"], "completed");

    assert_eq!(
        trouble(accepted(), vec![down()]).await,
        "get_result failed: 502 -> bad gateway",
        "one that stays does"
    );
}

#[tokio::test]
async fn failed_and_cancelled_tasks_end_the_call_at_once() {
    let failed = json!({"code": 200, "data": {
        "status": "failed", "error": {"code": 1301, "message": "content policy"},
    }});
    assert_eq!(
        trouble(accepted(), vec![status("processing"), (200, failed)]).await,
        "Task task_1 failed: content policy"
    );
    assert_eq!(
        trouble(accepted(), vec![status("cancelled")]).await,
        "Task task_1 failed: cancelled"
    );
}

#[tokio::test]
async fn a_task_that_does_not_end_times_out_under_its_name() {
    let provider = provider(accepted(), vec![status("processing")]).await;
    let mut spec = model(&provider, "apimart");
    let mut request = post(ORDER);
    request.headers_mut().insert("x-deadline-ms", "700".parse().unwrap());
    let (code, _, detail) = failure(&spec, request).await;
    assert_eq!(code, ErrorCode::ProviderFailed);
    assert_eq!(detail, "Polling task task_1 timed out after 0.7s");

    // The model's own limit, in either place, is kept where the caller has more time.
    spec.metadata.insert("timeout".into(), json!(0.6));
    let mut request = post(ORDER);
    request.headers_mut().insert("x-deadline-ms", "60000".parse().unwrap());
    assert_eq!(failure(&spec, request).await.2, "Polling task task_1 timed out after 0.6s");
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_a_network_error() {
    let provider = provider(accepted(), vec![completed()]).await;
    let mut spec = model(&provider, "apimart");
    spec.endpoint = Some(nowhere().await);
    let (code, begun, detail) = failure(&spec, post(ORDER)).await;
    assert_eq!((code, begun), (ErrorCode::ProviderFailed, Begun::No));
    assert!(detail.starts_with("Network error: could not connect to 127.0.0.1:"), "{detail}");
}

#[tokio::test]
async fn an_order_that_hangs_ends_with_the_deadline() {
    let provider = Provider::start(|_| future::pending::<Response<_>>()).await;
    let mut request = post(ORDER);
    request.headers_mut().insert("x-deadline-ms", "100".parse().unwrap());
    let (_, begun, detail) = failure(&model(&provider, "apimart"), request).await;
    assert_eq!(begun, Begun::Maybe);
    assert_eq!(detail, "Network error: no answer came within 0.1s");
}

#[tokio::test]
async fn nobody_asks_on_once_the_client_has_left() {
    let provider = provider(accepted(), vec![status("processing")]).await;
    let endpoint = build(&model(&provider, "apimart")).unwrap();
    let mut call = endpoint.call(post(ORDER));
    while provider.seen().len() < 4 {
        let soon = Duration::from_millis(1);
        assert!(tokio::time::timeout(soon, &mut call).await.is_err(), "it never ends");
    }
    drop(call);
    // One question may still be on its way to the provider's notes.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let asked = provider.seen().len();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(provider.seen().len(), asked);
}
