//! More than can be done: it says no early and clearly.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    diary,
    puppet::puppets,
    yard::{Yard, eventually},
};

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_says_when_to_come_back() {
    let yard = Yard::open(&puppets("puppet", "worker_capacity = 1\nqueue_max = 2")).await;
    let send = |note: &str| {
        let body = json!({"note": note, "until": "go"});
        tokio::spawn(yard.post("/invoke/puppet").json(&body).send())
    };
    let mut taken = vec![send("running")];
    yard.noted("begun", "running").await;
    taken.extend([send("waiting"), send("waiting")]);
    let queued = "modelyard_model_calls_queued{model=\"puppet\"}";
    eventually("a full queue", async || (yard.metric(queued).await == 2.0).then_some(())).await;

    let asked = Instant::now();
    for path in ["/invoke/puppet", "/invoke/puppet/mirror"] {
        let problem = yard.post(path).json("{}").send().await.problem().await;
        let detail = "model puppet already has 2 calls waiting";
        assert_eq!((problem.code.as_str(), problem.detail.as_str()), ("queue_full", detail));
        assert!(problem.retry_after.is_some());
    }
    assert!(asked.elapsed() < Duration::from_secs(5), "it does not wait for the queue");
    assert_eq!(yard.post("/invoke/local-echo").json("{}").send().await.status, 200);
    yard.signal("go");
    for call in taken {
        assert_eq!(call.await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_cap_holds_over_all_workers_and_over_calls_and_tasks_together() {
    let yard = Yard::open(&puppets("puppet", "num_workers = 2\nmax_concurrency = 3")).await;
    let body = json!({"note": "-", "sleep_ms": 30});
    let mut ids = Vec::new();
    let mut calls = Vec::new();
    for _ in 0..15 {
        let accepted: Value = yard.post("/tasks/puppet").json(&body).send().await.json().await;
        ids.push(accepted["task_id"].as_str().unwrap().to_owned());
        calls.push(tokio::spawn(yard.post("/invoke/puppet").json(&body).send()));
    }
    for call in calls {
        assert_eq!(call.await.unwrap().status, 200);
    }
    for id in ids {
        let path = format!("/tasks/{id}?wait=30");
        assert_eq!(yard.get(&path).send().await.json().await["state"], "completed");
    }
    assert_eq!(yard.count("begun", "-"), 30);
    assert_eq!(diary::most_at_once(&yard.diary()), 3);
}

#[tokio::test]
async fn the_urgent_goes_first_and_tenants_take_turns() {
    let yard = Yard::open(&puppets("puppet", "max_concurrency = 1")).await;
    let queued = "modelyard_model_calls_queued{model=\"puppet\"}";
    let send = |note: &str, priority: &str, tenant: &str| {
        let asked = yard.post("/invoke/puppet").header("x-priority", priority);
        let body = json!({"note": note, "until": "go"});
        tokio::spawn(asked.header("x-tenant", tenant).json(&body).send())
    };
    let mut calls = vec![send("first", "normal", "a")];
    yard.noted("begun", "first").await;
    for (count, (note, priority, tenant)) in [
        ("low", "low", "a"),
        ("a1", "normal", "a"),
        ("a2", "normal", "a"),
        ("a3", "normal", "a"),
        ("b1", "normal", "b"),
        ("high", "high", "c"),
    ]
    .into_iter()
    .enumerate()
    {
        calls.push(send(note, priority, tenant));
        let waiting = (count + 1) as f64;
        eventually("its place", async || (yard.metric(queued).await == waiting).then_some(()))
            .await;
    }
    yard.signal("go");
    for call in calls {
        assert_eq!(call.await.unwrap().status, 200);
    }
    let begun = yard.diary().into_iter().filter(|entry| entry.word == "begun");
    let order: Vec<_> = begun.map(|entry| entry.note).collect();
    assert_eq!(order, ["first", "high", "a1", "b1", "a2", "a3", "low"]);
}
