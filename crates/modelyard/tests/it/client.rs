//! The commands that talk to a server.

use std::{io::Write, process::Stdio};

use crate::{
    desk::{Desk, Outcome},
    provider::Provider,
};

const ID: &str = "0198c0de-0000-7000-8000-000000000000";
const JSON: &str = "200 OK\r\ncontent-type: application/json";
const PROBLEM: &str = "\r\ncontent-type: application/problem+json";

fn run(provider: &Provider, args: &[&str]) -> Outcome {
    Desk::new().variable("MODELYARD_URL", &provider.url).run(args)
}

fn task(state: &str, status: &str) -> String {
    format!(
        r#"{{"task_id":"{ID}","model":"local-echo","payload":{{}},"status":"{status}","state":"{state}","ts":"1.0","attempt":1,"priority":"normal","created_ms":1,"updated_ms":2}}"#
    )
}

#[test]
fn an_answer_is_printed_as_it_came() {
    let provider = Provider::script(&[(JSON, r#"{"task_id": "x",  "result":1}"#)]);
    let outcome = run(&provider, &["invoke", "local-echo", r#"{"text": "hi"}"#]);
    assert_eq!((outcome.status, outcome.err.as_str()), (Some(0), ""));
    assert_eq!(outcome.out, "{\"task_id\": \"x\",  \"result\":1}\n");

    let request = provider.request();
    assert_eq!(request.line, "POST /invoke/local-echo HTTP/1.1");
    assert_eq!(request.body, r#"{"text": "hi"}"#);
    assert!(request.has("content-type: application/json"), "{request:?}");
}

#[test]
fn the_body_may_come_from_standard_input_and_the_route_be_named() {
    let provider = Provider::script(&[(JSON, "1")]);
    let desk = Desk::new();
    let mut child = desk
        .command(&["invoke", "m", "-", "--route", "/explain?x=1", "--url", &provider.url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"[1, 2]").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"1\n");
    let request = provider.request();
    assert_eq!(request.line, "POST /invoke/m/explain?x=1 HTTP/1.1");
    assert_eq!(request.body, "[1, 2]");
}

#[test]
fn a_stream_is_printed_event_by_event_and_may_end_in_failure() {
    let head = "200 OK\r\ncontent-type: text/event-stream";
    let good = "data: 1\n\ndata: 2\n\n";
    let bad = "data: 1\n\nevent: error\ndata: {}\n\n";
    for (events, status) in [(good, 0), (bad, 1)] {
        let provider = Provider::script(&[(head, events)]);
        let outcome = run(&provider, &["invoke", "m", "{}", "--stream"]);
        assert_eq!((outcome.status, outcome.out.as_str()), (Some(status), events));
        assert!(provider.request().has("accept: text/event-stream"));
    }
}

#[test]
fn a_refusal_is_told_in_the_words_of_the_server() {
    let not_found = r#"{"type":"docs/errors/model_not_found.md","title":"No model","status":404,
        "detail":"model ehco not found; did you mean local-echo?","code":"model_not_found","request_id":"r-1"}"#;
    let full = r#"{"type":"docs/errors/queue_full.md","title":"Full","status":429,
        "detail":"the queue is full","code":"queue_full","request_id":"r-2","retry_after":3}"#;
    for (status, problem, expected) in [
        (
            "404 Not Found",
            not_found,
            "error: model ehco not found; did you mean local-echo?\n\
             hint: model_not_found (404); the server's log knows it as request r-1\n",
        ),
        ("429 Too Many Requests", full, "error: the queue is full\nhint: try again in 3 s\n"),
    ] {
        let provider = Provider::script(&[(&format!("{status}{PROBLEM}"), problem)]);
        let outcome = run(&provider, &["invoke", "ehco", "{}"]);
        assert_eq!((outcome.status, outcome.err.as_str()), (Some(1), expected));
    }
}

#[test]
fn a_body_that_is_no_json_is_refused_before_anything_is_sent() {
    let outcome = Desk::new().run(&["invoke", "m", "{text: hi}", "--url", "http://127.0.0.1:1"]);
    assert_eq!(outcome.status, Some(64));
    assert!(outcome.err.starts_with("error: the body is not JSON: "), "{}", outcome.err);
    assert!(outcome.err.contains("\nhint: quote it for the shell"), "{}", outcome.err);
}

#[test]
fn a_server_that_is_not_there_is_told_with_what_to_do() {
    let outcome = Desk::new().run(&["task", "list", "--url", "http://127.0.0.1:1"]);
    assert_eq!(outcome.status, Some(1));
    assert!(outcome.err.contains("start it with `modelyard serve`"), "{}", outcome.err);
}

#[test]
fn a_task_is_submitted_with_its_class_and_key_and_waited_for() {
    let accepted = format!(r#"{{"task_id":"{ID}","status":"queued"}}"#);
    let provider = Provider::script(&[
        ("202 Accepted\r\ncontent-type: application/json", &accepted),
        (JSON, &task("running", "running")),
        (JSON, &task("completed", "completed")),
    ]);
    let args = [
        "task",
        "submit",
        "local-echo",
        "{}",
        "--priority",
        "low",
        "--idempotency-key",
        "k",
        "--wait",
    ];
    let outcome = run(&provider, &args);
    assert_eq!((outcome.status, outcome.err.as_str()), (Some(0), ""));
    assert!(outcome.out.contains(r#""state": "completed""#), "{}", outcome.out);

    let submit = provider.request();
    assert_eq!(submit.line, "POST /tasks/local-echo HTTP/1.1");
    assert!(submit.has("x-priority: low") && submit.has("idempotency-key: k"), "{submit:?}");
    assert_eq!(provider.request().line, format!("GET /tasks/{ID}?wait=30.000 HTTP/1.1"));
    assert_eq!(provider.request().line, format!("GET /tasks/{ID}?wait=30.000 HTTP/1.1"));
}

#[test]
fn waiting_ends_with_1_for_a_task_that_did_not_complete_or_is_late() {
    let dead = Provider::script(&[(JSON, &task("dead", "failed"))]);
    let outcome = run(&dead, &["task", "wait", ID]);
    assert_eq!(outcome.status, Some(1));
    assert_eq!(outcome.err, format!("error: task {ID} is dead\n"));

    let late = Provider::script(&[(JSON, &task("queued", "queued"))]);
    let outcome = run(&late, &["task", "wait", ID, "--timeout", "0"]);
    assert_eq!(outcome.status, Some(1));
    assert!(outcome.err.starts_with(&format!("error: task {ID} is still queued\nhint: ")));
}

#[test]
fn tasks_are_listed_and_cancelled() {
    let provider = Provider::script(&[
        (JSON, r#"{"tasks":[],"next_cursor":"c 2"}"#),
        (JSON, &task("cancelled", "failed")),
    ]);
    let args =
        ["task", "list", "--model", "m", "--state", "failed", "--limit", "2", "--cursor", "c 1"];
    assert!(run(&provider, &args).out.contains(r#""next_cursor": "c 2""#));
    assert_eq!(
        provider.request().line,
        "GET /tasks?model=m&state=failed&limit=2&cursor=c+1 HTTP/1.1"
    );
    assert!(run(&provider, &["task", "cancel", ID]).out.contains(r#""state": "cancelled""#));
    assert_eq!(provider.request().line, format!("POST /tasks/{ID}/cancel HTTP/1.1"));
}

#[test]
fn each_line_is_submitted_as_a_task_of_its_own() {
    let answer = format!(
        r#"{{"accepted":1,"refused":1,"tasks":[{{"task_id":"{ID}","status":"queued"}},{{"error_code":"queue_full","detail":"9 wait"}}]}}"#
    );
    let provider = Provider::script(&[(JSON, &answer)]);
    let args = ["task", "submit", "m", "1\n\n{\"a\": 2}\n", "--lines", "--idempotency-key", "k"];
    let outcome = run(&provider, &args);
    assert_eq!(outcome.out, format!("{ID}\n"));
    assert_eq!(outcome.err, "error: 1 of 2 tasks were refused\nhint: task 2: 9 wait\n");
    let request = provider.request();
    assert_eq!(request.line, "POST /tasks HTTP/1.1");
    let first = r#"{"model":"m","payload":1,"idempotency_key":"k-1"}"#;
    let second = r#"{"model":"m","payload":{"a": 2},"idempotency_key":"k-3"}"#;
    assert_eq!(request.body, format!(r#"{{"tasks":[{first},{second}]}}"#));

    let outcome = run(&provider, &["task", "submit", "m", "1\n{", "--lines"]);
    assert_eq!(outcome.status, Some(64));
    assert!(outcome.err.starts_with("error: line 2 is not JSON: "), "{}", outcome.err);
}

#[test]
fn all_tasks_that_match_are_cancelled_page_by_page() {
    let provider = Provider::script(&[
        (JSON, r#"{"handled":500,"next_cursor":"7"}"#),
        (JSON, r#"{"handled":3}"#),
    ]);
    let outcome = run(&provider, &["task", "cancel", "--all", "--model", "m"]);
    assert_eq!(outcome.out, "{\n  \"handled\": 503\n}\n");
    let path = "POST /api/native/v1/tasks/cancel?limit=500&model=m";
    assert_eq!(provider.request().line, format!("{path} HTTP/1.1"));
    assert_eq!(provider.request().line, format!("{path}&cursor=7 HTTP/1.1"));
    // Not everything by mistake.
    assert_eq!(run(&provider, &["task", "cancel", "--all"]).status, Some(64));
}

const BATCH: &str = "batch_0198c0de000070008000000000000000";

fn batch(status: &str) -> String {
    format!(
        r#"{{"id":"{BATCH}","object":"batch","endpoint":"/invoke/m","errors":null,"input_file_id":"file-1","completion_window":"2h","status":"{status}","output_file_id":"file-2","error_file_id":null,"created_at":1,"in_progress_at":1,"expires_at":9,"finalizing_at":null,"completed_at":null,"failed_at":null,"expired_at":null,"cancelling_at":null,"cancelled_at":null,"request_counts":{{"total":1,"completed":1,"failed":0}},"metadata":null}}"#
    )
}

#[test]
fn a_file_of_calls_is_uploaded_submitted_and_waited_for() {
    let file = r#"{"id":"file-1","object":"file","bytes":9,"created_at":1,"filename":"calls.jsonl","purpose":"batch","status":"processed"}"#;
    let (begun, ended) = (batch("validating"), batch("completed"));
    let provider = Provider::script(&[(JSON, file), (JSON, &begun), (JSON, &ended)]);
    let line = r#"{"custom_id":"a","method":"POST","url":"/invoke/m","body":{}}"#;
    let desk = Desk::new().file("calls.jsonl", &format!("\n{line}\n"));
    let desk = desk.variable("MODELYARD_URL", &provider.url);
    let outcome = desk.run(&["batch", "submit", "calls.jsonl", "--window", "2h", "--wait"]);
    assert_eq!((outcome.status, outcome.err.as_str()), (Some(0), ""));
    assert!(outcome.out.contains("\"status\": \"completed\""), "{}", outcome.out);

    let upload = provider.request();
    assert_eq!(upload.line, "POST /v1/files HTTP/1.1");
    assert!(upload.body.contains(line) && upload.body.contains("filename=\"calls.jsonl\""));
    let asked: serde_json::Value = serde_json::from_str(&provider.request().body).unwrap();
    let expected = serde_json::json!({
        "input_file_id": "file-1", "endpoint": "/invoke/m", "completion_window": "2h",
    });
    assert_eq!(asked, expected);
    assert_eq!(provider.request().line, format!("GET /v1/batches/{BATCH} HTTP/1.1"));
}

#[test]
fn results_are_printed_as_they_came_once_there_are_any() {
    let ended = batch("completed");
    let provider = Provider::script(&[(JSON, &ended), ("200 OK", "{\"a\": 1}\n")]);
    let outcome = run(&provider, &["batch", "results", BATCH]);
    assert_eq!((outcome.status, outcome.out.as_str()), (Some(0), "{\"a\": 1}\n"));
    provider.request();
    assert_eq!(provider.request().line, "GET /v1/files/file-2/content HTTP/1.1");

    let running = batch("in_progress");
    let provider = Provider::script(&[(JSON, &running)]);
    let outcome = run(&provider, &["batch", "results", BATCH]);
    assert_eq!(outcome.status, Some(1));
    assert!(outcome.err.contains("is in_progress; it has no results yet"), "{}", outcome.err);
}

#[test]
fn a_refusal_of_the_openai_routes_is_told_in_its_words_too() {
    let refused = r#"{"error":{"message":"no batch by the id x","type":"invalid_request_error","param":null,"code":"batch_not_found"}}"#;
    let provider = Provider::script(&[("404 Not Found\r\nx-request-id: r-7", refused)]);
    let outcome = run(&provider, &["batch", "get", "x"]);
    assert_eq!(outcome.status, Some(1));
    let expected = "error: no batch by the id x\n\
        hint: batch_not_found (404); the server's log knows it as request r-7\n";
    assert_eq!(outcome.err, expected);
}
