//! Durable tasks: submitted now, answered later.

use std::time::{Duration, Instant};

use api::task::TaskState;
use serde_json::{Value, json};

use super::{
    puppet::puppets,
    yard::{Yard, eventually},
};

/// Submits a task and gives its id.
async fn submit(yard: &Yard, body: &Value) -> String {
    let answer = yard.post("/tasks/puppet").json(body).send().await;
    assert_eq!(answer.status, 202);
    let accepted = answer.json().await;
    assert_eq!(accepted["status"], "queued");
    accepted["task_id"].as_str().unwrap().to_owned()
}

/// Waits for the end of a task.
async fn ended(yard: &Yard, id: &str) -> Value {
    let task = yard.get(&format!("/tasks/{id}?wait=30")).send().await.json().await;
    assert!(!matches!(task["state"].as_str(), Some("queued" | "running")), "{task}");
    task
}

#[tokio::test]
async fn a_task_is_accepted_runs_and_keeps_its_result() {
    let yard = Yard::open(&puppets("puppet", "")).await;
    let body = json!({"note": "a", "until": "go"});
    let id = submit(&yard, &body).await;
    yard.noted("begun", "a").await;
    let running = yard.get(&format!("/tasks/{id}")).send().await.json().await;
    assert_eq!((&running["status"], &running["payload"]), (&json!("running"), &body));
    assert!(running.get("result").is_none());

    yard.signal("go");
    let task = ended(&yard, &id).await;
    assert_eq!((&task["status"], &task["model"]), (&json!("completed"), &json!("puppet")));
    let headers = &task["result"]["headers"];
    assert_eq!((&headers["x-task-id"], &headers["x-attempt"]), (&json!(id), &json!("1")));
    assert_eq!(headers["idempotency-key"], json!(id));
}

