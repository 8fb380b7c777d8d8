//! Gone means stopped: callers that leave, and times that are up.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    diary,
    puppet::puppets,
    yard::{Yard, eventually},
};

/// Far more than the tenth of a second that it should take: this is no test of speed.
const SOON: Duration = Duration::from_secs(1);

#[tokio::test]
async fn the_work_for_a_client_that_left_is_cancelled() {
    let yard = Yard::open(&puppets("puppet", "")).await;
    let body = json!({"note": "a", "until": "never"});
    let call = tokio::spawn(yard.post("/invoke/puppet").json(&body).send());
    yard.noted("begun", "a").await;
    call.abort();
    let _ = call.await;
    cancelled_soon(&yard, "a", "a pending call").await;
}

#[tokio::test]
async fn a_stream_that_nobody_reads_any_more_is_cancelled() {
    let yard = Yard::open(&puppets("puppet", "")).await;
    let body = json!({"note": "a", "until": "never"});
    let mut answer = yard.post("/invoke/puppet/stream").json(&body).send().await;
    answer.piece().await.unwrap().unwrap();
    drop(answer);
    cancelled_soon(&yard, "a", "a stream").await;
}

#[expect(clippy::print_stdout, reason = "a measurement for whoever reads the log")]
async fn cancelled_soon(yard: &Yard, note: &str, what: &str) {
    let left = diary::now();
    let took = yard.noted("cancelled", note).await.at.saturating_sub(left);
    println!("{what} was cancelled {took:?} after its client had left");
    assert!(took < SOON, "{took:?}");
}

#[tokio::test]
async fn a_client_that_leaves_the_queue_is_never_served() {
    let yard = Yard::open(&puppets("puppet", "worker_capacity = 1")).await;
    let send = |body| tokio::spawn(yard.post("/invoke/puppet").json(&body).send());
    let first = send(json!({"note": "first", "until": "go"}));
    yard.noted("begun", "first").await;
    let second = send(json!({"note": "second"}));
    let queued = "modelyard_model_calls_queued{model=\"puppet\"}";
    eventually("one that waits", async || (yard.metric(queued).await == 1.0).then_some(())).await;
    second.abort();
    eventually("an empty queue", async || (yard.metric(queued).await == 0.0).then_some(())).await;
    yard.signal("go");
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(
        yard.post("/invoke/puppet").json(&json!({"note": "third"})).send().await.status,
        200
    );
    assert_eq!(yard.count("begun", "second"), 0);
}

#[tokio::test]
async fn code_that_cannot_be_stopped_keeps_its_place_until_it_really_ends() {
    let yard = Yard::open(&puppets("puppet", "worker_capacity = 1")).await;
    let body = json!({"note": "a", "deaf_ms": 700});
    let call = tokio::spawn(yard.post("/invoke/puppet").json(&body).send());
    yard.noted("begun", "a").await;
    call.abort();
    yard.noted("cancelled", "a").await;
    assert_eq!(yard.post("/invoke/puppet").json(&json!({"note": "b"})).send().await.status, 200);
    let (rested, begun) = (yard.noted("rested", "a").await, yard.noted("begun", "b").await);
    assert!(rested.at <= begun.at, "{rested:?} {begun:?}");
}

#[tokio::test]
async fn a_call_whose_time_is_up_is_answered_with_504_and_cancelled() {
    let yard = Yard::open(&puppets("puppet", "timeout_seconds = 5")).await;
    let body = json!({"note": "a", "until": "never"});
    let asked = yard.post("/invoke/puppet").header("x-deadline-ms", "200").json(&body);
    let (code, _) = asked.send().await.refusal().await;
    assert_eq!(code, "deadline_exceeded");
    yard.noted("cancelled", "a").await;
}

#[tokio::test]
async fn the_place_of_a_call_whose_time_is_up_is_free_as_soon_as_its_code_has_stopped() {
    let yard = Yard::open(&puppets("puppet", "worker_capacity = 1")).await;
    let call = |body: Value, deadline: &str| {
        yard.post("/invoke/puppet").header("x-deadline-ms", deadline).json(&body).send()
    };
    // Again and again: worker and gateway both watch the clock, and either may be first.
    for _ in 0..20 {
        assert_eq!(call(json!({"until": "never"}), "20").await.status, 504);
        assert_eq!(call(json!({}), "3000").await.status, 200);
    }
}

#[tokio::test]
async fn the_models_own_timeout_holds_without_a_deadline() {
    let yard = Yard::open(&puppets("puppet", "timeout_seconds = 0.2")).await;
    let body = json!({"note": "a", "until": "never"});
    for path in ["/invoke/puppet", "/invoke/puppet/act"] {
        let (code, _) = yard.post(path).json(&body).send().await.refusal().await;
        assert_eq!(code, "deadline_exceeded");
    }
}

#[tokio::test]
async fn a_call_that_waits_too_long_for_a_place_is_never_begun() {
    let yard = Yard::open(&puppets("puppet", "worker_capacity = 1")).await;
    let body = json!({"note": "first", "until": "go"});
    let first = tokio::spawn(yard.post("/invoke/puppet").json(&body).send());
    yard.noted("begun", "first").await;
    for deadline in ["150", "0"] {
        let asked = yard.post("/invoke/puppet").header("x-deadline-ms", deadline);
        let told = asked.json(&json!({"note": "second"})).send().await.refusal().await;
        let detail = "model puppet had no free place in time";
        assert_eq!(told, ("deadline_exceeded".into(), detail.into()));
    }
    yard.signal("go");
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(yard.count("begun", "second"), 0);
}

#[tokio::test]
async fn a_call_whose_time_was_up_before_it_came_is_never_begun() {
    let yard = Yard::open(&puppets("puppet", "")).await;
    for path in ["/invoke/puppet", "/invoke/puppet/act"] {
        let asked = yard.post(path).header("x-deadline-ms", "0").json(&json!({"note": "late"}));
        assert_eq!(asked.send().await.refusal().await.0, "deadline_exceeded");
    }
    assert_eq!(yard.post("/invoke/puppet").json(&json!({"note": "next"})).send().await.status, 200);
    assert_eq!(yard.count("begun", "late"), 0);
}
