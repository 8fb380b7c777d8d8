//! Answers that come piece by piece.

use serde_json::{Value, json};

use super::{puppet::puppets, yard::Yard};

#[tokio::test]
async fn an_event_is_there_before_the_next_one_is_made() {
    let yard = Yard::open(&puppets("puppet", "")).await;
    let body = json!({"note": "s", "events": 2, "until": "go"});
    let mut answer = yard.post("/invoke/puppet/stream").json(&body).send().await;
    assert_eq!((answer.status, answer.header("content-type").as_str()), (200, "text/event-stream"));
    assert_eq!(answer.piece().await.unwrap().unwrap(), "data: 0\n\n");
    assert_eq!(yard.count("ended", "s"), 0);
    yard.signal("go");
    assert_eq!(answer.piece().await.unwrap().unwrap(), "data: 1\n\n");
    assert_eq!(answer.piece().await.unwrap(), None);
}

#[tokio::test]
async fn a_default_route_that_streams_is_not_wrapped() {
    let yard = Yard::open(&puppets("poet", "metadata = {default_route = '/stream'}")).await;
    let answer = yard.post("/invoke/poet").json(&json!({"events": 3})).send().await;
    let id = answer.header("x-task-id");
    assert_eq!(answer.text().await, "data: 0\n\ndata: 1\n\ndata: 2\n\n");
    assert_eq!(yard.task(&id).await.status, "completed");
}

#[tokio::test]
async fn lines_of_json_arrive_one_by_one() {
    let yard = Yard::open("").await;
    let body = json!({"text": "one two three"});
    let answer = yard.post("/invoke/local-echo/ndjson").json(&body).send().await;
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let text = answer.text().await;
    let words = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert_eq!(words.map(|line| line["word"].clone()).collect::<Vec<_>>(), ["one", "two", "three"]);
}

#[tokio::test]
async fn a_stream_that_fails_says_so_in_its_last_event() {
    let yard = Yard::open(&puppets("puppet", "")).await;
    let body = json!({"fail": "out of words"});
    let text = yard.post("/invoke/puppet/stream").json(&body).send().await.text().await;
    let (first, last) = text.split_once("\n\n").unwrap();
    assert_eq!(first, "data: 0");
    let problem = last_problem(last);
    assert_eq!(
        (&problem["code"], &problem["detail"]),
        (&json!("handler_failed"), &json!("out of words"))
    );
}

#[tokio::test]
async fn a_stream_whose_worker_dies_says_so_in_its_last_event() {
    let yard = Yard::open(&puppets("puppet", "")).await;
    let body = json!({"until": "go", "die": true});
    let mut answer = yard.post("/invoke/puppet/stream").json(&body).send().await;
    let request_id = answer.header("x-request-id");
    assert_eq!(answer.piece().await.unwrap().unwrap(), "data: 0\n\n");
    yard.signal("go");
    let problem = last_problem(&answer.piece().await.unwrap().unwrap());
    assert_eq!(problem["code"], "worker_failed", "{problem}");
    assert_eq!(problem["request_id"], request_id);
    assert_eq!(answer.piece().await.unwrap(), None);
}

#[tokio::test]
async fn a_stream_of_another_kind_whose_worker_dies_breaks_off_and_does_not_look_complete() {
    let yard = Yard::open(&puppets("puppet", "")).await;
    let body = json!({"until": "go", "die": true, "kind": "text/plain"});
    let mut answer = yard.post("/invoke/puppet/stream").json(&body).send().await;
    assert_eq!(answer.piece().await.unwrap().unwrap(), "data: 0\n\n");
    yard.signal("go");
    assert!(answer.piece().await.is_err());
}

#[tokio::test]
async fn a_stream_ends_when_its_time_is_up_and_says_so_in_its_last_event() {
    let yard = Yard::open(&puppets("puppet", "timeout_seconds = 0.5")).await;
    let body = json!({"note": "s", "until": "never"});
    let mut answer = yard.post("/invoke/puppet/stream").json(&body).send().await;
    assert_eq!(answer.piece().await.unwrap().unwrap(), "data: 0\n\n");
    let problem = last_problem(&answer.piece().await.unwrap().unwrap());
    // The worker's clock may be the first to see that the time is up; it then breaks off.
    let codes = ["deadline_exceeded", "worker_failed"];
    assert!(codes.iter().any(|code| problem["code"] == *code), "{problem}");
    yard.noted("cancelled", "s").await;
}

/// The problem in the event that tells of it.
#[track_caller]
fn last_problem(event: &str) -> Value {
    let data = event.strip_prefix("event: error\ndata: ").unwrap_or_else(|| panic!("{event}"));
    serde_json::from_str(data).unwrap()
}

#[tokio::test]
async fn a_reader_that_does_not_read_stops_only_its_own_stream() {
    let yard = Yard::open(&puppets("puppet", "")).await;
    // A quarter of a gigabyte: more than all sockets on the way hold.
    let body = json!({"note": "slow", "events": 4000, "padding": 65_536});
    let mut slow = yard.post("/invoke/puppet/stream").json(&body).send().await;
    slow.piece().await.unwrap().unwrap();
    let body = json!({"note": "quick", "events": 1000, "padding": 1000});
    let mut quick = yard.post("/invoke/puppet/stream").json(&body).send().await;
    let mut bytes = 0;
    while let Some(piece) = quick.piece().await.unwrap() {
        bytes += piece.len();
    }
    assert!(bytes > 1_000_000);
    assert_eq!((yard.count("ended", "quick"), yard.count("ended", "slow")), (1, 0));
    drop(slow);
    yard.noted("cancelled", "slow").await;
}
