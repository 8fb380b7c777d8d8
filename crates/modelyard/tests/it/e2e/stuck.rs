//! Handlers that hang. Healthy means able to finish work, not answering a ping.

use serde_json::{Value, json};

use super::{
    process,
    puppet::puppets,
    yard::{Yard, eventually},
};

const QUICK: &str = "workers.heartbeat_seconds = 0.2\nworkers.lease_seconds = 1\n";

async fn pid(yard: &Yard) -> i32 {
    let answer = yard.post("/invoke/puppet").json("{}").send().await.json().await;
    i32::try_from(answer["result"]["pid"].as_i64().unwrap()).unwrap()
}

#[tokio::test]
async fn a_handler_that_hangs_is_found_and_nothing_behind_it_fails() {
    let yard = Yard::open(&format!(
        "{QUICK}{}",
        puppets("puppet", "timeout_seconds = 2\nworker_capacity = 1")
    ))
    .await;
    let before = pid(&yard).await;
    let body = json!({"note": "a", "deaf_ms": 600_000});
    let (code, _) = yard.post("/invoke/puppet").json(&body).send().await.refusal().await;
    assert_eq!(code, "deadline_exceeded");

    // The only place is still taken by code that cannot be stopped.
    let behind: Vec<_> =
        (0..5).map(|_| tokio::spawn(yard.post("/invoke/puppet").json("{}").send())).collect();
    for call in behind {
        let answer: Value = call.await.unwrap().json().await;
        assert_ne!(answer["result"]["pid"], before);
    }
    eventually("the end of the stuck worker", async || (!process::runs(before)).then_some(()))
        .await;
    assert_eq!(yard.metric("modelyard_model_worker_restarts_total{model=\"puppet\"}").await, 1.0);
    assert_eq!(yard.metric("modelyard_model_stuck_calls_total{model=\"puppet\"}").await, 1.0);
}

#[tokio::test]
async fn a_worker_that_is_busy_within_its_time_is_left_alone() {
    let yard = Yard::open(&format!(
        "{QUICK}{}",
        puppets("puppet", "timeout_seconds = 30\nworker_capacity = 1")
    ))
    .await;
    let before = pid(&yard).await;
    // Three times the lease, during which its code answers nobody.
    let body = json!({"note": "a", "deaf_ms": 3000});
    let answer = yard.post("/invoke/puppet").json(&body).send().await.json().await;
    assert_eq!(answer["result"]["pid"], before);
    assert_eq!(pid(&yard).await, before);
}

#[tokio::test]
async fn a_model_may_call_silence_a_reason_and_progress_a_sign_of_life() {
    let config = puppets("puppet", "timeout_seconds = 30\nprogress_timeout_seconds = 0.5");
    let yard = Yard::open(&format!("{QUICK}{config}")).await;
    let before = pid(&yard).await;
    let lively = json!({"note": "lively", "sleep_ms": 2000, "progress": true});
    let answer = yard.post("/invoke/puppet").json(&lively).send().await.json().await;
    assert_eq!(answer["result"]["pid"], before);

    let silent = json!({"note": "silent", "deaf_ms": 600_000});
    let (code, _) = yard.post("/invoke/puppet").json(&silent).send().await.refusal().await;
    assert_eq!(code, "deadline_exceeded");
    yard.noted("cancelled", "silent").await;
    eventually("another worker", async || (pid(&yard).await != before).then_some(())).await;
}
