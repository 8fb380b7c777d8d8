//! Whoever submitted a task is told of its end, by a server on this machine.

use std::{sync::Arc, time::Duration};

use adapters::webhook::{WebhookSender, WebhookSettings};
use api::{task::TaskState, worker::Report};
use axum::{Router, body::Bytes, extract::State};
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use policy::{backoff::Backoff, task::TaskPolicy};
use serde_json::Value;
use store::{MemoryStore, SqliteOptions, SqliteStore, TaskStore, Webhook};
use tasks::{Submission, TaskFilter, TaskSettings, Webhooks};
use tokio::net::TcpListener;
use types::{ErrorCode, ModelName, ModelSpec, TaskId, WebhookEvent};

use crate::house::{House, json, spec, until};

/// A server that takes letters, after it has refused the first few.
struct Receiver {
    url: String,
    letters: Mutex<Vec<(HeaderMap, Value)>>,
    refusals: Mutex<Vec<StatusCode>>,
}

impl Receiver {
    async fn start(refusals: &[StatusCode]) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (letters, refusals) = (Mutex::default(), Mutex::new(refusals.to_vec()));
        let receiver = Arc::new(Self { url, letters, refusals });
        let router = Router::new().fallback(take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    fn webhook(&self, events: &[WebhookEvent]) -> Option<Webhook> {
        Some(Webhook { url: self.url.clone(), events: events.into() })
    }

    /// The type and the task of each letter.
    fn told(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let letters = self.letters.lock();
        letters
            .iter()
            .map(|(_, body)| (text(&body["type"]), text(&body["data"]["task_id"])))
            .collect()
    }

    fn header(&self, letter: usize, name: &str) -> String {
        self.letters.lock()[letter].0.get(name).unwrap().to_str().unwrap().to_owned()
    }
}

async fn take(
    State(receiver): State<Arc<Receiver>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let mut refusals = receiver.refusals.lock();
    receiver.letters.lock().push((headers, serde_json::from_slice(&body).unwrap()));
    if refusals.is_empty() { (StatusCode::OK, "") } else { (refusals.remove(0), "not today") }
}

/// Letters may go to `receivers` and are tried twice.
fn settings(receivers: &[&Receiver]) -> TaskSettings {
    let origin = |receiver: &&Receiver| receiver.url.trim_end_matches("/hook").parse().unwrap();
    let sender = WebhookSender::new(WebhookSettings {
        secrets: vec!["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap()],
        allow: receivers.iter().map(origin).collect(),
        timeout: Duration::from_secs(5),
    });
    let wait = Duration::from_millis(10);
    let retry = TaskPolicy { attempts_max: 2, backoff: Backoff { base: wait, max: wait } };
    let webhooks = Some(Webhooks { sender: sender.unwrap(), retry });
    TaskSettings { webhooks, ..TaskSettings::default() }
}

async fn submit(house: &House, webhook: Option<Webhook>) -> TaskId {
    house.submit_as(Submission { webhook, ..house.submission() }).await
}

#[tokio::test]
async fn each_end_that_is_wanted_is_told_once_and_signed() {
    let receiver = Receiver::start(&[]).await;
    let house = House::with(spec(), settings(&[&receiver]));
    house.declare(4, |seen| async move {
        Ok(if seen.body == "\"bad\"" { json(422, "{}") } else { json(200, "[1]") })
    });
    let good = submit(&house, receiver.webhook(&[])).await;
    let only_dead = submit(&house, receiver.webhook(&[WebhookEvent::Dead])).await;
    let webhook = receiver.webhook(&[WebhookEvent::Failed]);
    let bad = Submission { payload: "\"bad\"".into(), webhook, ..house.submission() };
    let bad = house.submit_as(bad).await;
    let silent = house.submit().await;
    for id in [good, only_dead, bad, silent] {
        house.end(id).await;
    }
    until("both are told", || receiver.told().len() == 2).await;
    until("nothing is left to be told", || {
        let stats = futures_util::FutureExt::now_or_never(house.store.stats());
        let stats = stats.unwrap().unwrap();
        let letters = stats.iter().find(|of| of.model == ModelName::webhooks()).unwrap();
        letters.count(TaskState::Completed) == 2 && letters.counts.iter().sum::<u64>() == 2
    })
    .await;
    let mut told = receiver.told();
    told.sort();
    let word = |kind: &str, id: TaskId| (format!("task.{kind}"), id.to_string());
    assert_eq!(told, [word("completed", good), word("failed", bad)]);
    assert!(receiver.header(0, "webhook-id").starts_with("msg_"));
    assert!(receiver.header(0, "webhook-signature").starts_with("v1,"));
    assert!(receiver.header(0, "webhook-timestamp").parse::<u64>().unwrap() > 1_700_000_000);
    assert_eq!(house.store.notices(10).await.unwrap(), []);
}

#[tokio::test]
async fn a_letter_that_is_not_taken_is_tried_again_and_at_last_a_dead_letter_to_replay() {
    let no = StatusCode::INTERNAL_SERVER_ERROR;
    let receiver = Receiver::start(&[no, no]).await;
    let house = House::with(spec(), settings(&[&receiver]));
    house.declare_echo();
    let id = submit(&house, receiver.webhook(&[])).await;
    house.end(id).await;
    until("it was tried twice", || receiver.told().len() == 2).await;
    assert_eq!(receiver.header(0, "webhook-id"), receiver.header(1, "webhook-id"));
    let dead = loop {
        let page = house.tasks.dead_letters(TaskFilter::default(), None, 10).await.unwrap();
        match &page.tasks[..] {
            [letter] => break letter.task_id,
            _ => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    };
    let letter = house.tasks.dead_letter(dead).await.unwrap();
    assert_eq!(letter.model, ModelName::webhooks());
    let words: Vec<_> = letter.attempts.unwrap().into_iter().map(|failed| failed.error).collect();
    assert_eq!(words, ["the receiver answered with status 500: not today"; 2]);
    house.tasks.replay_dead_letter(dead).await.unwrap();
    assert_eq!(house.end(dead).await.state, TaskState::Completed);
    assert_eq!(receiver.told().len(), 3);
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_not_asked_again() {
    let receiver = Receiver::start(&[StatusCode::GONE]).await;
    let house = House::with(spec(), settings(&[&receiver]));
    house.declare_echo();
    house.end(submit(&house, receiver.webhook(&[])).await).await;
    let failed = TaskFilter { state: Some(TaskState::Failed), ..TaskFilter::default() };
    loop {
        let page = house.tasks.list(failed.clone(), None, 10).await.unwrap();
        if let [letter] = &page.tasks[..] {
            assert_eq!((&letter.model, letter.attempt), (&ModelName::webhooks(), 1));
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(receiver.told().len(), 1);
}

#[tokio::test]
async fn an_end_that_was_written_before_a_crash_is_told_by_the_next_server() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions::new(folder.path().join("tasks.db"));
    let receiver = Receiver::start(&[]).await;
    // This server tells nobody, as one that ends between the end of the task and the letter.
    let store = Arc::new(SqliteStore::open(&options).unwrap());
    let webhook = receiver.webhook(&[]);
    let task = store::NewTask { webhook, ..store::conformance::new_task() };
    let id = store::conformance::submit(&*store, task).await;
    let fence = store::conformance::begin(&*store, store::conformance::at(1)).await;
    let answer = store::conformance::answered("1");
    store.finish(fence, answer, std::time::SystemTime::now().into()).await.unwrap();
    store.close().await;

    let store = Arc::new(SqliteStore::open(&options).unwrap());
    let house = House::on(store, spec(), settings(&[&receiver]));
    until("it is told", || receiver.told().len() == 1).await;
    assert_eq!(receiver.told(), [("task.completed".into(), id.to_string())]);
    house.shut_down().await;
}

#[tokio::test]
async fn a_model_may_name_a_webhook_for_all_its_tasks_and_a_task_another_one() {
    let (default, other) = (Receiver::start(&[]).await, Receiver::start(&[]).await);
    let webhook_url = Some(default.url.clone());
    let spec = ModelSpec { webhook_url, ..spec() };
    let house = House::with(spec, settings(&[&default, &other]));
    house.declare_echo();
    let first = submit(&house, None).await;
    let second = submit(&house, other.webhook(&[])).await;
    until("both are told", || default.told().len() + other.told().len() == 2).await;
    assert_eq!(default.told()[0].1, first.to_string());
    assert_eq!(other.told()[0].1, second.to_string());
}

#[tokio::test]
async fn a_webhook_that_may_not_be_told_refuses_the_task() {
    let receiver = Receiver::start(&[]).await;
    let store = || Arc::new(MemoryStore::new());
    let none = House::on(store(), spec(), TaskSettings::default());
    let public = House::on(store(), spec(), settings(&[]));
    let listed = House::on(store(), spec(), settings(&[&receiver]));
    let elsewhere = Some(Webhook { url: "https://hooks.example/".into(), events: vec![] });
    for (house, webhook, words) in [
        (&none, receiver.webhook(&[]), "set `webhooks.secrets`"),
        (&public, receiver.webhook(&[]), "it does not begin with https://"),
        (&listed, elsewhere, "its origin is not one of `webhooks.allow`"),
    ] {
        let submission = Submission { webhook, ..house.submission() };
        let fault = house.tasks.submit(submission).await.unwrap_err();
        assert_eq!(fault.code, ErrorCode::InvalidRequest);
        assert!(fault.detail.ends_with(words), "{fault}");
    }
}

#[tokio::test]
async fn nobody_can_submit_a_letter_by_hand() {
    let receiver = Receiver::start(&[]).await;
    let house = House::with(spec(), settings(&[&receiver]));
    let submission = Submission { model: ModelName::webhooks(), ..house.submission() };
    let fault = house.tasks.submit(submission).await.unwrap_err();
    assert_eq!(fault.code, ErrorCode::ModelNotFound);
}

#[tokio::test]
async fn a_webhook_that_names_progress_is_told_how_far_a_task_is() {
    let receiver = Receiver::start(&[]).await;
    let house = House::with(spec(), settings(&[&receiver]));
    let (open, gate) = tokio::sync::watch::channel(false);
    let endpoint = house.declare(2, move |_| {
        let mut gate = gate.clone();
        async move {
            gate.wait_for(|open| *open).await.unwrap();
            Ok(json(200, "1"))
        }
    });
    let events = [WebhookEvent::Progress, WebhookEvent::Completed];
    let id = submit(&house, receiver.webhook(&events)).await;
    until("it is called", || endpoint.calls() == 1).await;
    let call_id = endpoint.seen()[0].header("x-call-id").parse().unwrap();
    for word in ["begun", "half"] {
        let (fraction, message) = (Some(0.5), Some(word.to_owned()));
        let partial = Some(serde_json::json!([word]));
        let progress = Report::Progress { call_id, fraction, message, partial };
        house.tasks.on_report(call_id, &progress);
    }
    until("it is told", || receiver.told().len() == 1).await;
    open.send(true).unwrap();
    house.end(id).await;
    until("the end is told", || receiver.told().len() == 2).await;
    let words = |letter: &Value| (letter["type"].clone(), letter["data"]["partial"].clone());
    let letters: Vec<_> = receiver.letters.lock().iter().map(|(_, body)| words(body)).collect();
    // Both words were said before there was time to tell the first.
    let half = serde_json::json!(["half"]);
    assert_eq!(letters, [("task.progress".into(), half), ("task.completed".into(), Value::Null)]);
}
