//! What stands in a letter, and when there is none.

use serde_json::{Value, json};
use store::{
    MemoryStore, Outcome, StoredAnswer, TaskStore, Webhook,
    conformance::{at, begin, new_task, retries, submit},
};

use super::*;

/// A task that was answered with `result`, and the notice of that.
async fn answered(events: &[WebhookEvent], result: String) -> (TaskRecord, Notice) {
    let store = MemoryStore::new();
    let webhook = Webhook { url: "https://hooks.example/a".into(), events: events.into() };
    let id = submit(&store, NewTask { webhook: Some(webhook), ..new_task() }).await;
    let fence = begin(&store, at(1)).await;
    let answer = StoredAnswer { content_type: None, body: result.into() };
    store.finish(fence, Outcome::Completed(answer), at(2)).await.unwrap();
    let notice = store.notices(1).await.unwrap()[0];
    (store.get(id).await.unwrap().unwrap(), notice)
}

fn letter(record: &TaskRecord, notice: Notice) -> Option<(NewTask, Value)> {
    let task = of(record, notice, retries(7), Duration::from_secs(60))?;
    let body = serde_json::from_slice(&task.request.body).unwrap();
    Some((task, body))
}

#[tokio::test]
async fn a_letter_tells_the_end_and_waits_as_a_task() {
    let (record, notice) = answered(&[], r#"{"b":1.50}"#.into()).await;
    let (task, body) = letter(&record, notice).unwrap();
    assert_eq!(task.model, ModelName::webhooks());
    assert_eq!(task.request.route.as_deref(), Some("https://hooks.example/a"));
    assert_eq!((task.tenant, task.retry.attempts_max), (record.tenant.clone(), 7));
    assert_eq!(
        body,
        json!({
            "type": "task.completed",
            "timestamp": "2027-01-15T08:00:00.002Z",
            "data": {
                "task_id": record.id,
                "model": "echo",
                "status": "completed",
                "state": "completed",
                "attempt": 1,
                "created_ms": 1_800_000_000_000_u64,
                "updated_ms": 1_800_000_000_002_u64,
                "result": {"b": 1.5},
            },
        })
    );
    // Digits stay as the model wrote them.
    assert!(String::from_utf8_lossy(&task.request.body).contains(r#""result":{"b":1.50}"#));
}

#[tokio::test]
async fn one_end_is_one_letter_however_often_it_is_written() {
    let (record, notice) = answered(&[], "1".into()).await;
    let [first, second] = [(); 2].map(|()| letter(&record, notice).unwrap().0);
    assert_ne!(first.id, second.id);
    assert_eq!(first.idempotency, second.idempotency);
    let later = Notice { attempt: 2, ..notice };
    assert_ne!(letter(&record, later).unwrap().0.idempotency, first.idempotency);
}

#[tokio::test]
async fn a_webhook_that_does_not_care_for_an_end_gets_no_letter() {
    let (record, notice) = answered(&[WebhookEvent::Dead, WebhookEvent::Failed], "1".into()).await;
    assert!(letter(&record, notice).is_none());
    let dead = Notice { state: TaskState::Dead, ..notice };
    let (_, body) = letter(&record, dead).unwrap();
    assert_eq!((&body["type"], &body["data"]["status"]), (&json!("task.dead"), &json!("failed")));
    // The record says something else by now, which is not what this letter is about.
    assert_eq!(body["data"].get("result"), None);
}

#[tokio::test]
async fn a_result_that_is_too_large_is_left_out_and_said_to_be() {
    let (record, notice) = answered(&[], format!("\"{}\"", "a".repeat(RESULT_BYTES_MAX))).await;
    let (_, body) = letter(&record, notice).unwrap();
    assert_eq!(body["data"]["result_omitted"], json!(true));
    assert_eq!(body["data"].get("result"), None);
}
