//! What a client may get wrong. Each is answered with the one body of errors, and the server goes on.

use api::Body;
use bytes::Bytes;
use futures_util::stream;
use http::Method;
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{ask::Ask, puppet::puppets, yard::Yard};

const UNKNOWN: &str = "0198c0de-0000-7000-8000-000000000000";

/// Sends each request and compares code and detail; `…` at the end of a detail stands for the rest.
async fn check(yard: &Yard, table: Vec<(Ask, &str, &str)>) {
    for (asked, code, detail) in table {
        let (told_code, told) = asked.send().await.refusal().await;
        let fits = match detail.strip_suffix('…') {
            Some(begin) => told.starts_with(begin),
            None => told == detail,
        };
        assert!(told_code == code && fits, "{told_code}: {told}\ninstead of {code}: {detail}");
    }
    let alive = yard.post("/invoke/local-echo").json("{}").send().await;
    assert_eq!(alive.status, 200, "the server goes on");
}

#[tokio::test]
async fn a_body_that_is_not_what_the_model_takes() {
    let yard = Yard::open("").await;
    let echo = || yard.post("/invoke/local-echo");
    check(
        &yard,
        vec![
            (
                echo().json(r#"{"text": }"#),
                "invalid_json",
                "the body is not valid JSON: expected value at line 1 column 10",
            ),
            (echo().json("{} {}"), "invalid_json", "the body is not valid JSON: trailing…"),
            (echo().json("{'a': 1}"), "invalid_json", "the body is not valid JSON: key must…"),
            (echo().json(&"[".repeat(200_000)), "invalid_json", "the body is not valid JSON: …"),
            (
                echo().json(""),
                "invalid_json",
                "the body is empty; send a JSON value, for example {}",
            ),
            (echo(), "invalid_json", "the body is empty; send a JSON value, for example {}"),
            (
                echo()
                    .header("content-type", "application/json")
                    .body(Body::full(&b"\"\xff\""[..])),
                "invalid_json",
                "the body is not valid JSON: …",
            ),
            (echo().json("[1, 2]"), "invalid_input", "the body must be a JSON object"),
            (
                echo().header("content-type", "text/plain").body(Body::full("hello")),
                "unsupported_media_type",
                "send `content-type: application/json`, not `text/plain`",
            ),
            (
                yard.post("/tasks/local-echo").json("{"),
                "invalid_json",
                "the body is not valid JSON: …",
            ),
            (yard.post("/tasks/local-echo"), "invalid_json", "the body is empty; …"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_name_that_nobody_has() {
    let yard = Yard::open("").await;
    let near = "model local-ecko not found; did you mean local-echo?";
    check(
        &yard,
        vec![
            (yard.post("/invoke/local-ecko").json("{}"), "model_not_found", near),
            (yard.get("/invoke/local-ecko/raw"), "model_not_found", near),
            (yard.post("/tasks/local-ecko").json("{}"), "model_not_found", near),
            (yard.post("/invoke/zzz").json("{}"), "model_not_found", "model zzz not found"),
            (yard.post("/invoke/a%20b").json("{}"), "model_not_found", "model a b not found"),
            (
                yard.get(&format!("/tasks/{UNKNOWN}")),
                "task_not_found",
                "task 0198c0de-0000-7000-8000-000000000000 not found",
            ),
            (yard.get("/tasks/seven"), "task_not_found", "task seven not found"),
            (yard.post(&format!("/tasks/{UNKNOWN}/cancel")), "task_not_found", "task …"),
            (yard.post(&format!("/tasks/{UNKNOWN}/retry")), "task_not_found", "task …"),
            (yard.get(&format!("/tasks/{UNKNOWN}/events")), "task_not_found", "task …"),
            (yard.get("/nowhere"), "route_not_found", "nothing answers at /nowhere; see /docs"),
            (yard.get("/invoke"), "route_not_found", "nothing answers at /invoke; see /docs"),
            (yard.get("/internal/v1/workers"), "route_not_found", "nothing answers at …"),
            (yard.post("/invoke/local-echo/nowhere").json("{}"), "route_not_found", "…"),
            // Else anybody could end a worker.
            (yard.post("/invoke/local-echo/-/drain"), "route_not_found", "what is below /-/ …"),
            (yard.post("/invoke/local-echo//-/drain"), "route_not_found", "…"),
            (yard.post("/invoke/local-echo/%2D/drain"), "route_not_found", "…"),
            (yard.post("/invoke/local-echo/./-/drain"), "route_not_found", "…"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_method_that_a_path_does_not_take() {
    let yard = Yard::open("").await;
    for (method, path, allow) in [
        (Method::GET, "/invoke/local-echo", "POST"),
        (Method::DELETE, "/v1/models", "GET,HEAD"),
        (Method::PUT, "/tasks/x", "POST,GET,HEAD,DELETE"),
        (Method::GET, "/invoke/local-echo/echo", "POST"),
    ] {
        let answer = yard.ask(method.clone(), path).send().await;
        let mut told: Vec<_> =
            answer.header("allow").split(',').map(|m| m.trim().to_owned()).collect();
        let mut expected: Vec<_> = allow.split(',').map(str::to_owned).collect();
        told.sort();
        expected.sort();
        assert_eq!(told, expected, "{method} {path}");
        if path == "/v1/models" {
            assert_eq!(answer.status, 405);
        } else {
            assert_eq!(answer.refusal().await.0, "method_not_allowed", "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_header_that_cannot_be_read() {
    let yard = Yard::open("").await;
    let mut table = Vec::new();
    for path in ["/invoke/local-echo", "/invoke/local-echo/raw", "/tasks/local-echo"] {
        for (name, value, detail) in [
            (
                "x-deadline-ms",
                &b"soon"[..],
                "header x-deadline-ms must be a number of milliseconds: …",
            ),
            ("x-deadline-ms", b"-5", "header x-deadline-ms must be a number of milliseconds: …"),
            ("x-deadline-ms", b"", "header x-deadline-ms must be a number of milliseconds: …"),
            ("x-deadline-ms", b"99999999999999999999", "header x-deadline-ms must be a number …"),
            ("x-priority", b"urgent", "header x-priority must be low, normal or high: …"),
            ("x-priority", b"\xff", "header x-priority must be low, normal or high: it is not …"),
            ("x-tenant", b"a b", "header x-tenant must be a name: …"),
            ("x-request-id", b"a b", "header x-request-id cannot be used: …"),
            ("x-request-id", b"\xc3\xa9", "header x-request-id cannot be used: it is not …"),
            ("x-request-id", b"", "header x-request-id cannot be used: …"),
        ] {
            table.push((yard.post(path).header(name, value).json("{}"), "invalid_header", detail));
        }
    }
    let long = "k".repeat(256);
    for key in ["", &long] {
        let asked = yard.post("/tasks/local-echo").header("idempotency-key", key).json("{}");
        let detail = "header idempotency-key must have 1 to 255 characters";
        table.push((asked, "invalid_header", detail));
    }
    check(&yard, table).await;
}

#[tokio::test]
async fn a_query_that_cannot_be_read() {
    let yard = Yard::open("").await;
    let list = |query: &str| yard.get(&format!("/tasks?{query}"));
    let submit = |query: &str| yard.post(&format!("/tasks/local-echo?{query}")).json("{}");
    check(
        &yard,
        vec![
            (
                list("limit=0"),
                "invalid_query",
                "query parameter limit: it must be a number from 1 to 1000",
            ),
            (list("limit=1&limit=2"), "invalid_query", "query parameter limit is given twice"),
            (list("state=done"), "invalid_query", "query parameter state: it must be queued, …"),
            (list("model=a%20b"), "invalid_query", "query parameter model: …"),
            (list("cursor=zzz"), "invalid_query", "cursor `zzz` is not one that a page gave; …"),
            (list("page=2"), "invalid_query", "query parameter page is not known; known are: …"),
            (
                yard.get(&format!("/tasks/{UNKNOWN}?wait=long")),
                "invalid_query",
                "query parameter wait: it must be a number of seconds, 0 or more",
            ),
            (yard.get(&format!("/tasks/{UNKNOWN}?wait=NaN")), "invalid_query", "query …"),
            (submit("start_after=-1"), "invalid_query", "query parameter start_after: …"),
            (submit("route=%0A"), "invalid_query", "query parameter route: it must be a path…"),
            (
                submit("route=-/drain"),
                "invalid_query",
                "query parameter route: what is below /-/ …",
            ),
            (submit("rout=x"), "invalid_query", "query parameter rout is not known; …"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_however_it_is_sent() {
    let yard = Yard::open(&format!("server.body_mb_max = 1\n{}", puppets("puppet", ""))).await;
    let pieces = || {
        let piece = || Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![b' '; 100_000])));
        Body::stream(StreamBody::new(stream::iter((0..20).map(move |_| piece()))))
    };
    let whole = || Body::full(vec![b' '; 2_000_000]);
    let detail = "the body is larger than 1048576 bytes (server.body_mb_max)";
    let mut table = Vec::new();
    for path in ["/invoke/puppet", "/invoke/puppet/mirror", "/tasks/puppet"] {
        for body in [pieces(), whole()] {
            table.push((yard.post(path).body(body), "body_too_large", detail));
        }
    }
    check(&yard, table).await;
}

#[tokio::test]
async fn errors_below_v1_have_the_shape_that_clients_of_openai_read() {
    let yard = Yard::open("").await;
    for (asked, status, code, message) in [
        (
            yard.post("/v1/chat/completions").json(r#"{"model":"gpt"}"#),
            404,
            "model_not_found",
            "model gpt not found",
        ),
        (
            yard.post("/v1/embeddings").json("{}"),
            404,
            "model_not_found",
            "no model here can do `embeddings`; serve one with `modelyard serve FOLDER`, or name \
             one of GET /v1/models",
        ),
        (
            yard.post("/v1/embeddings").json("{"),
            400,
            "invalid_request",
            "Invalid JSON in request body: EOF while parsing an object at line 1 column 1",
        ),
        (
            yard.post("/v1/chat/completions").json(""),
            400,
            "invalid_request",
            "No request body provided.",
        ),
        (
            yard.post("/v1/chat/completions").json(r#"{"model":7}"#),
            400,
            "invalid_request",
            "Invalid request body: invalid type: integer `7`, expected a string at line 1 column 10",
        ),
        (yard.get("/v1/models/gpt"), 404, "model_not_found", "model gpt not found"),
    ] {
        let answer = asked.send().await;
        assert_eq!(answer.status, status);
        let told: serde_json::Value = serde_json::from_str(&answer.text().await).unwrap();
        let expected = json!({"error": {
            "message": message, "type": "invalid_request_error", "param": null, "code": code,
        }});
        assert_eq!(told, expected);
    }
}

#[tokio::test]
async fn bytes_that_are_no_request_end_only_their_own_connection() {
    let yard = Yard::open("").await;
    let flood = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(1_000_000));
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00\x01"[..], b"NONSENSE\r\n\r\n", flood.as_bytes()] {
        let mut stream = TcpStream::connect(yard.host()).await.unwrap();
        // The server may close before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let line = String::from_utf8_lossy(&answer[..answer.len().min(12)]).into_owned();
        assert!(line.is_empty() || line.starts_with("HTTP/1.1 4"), "{line}");
    }
    assert_eq!(yard.get("/healthz").send().await.status, 200);
}
