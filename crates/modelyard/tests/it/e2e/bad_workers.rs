//! What a worker may get wrong. The caller is told whose fault it was, and the server goes on.

use std::time::Duration;

use api::worker::Address;
use http::Method;
use serde_json::{Value, json};

use super::{
    puppet::puppets,
    stranger::{FAR, LET_IN, Stranger, inside, join, registration},
    yard::Yard,
};

const GOOD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";

async fn far() -> Yard {
    Yard::open(&format!("{LET_IN}{FAR}")).await
}

#[tokio::test]
async fn a_worker_from_elsewhere_joins_and_is_called_with_its_own_token() {
    let yard = far().await;
    let card = yard.model("far").await;
    assert_eq!(card["status"], "failing");
    let reason =
        "model far is unavailable: `num_workers` is 0 and no worker has joined from elsewhere";
    let refused = yard.post("/invoke/far").json("{}").send().await.problem().await;
    assert_eq!((refused.code.as_str(), refused.detail.as_str()), ("model_unavailable", reason));
    assert!(refused.retry_after.is_some());

    let worker = Stranger::answering(GOOD).await;
    worker.join(&yard).await;
    assert_eq!(yard.model("far").await["status"], "ready");
    let asked = yard.post("/invoke/far?x=1").header("authorization", "Bearer of-the-client");
    assert_eq!(asked.json("{}").send().await.json().await["result"], json!({}));
    let request = worker.requests()[0].to_ascii_lowercase();
    assert!(request.starts_with("post /go?x=1 http/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nauthorization: bearer open-sesame\r\n"), "{request}");
    assert!(!request.contains("of-the-client"), "{request}");
}

#[tokio::test]
async fn a_worker_that_answers_no_http_or_nothing_at_all_is_a_bad_gateway() {
    for (bytes, detail) in [
        (&b"Traceback (most recent call last):\r\n\r\n"[..], "the worker answered something that is not HTTP"),
        (b"", "the worker closed the connection before it answered"),
        (b"HTTP/1.1 200 OK\r\ncontent-", "the worker closed the connection before it answered"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"half\":",
            "the worker broke off in the middle of its answer",
        ),
    ] {
        let yard = far().await;
        let worker = Stranger::answering(bytes).await;
        worker.join(&yard).await;
        let answer = yard.post("/invoke/far").json("{}").send().await;
        let id = answer.header("x-task-id");
        assert_eq!(answer.refusal().await, ("worker_failed".into(), detail.into()));
        assert_eq!(worker.requests().len(), 1, "what may have begun is not sent again");
        assert_eq!(id, "");
        assert_eq!(yard.post("/invoke/local-echo").json("{}").send().await.status, 200);
    }
}

