//! Many tasks in one request.

use serde_json::{Value, json};

use super::{
    puppet::puppets,
    yard::{Yard, eventually},
};

async fn state(yard: &Yard, id: &Value) -> Value {
    let id = id.as_str().unwrap();
    yard.get(&format!("/tasks/{id}?wait=30")).send().await.json().await["state"].clone()
}

#[tokio::test]
async fn each_of_many_is_accepted_or_refused_for_itself() {
    let yard = Yard::open(&puppets("puppet", "")).await;
    let wanted = json!({"tasks": [
        {"model": "puppet", "payload": {"note": "a"}, "idempotency_key": "k"},
        {"model": "nobody", "payload": {}},
        {"model": "puppet", "payload": {"note": "b"}, "idempotency_key": "k"},
        {"model": "puppet", "payload": {"note": "a"}, "idempotency_key": "k"},
        {"model": "puppet", "payload": [1], "start_after": -1},
    ]});
    let answer = yard.post("/tasks").json(&wanted).send().await;
    assert_eq!(answer.status, 202);
    let answer = answer.json().await;
    assert_eq!((&answer["accepted"], &answer["refused"]), (&json!(2), &json!(3)));
    let tasks = answer["tasks"].as_array().unwrap();
    // Either of those with the same key may have come first, but not both.
    let codes: Vec<_> = tasks.iter().map(|task| task["error_code"].as_str()).collect();
    assert_eq!((codes[1], codes[4]), (Some("model_not_found"), Some("invalid_request")));
    assert_eq!(codes.iter().filter(|code| **code == Some("idempotency_conflict")).count(), 1);
    for task in tasks.iter().filter(|task| task["task_id"].is_string()) {
        assert_eq!(state(&yard, &task["task_id"]).await, "completed");
    }
}

#[tokio::test]
async fn what_is_wrong_with_many_is_named() {
    let yard = Yard::open(&puppets("puppet", "")).await;
    let too_many = json!({"tasks": vec![json!({"model": "puppet", "payload": 1}); 1001]});
    for (body, code, words) in [
        (
            json!({"tasks": [{"model": "puppet"}]}),
            "invalid_json",
            "tasks[0]: missing field `payload`",
        ),
        (json!({"tasks": [{"model": 1, "payload": 1}]}), "invalid_json", "tasks[0].model: "),
        (json!({"tasks": []}), "invalid_request", "tasks is empty"),
        (too_many, "invalid_request", "tasks has 1001 entries; send at most 1000"),
        (json!({"tasks": [{"model": "nobody", "payload": 1}]}), "model_not_found", "nobody"),
    ] {
        let (found, detail) = yard.post("/tasks").json(&body).send().await.refusal().await;
        assert_eq!(found, code, "{detail}");
        assert!(detail.contains(words), "{detail}");
    }
}

#[tokio::test]
async fn many_are_cancelled_by_name_or_by_what_they_are() {
    let yard = Yard::open(&puppets("puppet", "max_concurrency = 1")).await;
    let one = |note: &str| json!({"model": "puppet", "payload": {"note": note, "until": "never"}});
    let wanted = json!({"tasks": [one("a"), one("b"), one("c"), one("d")]});
    let answer = yard.post("/tasks").json(&wanted).send().await.json().await;
    let ids: Vec<Value> =
        answer["tasks"].as_array().unwrap().iter().map(|task| task["task_id"].clone()).collect();
    eventually("one runs", async || (!yard.diary().is_empty()).then_some(())).await;

    let cancel = "/api/native/v1/tasks/cancel";
    let named = json!({"ids": [ids[1], ids[2]]});
    let answer = yard.post(cancel).json(&named).send().await.json().await;
    assert_eq!(answer, json!({"handled": 2}));
    let again = yard.post(cancel).json(&named).send().await.json().await;
    assert_eq!(again, json!({"handled": 0}), "they have ended");

    let (code, _) = yard.post(cancel).send().await.refusal().await;
    assert_eq!(code, "invalid_request", "everything is not cancelled by mistake");
    let rest = yard.post(&format!("{cancel}?model=puppet")).send().await.json().await;
    assert_eq!(rest, json!({"handled": 2}));
    for id in &ids {
        assert_eq!(state(&yard, id).await, "cancelled");
    }
}