#[tokio::test]
async fn a_wait_ends_with_its_time_and_a_task_that_ends_ends_the_wait() {
    let yard = Yard::open(&puppets("puppet", "")).await;
    let id = submit(&yard, &json!({"note": "a", "until": "go"})).await;
    let early = yard.get(&format!("/tasks/{id}?wait=0.2")).send().await.json().await;
    assert!(matches!(early["status"].as_str(), Some("queued" | "running")), "{early}");

    let waiting = tokio::spawn(yard.get(&format!("/tasks/{id}?wait=60")).send());
    yard.noted("begun", "a").await;
    let begun = Instant::now();
    yard.signal("go");
    assert_eq!(waiting.await.unwrap().json().await["status"], "completed");
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn the_same_key_is_the_same_task_and_with_another_body_a_conflict() {
    let yard = Yard::open(&puppets("puppet", "")).await;
    let send = |body: &Value, tenant: &str| {
        let asked = yard.post("/tasks/puppet").header("idempotency-key", "order-17");
        asked.header("x-tenant", tenant).json(body).send()
    };
    let body = json!({"note": "a"});
    let first = send(&body, "shop").await.json().await;
    let id = first["task_id"].as_str().unwrap().to_owned();
    assert_eq!(ended(&yard, &id).await["result"]["headers"]["idempotency-key"], "order-17");

    let again = send(&body, "shop").await;
    assert_eq!(again.status, 202);
    assert_eq!(again.json().await, json!({"task_id": id, "status": "completed"}));
    let (code, detail) = send(&json!({"note": "b"}), "shop").await.refusal().await;
    assert_eq!(code, "idempotency_conflict");
    assert!(detail.contains(&id), "{detail}");
    // A key is of one tenant.
    assert_ne!(send(&body, "other").await.json().await["task_id"], json!(id));
    eventually("both", async || (yard.count("ended", "a") == 2).then_some(())).await;
    assert_eq!(yard.count("begun", "b"), 0);
}

#[tokio::test]
async fn a_queued_task_that_is_cancelled_never_runs_and_a_running_one_stops() {
    let yard = Yard::open(&puppets("puppet", "max_concurrency = 1")).await;
    let running = submit(&yard, &json!({"note": "running", "until": "never"})).await;
    yard.noted("begun", "running").await;
    let queued = submit(&yard, &json!({"note": "queued"})).await;

    for id in [&queued, &running] {
        let cancelled = yard.post(&format!("/tasks/{id}/cancel")).send().await.json().await;
        assert_eq!(
            (&cancelled["state"], &cancelled["status"]),
            (&json!("cancelled"), &json!("failed"))
        );
        let (code, _) = yard.post(&format!("/tasks/{id}/cancel")).send().await.refusal().await;
        assert_eq!(code, "task_finished");
    }
    yard.noted("cancelled", "running").await;
    let last = submit(&yard, &json!({"note": "last"})).await;
    assert_eq!(ended(&yard, &last).await["state"], "completed");
    assert_eq!(yard.count("begun", "queued"), 0);
}

#[tokio::test]
async fn a_failure_is_tried_again_until_it_goes_well_or_the_attempts_are_used_up() {
    let retry = "retry = {attempts_max = 3, backoff_ms = 20}";
    let yard = Yard::open(&puppets("puppet", retry)).await;
    let passing = json!({"note": "passing", "fail": "not yet", "well_from": 3});
    let task = submit(&yard, &passing).await;
    let task = ended(&yard, &task).await;
    assert_eq!((&task["state"], &task["attempt"]), (&json!("completed"), &json!(3)));
    assert_eq!(task["result"]["headers"]["x-attempt"], "3");

    let hopeless = submit(&yard, &json!({"note": "hopeless", "fail": "never"})).await;
    let task = ended(&yard, &hopeless).await;
    assert_eq!((&task["state"], &task["status"]), (&json!("dead"), &json!("failed")));
    assert_eq!(
        (&task["result"], &task["error_code"]),
        (&json!({"error": "never"}), &json!("handler_failed"))
    );
    assert_eq!(yard.count("begun", "hopeless"), 3);

    let again = yard.post(&format!("/tasks/{hopeless}/retry")).send().await.json().await;
    assert!(matches!(again["state"].as_str(), Some("queued" | "running")), "{again}");
    assert_eq!(ended(&yard, &hopeless).await["state"], "dead");
    assert_eq!(yard.count("begun", "hopeless"), 6);
}

#[tokio::test]
async fn what_the_model_refuses_is_not_tried_again() {
    let yard = Yard::open(&puppets("puppet", "")).await;
    let id = submit(&yard, &json!({"no such field": 1})).await;
    let task = ended(&yard, &id).await;
    assert_eq!((&task["state"], &task["attempt"]), (&json!("failed"), &json!(1)));
    assert_eq!(task["error_code"], "invalid_input");
}

#[tokio::test]
async fn a_task_whose_worker_is_killed_is_tried_again() {
    let yard = Yard::open(&puppets("puppet", "retry = {backoff_ms = 20}")).await;
    let id = submit(&yard, &json!({"note": "a", "until": "go"})).await;
    let worker = yard.noted("begun", "a").await.pid;
    yard.signal("go");
    super::process::send(worker, nix::sys::signal::Signal::SIGKILL);
    let task = ended(&yard, &id).await;
    assert_eq!(task["state"], "completed");
    // It may have ended just before it was killed, and then it is not tried again.
    let (pid, attempt) = (task["result"]["pid"].as_i64(), task["attempt"].as_u64());
    assert!(attempt == Some(2) && pid != Some(worker.into()), "{task}");
}

#[tokio::test]
async fn a_task_may_wait_for_its_time_and_end_with_its_deadline() {
    let yard = Yard::open(&puppets("puppet", "max_concurrency = 1")).await;
    let begun = Instant::now();
    let answer =
        yard.post("/tasks/puppet?start_after=0.7").json(&json!({"note": "later"})).send().await;
    let later = answer.json().await["task_id"].as_str().unwrap().to_owned();
    ended(&yard, &later).await;
    assert!(begun.elapsed() >= Duration::from_millis(700), "{:?}", begun.elapsed());

    submit(&yard, &json!({"note": "running", "until": "never"})).await;
    yard.noted("begun", "running").await;
    let asked = yard.post("/tasks/puppet").header("x-deadline-ms", "200");
    let answer = asked.json(&json!({"note": "too late"})).send().await;
    let late = answer.json().await["task_id"].as_str().unwrap().to_owned();
    let task = ended(&yard, &late).await;
    assert_eq!(
        (&task["status"], &task["error_code"]),
        (&json!("failed"), &json!("deadline_exceeded"))
    );
    assert_eq!(yard.count("begun", "too late"), 0);
}

#[tokio::test]
async fn tasks_are_listed_newest_first_by_page_and_by_filter() {
    let yard = Yard::open(&puppets("puppet", "max_concurrency = 1")).await;
    let mut ids = Vec::new();
    for (note, until) in [("a", None), ("b", None), ("c", None), ("d", Some("never"))] {
        let id = submit(&yard, &json!({"note": note, "until": until})).await;
        if until.is_none() {
            ended(&yard, &id).await;
        }
        ids.push(id);
    }
    ids.reverse();
    let page = async |query: &str| {
        let page = yard.get(&format!("/tasks?{query}")).send().await.json().await;
        let tasks = page["tasks"].as_array().unwrap().iter();
        let ids: Vec<_> = tasks.map(|task| task["task_id"].as_str().unwrap().to_owned()).collect();
        (ids, page["next_cursor"].as_str().map(str::to_owned))
    };
    let (first, cursor) = page("limit=3").await;
    assert_eq!(first, ids[..3]);
    let (rest, end) = page(&format!("limit=3&cursor={}", cursor.unwrap())).await;
    assert_eq!((rest.as_slice(), end), (&ids[3..], None));
    assert_eq!(page("state=completed&model=puppet").await.0, ids[1..]);
    assert_eq!(page("model=local-echo").await.0, Vec::<String>::new());
    assert_eq!(page("tenant=nobody").await.0, Vec::<String>::new());
}

#[tokio::test]
async fn a_follower_hears_every_state_and_the_progress() {
    let yard = Yard::open(&puppets("puppet", "max_concurrency = 1")).await;
    submit(&yard, &json!({"note": "first", "until": "go"})).await;
    yard.noted("begun", "first").await;
    let id = submit(&yard, &json!({"note": "a", "sleep_ms": 400, "progress": true})).await;
    let events = yard.get(&format!("/tasks/{id}/events")).send().await;
    assert_eq!(events.header("content-type"), "text/event-stream");
    yard.signal("go");
    let text = events.text().await;
    let told: Vec<(&str, Value)> = text
        .split_terminator("\n\n")
        .filter_map(|event| event.strip_prefix("event: ")?.split_once("\ndata: "))
        .map(|(name, data)| (name, serde_json::from_str(data).unwrap()))
        .collect();
    let states = told.iter().filter(|(name, _)| *name == "state").map(|(_, data)| &data["state"]);
    assert_eq!(states.collect::<Vec<_>>(), ["queued", "running", "completed"]);
    let mut progress = told
        .iter()
        .filter(|(name, _)| *name == "progress")
        .map(|(_, data)| data["fraction"].as_f64().unwrap());
    let first = progress.next().unwrap();
    assert!(first < 0.5 && progress.all(|share| share > first && share <= 1.0), "{text}");
}

#[tokio::test]
async fn the_command_line_submits_waits_lists_and_cancels() {
    let yard = Yard::open(&puppets("puppet", "")).await;
    let url = format!("http://{}", yard.host());
    let run = async |args: &[&str]| {
        let desk = crate::desk::Desk::new().variable("MODELYARD_URL", url.clone());
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let run = move || desk.run(&args.iter().map(String::as_str).collect::<Vec<_>>());
        tokio::task::spawn_blocking(run).await.unwrap()
    };
    let done = run(&["task", "submit", "puppet", r#"{"note": "a"}"#, "--wait"]).await;
    assert_eq!((done.status, done.err.as_str()), (Some(0), ""));
    let task: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(task["state"], "completed");

    let held = submit(&yard, &json!({"until": "never"})).await;
    assert!(run(&["task", "cancel", &held]).await.out.contains("\"cancelled\""));
    let listed = run(&["task", "list", "--state", "cancelled"]).await;
    assert!(listed.out.contains(&held), "{}", listed.out);
    let invoked = run(&["invoke", "local-echo", r#"{"n": 1.50}"#]).await;
    assert!(invoked.out.contains(r#"{"n": 1.50}"#), "{}", invoked.out);
    let refused = run(&["invoke", "local-ecko", "{}"]).await;
    assert_eq!(refused.status, Some(1));
    assert!(refused.err.contains("did you mean local-echo?"), "{}", refused.err);
}

#[tokio::test]
async fn the_record_of_a_task_is_what_the_contract_says() {
    let yard = Yard::open("").await;
    let body = json!({"payload": {"text": "hello"}});
    let accepted = yard.post("/tasks/local-echo").json(&body).send().await.json().await;
    let id = accepted["task_id"].as_str().unwrap();
    let view = yard.get(&format!("/tasks/{id}?wait=30")).send().await.json().await;
    assert_eq!(view["result"], json!({"model": "local-echo", "echo": body}));
    let task = yard.task(id).await;
    assert_eq!((task.state, task.attempt), (TaskState::Completed, 1));
    assert!(task.ts.parse::<f64>().unwrap() > 1.7e9);
    assert!(task.updated_ms >= task.created_ms);
}

#[tokio::test]
async fn many_submissions_with_one_key_at_once_are_one_task() {
    let yard = Yard::open(&puppets("puppet", "")).await;
    let send = || {
        let asked = yard.post("/tasks/puppet").header("idempotency-key", "k");
        tokio::spawn(asked.json(&json!({"note": "once"})).send())
    };
    let mut ids = std::collections::BTreeSet::new();
    for answer in (0..16).map(|_| send()).collect::<Vec<_>>() {
        let accepted = answer.await.unwrap().json().await;
        ids.insert(accepted["task_id"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids.len(), 1);
    ended(&yard, ids.first().unwrap()).await;
    assert_eq!(yard.count("begun", "once"), 1);
}

#[tokio::test]
async fn a_payload_that_is_not_json_is_kept_and_given_as_it_came() {
    let yard = Yard::open(&puppets("puppet", "")).await;
    let asked = yard.post("/tasks/puppet?route=picture").header("content-type", "image/x-raw");
    let answer = asked.body(api::Body::full(&b"\x89PNG"[..])).send().await;
    let id = answer.json().await["task_id"].as_str().unwrap().to_owned();
    let task = ended(&yard, &id).await;
    let shown = |kind| json!({"content_type": kind, "bytes": 4, "base64": "iVBORw=="});
    assert_eq!((&task["payload"], &task["result"]), (&shown("image/x-raw"), &shown("image/png")));
}

#[tokio::test]
async fn urgent_tasks_go_first() {
    let yard = Yard::open(&puppets("puppet", "max_concurrency = 1")).await;
    submit(&yard, &json!({"note": "first", "until": "go"})).await;
    yard.noted("begun", "first").await;
    let mut ids = Vec::new();
    for class in ["low", "normal", "high"] {
        let asked = yard.post("/tasks/puppet").header("x-priority", class);
        let answer = asked.json(&json!({"note": class})).send().await.json().await;
        ids.push(answer["task_id"].as_str().unwrap().to_owned());
    }
    yard.signal("go");
    for id in ids {
        ended(&yard, &id).await;
    }
    let begun = yard.diary().into_iter().filter(|entry| entry.word == "begun");
    let order: Vec<_> = begun.map(|entry| entry.note).collect();
    assert_eq!(order, ["first", "high", "normal", "low"]);
}
