//! Calls that are answered at once.

use api::Body;
use bytes::Bytes;
use futures_util::stream;
use http::Method;
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::{Value, json};
use types::TaskId;

use super::{puppet::puppets, yard::Yard};

#[tokio::test]
async fn the_body_of_the_document_comes_back_nested_as_it_was() {
    let yard = Yard::open("").await;
    let body = json!({"payload": {"text": "hello"}});
    let answer = yard.post("/invoke/local-echo").json(&body).send().await;
    let id = answer.header("x-task-id");
    assert!(id.parse::<TaskId>().is_ok(), "{id}");
    let expected = json!({"task_id": id, "result": {"model": "local-echo", "echo": body}});
    assert_eq!(answer.json().await, expected);
}

#[tokio::test]
async fn json_passes_verbatim_whatever_a_parser_would_make_of_it() {
    let yard = Yard::open("").await;
    let body = concat!(
        r#"{ "b":1.50, "a" : 1E400,"long":123456789012345678901234567890, "#,
        r#""text":"é\u0041\ud83d\ude00 \/", "b":-0,"#,
        "\n\t\"none\":null , \"deep\":[[[]]]}"
    );
    let text = yard.post("/invoke/local-echo").json(body).send().await.text().await;
    assert!(text.ends_with(&format!(r#","result":{{"model":"local-echo","echo":{body}}}}}"#)));
}

#[tokio::test]
async fn what_is_not_json_passes_raw_in_both_directions_with_its_id_in_a_header() {
    let config = puppets("camera", "metadata = {default_route = '/picture'}");
    let yard = Yard::open(&config).await;
    let pixels: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let asked = yard.post("/invoke/camera").header("content-type", "image/x-raw");
    let answer = asked.body(Body::full(pixels.clone())).send().await;
    assert_eq!((answer.status, answer.header("content-type").as_str()), (200, "image/png"));
    assert_eq!(answer.header("x-was"), "image/x-raw");
    let id = answer.header("x-task-id");
    assert!(answer.bytes().await == pixels);
    let record = yard.task(&id).await;
    assert_eq!((record.model.as_str(), record.status.as_str()), ("camera", "completed"));
}

#[tokio::test]
async fn the_record_of_a_call_can_be_read_afterwards() {
    let yard = Yard::open(&puppets("puppet", "")).await;
    let body = json!({"note": "a", "fail": "no luck"});
    for (path, body, status) in
        [("/invoke/local-echo", json!({"n": 1}), "completed"), ("/invoke/puppet", body, "failed")]
    {
        let answer = yard.post(path).json(&body).send().await;
        let id = answer.header("x-task-id");
        let said: Value = serde_json::from_str(&answer.text().await).unwrap();
        let record = yard.get(&format!("/tasks/{id}")).send().await.json().await;
        assert_eq!(record["task_id"], json!(id));
        assert_eq!((&record["payload"], &record["status"]), (&body, &json!(status)));
        let result = if status == "completed" {
            said["result"].clone()
        } else {
            json!({"error": "no luck"})
        };
        assert_eq!(record["result"], result);
        assert!(record["ts"].as_str().unwrap().parse::<f64>().unwrap() > 1.7e9, "{record}");
    }
}

#[tokio::test]
async fn a_named_route_gets_method_query_headers_and_body_untouched() {
    let yard = Yard::open(&puppets("puppet", "")).await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"] {
        let asked = yard
            .ask(method.parse::<Method>().unwrap(), "/invoke/puppet/mirror?q=%2F%20+&q=&r#x")
            .header("x-mine", "kept")
            .header("cookie", "a=1");
        let body = if matches!(method, "GET" | "OPTIONS") { "" } else { "body: ü" };
        let seen = asked.body(Body::full(body)).send().await.json().await;
        assert_eq!(seen["method"], method);
        assert_eq!(seen["target"], "/mirror?q=%2F%20+&q=&r");
        assert_eq!(seen["body"], body);
        assert_eq!(
            (&seen["headers"]["x-mine"], &seen["headers"]["cookie"]),
            (&json!("kept"), &json!("a=1"))
        );
    }
    let head = yard.ask(Method::HEAD, "/invoke/puppet/mirror").send().await;
    assert_eq!((head.status, head.bytes().await.len()), (200, 0));
}

#[tokio::test]
async fn a_body_that_comes_in_pieces_reaches_the_route_whole() {
    let yard = Yard::open(&puppets("puppet", "")).await;
    // Beyond what is read before it is sent on: the body is streamed through.
    let pieces =
        (0..40).map(|_| Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![b'x'; 10_000]))));
    let body = Body::stream(StreamBody::new(stream::iter(pieces)));
    let seen = yard.ask(Method::PUT, "/invoke/puppet/mirror").body(body).send().await.json().await;
    assert_eq!(seen["body"].as_str().unwrap().len(), 400_000);
}

#[tokio::test]
async fn a_request_id_is_kept_or_made_and_reaches_the_worker() {
    let yard = Yard::open(&puppets("puppet", "")).await;
    let given =
        yard.post("/invoke/puppet").header("x-request-id", "mine/1").json("{}").send().await;
    assert_eq!(given.header("x-request-id"), "mine/1");
    assert_eq!(given.json().await["result"]["headers"]["x-request-id"], "mine/1");
    let made = yard.post("/invoke/puppet").json("{}").send().await;
    let id = made.header("x-request-id");
    assert_eq!(id.len(), 32);
    assert_eq!(made.json().await["result"]["headers"]["x-request-id"], id);
}

#[tokio::test]
async fn a_worker_is_told_the_time_that_is_left_the_class_and_the_tenant() {
    let yard = Yard::open(&puppets("puppet", "timeout_seconds = 7")).await;
    let told = async |asked: super::ask::Ask| {
        let answer = asked.json("{}").send().await.json().await;
        answer["result"]["headers"].clone()
    };
    let left = |told: &Value| told["x-deadline-ms"].as_str().unwrap().parse::<u64>().unwrap();

    let plain = told(yard.post("/invoke/puppet")).await;
    assert!((1..=7000).contains(&left(&plain)), "{plain}");
    assert_eq!((&plain["x-priority"], &plain["x-tenant"]), (&json!("normal"), &json!("default")));

    let asked = yard.post("/invoke/puppet").header("x-deadline-ms", "3000");
    let asked = asked.header("x-priority", "high").header("x-tenant", "shop");
    let special = told(asked.header("traceparent", "00-1-2-01")).await;
    assert!((1..=3000).contains(&left(&special)), "{special}");
    assert_eq!((&special["x-priority"], &special["x-tenant"]), (&json!("high"), &json!("shop")));
    assert_eq!(special["traceparent"], "00-1-2-01");

    let patient = told(yard.post("/invoke/puppet").header("x-deadline-ms", "99999999")).await;
    assert!(left(&patient) <= 7000, "the model's own timeout holds: {patient}");
}