#[tokio::test]
async fn an_answer_that_is_not_the_json_it_claims_to_be_is_not_passed_off_as_such() {
    let yard = far().await;
    let worker = Stranger::answering(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5\r\nconnection: close\r\n\r\n{oops",
    )
    .await;
    worker.join(&yard).await;
    let (code, _) = yard.post("/invoke/far").json("{}").send().await.refusal().await;
    assert_eq!(code, "worker_failed");
}

#[tokio::test]
async fn what_was_not_begun_goes_to_another_worker() {
    let yard = far().await;
    let busy = Stranger::answering(
        b"HTTP/1.1 503 Service Unavailable\r\nx-not-begun: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    )
    .await;
    let good = Stranger::answering(GOOD).await;
    busy.join(&yard).await;
    // Nobody listens there.
    join(&yard, &Address::Tcp("127.0.0.1:1".into())).await;
    good.join(&yard).await;
    for _ in 0..6 {
        assert_eq!(yard.post("/invoke/far").json("{}").send().await.status, 200);
    }
    assert_eq!(good.requests().len(), 6);
    assert!(!busy.requests().is_empty());
}

#[tokio::test]
async fn a_call_that_every_worker_refuses_ends_with_503_and_when_to_come_back() {
    let yard = far().await;
    let busy = Stranger::answering(
        b"HTTP/1.1 503 Service Unavailable\r\nx-not-begun: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    )
    .await;
    busy.join(&yard).await;
    let problem = yard.post("/invoke/far").json("{}").send().await.problem().await;
    assert_eq!(problem.code, "model_unavailable");
    assert!(problem.retry_after.is_some());
}

#[tokio::test]
async fn a_worker_that_dies_in_the_middle_of_a_call_is_a_bad_gateway_and_is_replaced() {
    let yard = Yard::open(&puppets("puppet", "")).await;
    let (code, detail) =
        yard.post("/invoke/puppet").json(&json!({"die": true})).send().await.refusal().await;
    assert_eq!(code, "worker_failed", "{detail}");
    assert_eq!(yard.post("/invoke/puppet").json("{}").send().await.status, 200);
}

#[tokio::test]
async fn code_that_raises_is_told_in_its_own_words() {
    let yard = Yard::open(&puppets("puppet", "")).await;
    let body = json!({"fail": "division by zero"});
    let told = yard.post("/invoke/puppet").json(&body).send().await.refusal().await;
    assert_eq!(told, ("handler_failed".into(), "division by zero".into()));
}

#[tokio::test]
async fn a_registration_that_makes_no_sense_is_refused_with_what_is_wrong() {
    let yard = far().await;
    let address = Address::Tcp("127.0.0.1:9".into());
    let changed = |pointer: &str, value: Value| {
        let mut body = registration(&address);
        *body.pointer_mut(pointer).unwrap() = value;
        body.to_string()
    };
    let mut without = registration(&address);
    without.as_object_mut().unwrap().remove("description");
    for (body, code, word) in [
        ("{".to_owned(), "invalid_json", "EOF"),
        ("[]".to_owned(), "invalid_json", ""),
        (without.to_string(), "invalid_json", "description"),
        (changed("/model", json!("no such model")), "invalid_json", "model name"),
        (changed("/model", json!("nobody")), "model_not_found", "nobody"),
        (changed("/address", json!("http://h:1")), "invalid_json", "not an address"),
        (changed("/address", json!("tcp:host:no-port")), "invalid_json", "not an address"),
        (changed("/description/capacity", json!(0)), "invalid_request", "description.capacity"),
        (changed("/description/capacity", json!(-1)), "invalid_json", ""),
        (
            changed("/description/default_route", json!("go there")),
            "invalid_request",
            "description.default_route",
        ),
        (
            changed("/description/default_route", json!("")),
            "invalid_request",
            "description.default_route",
        ),
        (changed("/token", json!("line\nend")), "invalid_request", "token"),
    ] {
        let answer = inside(&yard, Method::POST, "/internal/v1/workers").json(&body).send().await;
        let (told, detail) = answer.refusal().await;
        assert!(told == code && detail.contains(word), "{told}: {detail}\nof {body}");
    }
    let door = Address::Unix(yard.path().join("inner.sock"));
    let unknown = super::ask::Ask::new(&door, Method::POST, "/internal/v1/workers");
    let told =
        unknown.header("authorization", "Bearer guess").json("{}").send().await.refusal().await;
    assert_eq!(told.0, "unauthorized");
    assert_eq!(yard.model("far").await["replicas"], 0);
}

#[tokio::test]
async fn a_worker_without_heartbeats_is_lost_and_may_join_again() {
    let config =
        format!("{LET_IN}workers.heartbeat_seconds = 0.1\nworkers.lease_seconds = 0.4\n{FAR}");
    let yard = Yard::open(&config).await;
    let worker = Stranger::answering(GOOD).await;
    let first = worker.join(&yard).await;
    assert_eq!(first.lease_ms, 400);
    let beat = |of: api::worker::Membership| {
        let path = format!("/internal/v1/workers/{}/heartbeat", of.worker_id);
        inside(&yard, Method::PUT, &path).json(&json!({"epoch": of.epoch, "running": []})).send()
    };
    for _ in 0..6 {
        assert_eq!(beat(first).await.status, 200);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    super::yard::eventually("the loss of the worker", async || {
        (yard.model("far").await["replicas"] == 0).then_some(())
    })
    .await;
    assert_eq!(beat(first).await.refusal().await.0, "worker_not_found");
    let second = worker.join(&yard).await;
    assert_ne!(first.worker_id, second.worker_id);
    let other_epoch = api::worker::Membership { epoch: second.epoch ^ 1, ..second };
    assert_eq!(beat(other_epoch).await.refusal().await.0, "lease_lost");
    assert_eq!(yard.post("/invoke/far").json("{}").send().await.status, 200);
}
