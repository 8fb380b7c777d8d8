//! What an operator sees.

use std::fs;

use api::worker::Address;
use http::Method;
use serde_json::{Value, json};

use super::{ask::Ask, puppet::puppets, yard::Yard};
use crate::desk::Desk;

#[tokio::test]
async fn health_has_every_field_that_a_client_looks_for() {
    let yard = Yard::open("").await;
    for path in ["/health", "/health/ready", "/health/live"] {
        let health = yard.get(path).send().await.json().await;
        assert!(health["status"].is_string() && health["checks"].is_object(), "{path}: {health}");
        assert_eq!(health["service"], "modelyard");
        assert!(health["time"].as_u64().unwrap() > 1_700_000_000);
        assert!(health["timestamp"].as_str().unwrap().ends_with('Z'));
        assert!(health["uptime"].as_f64().unwrap() >= 0.0 && health["version"].is_string());
    }
    assert_eq!(yard.get("/healthz").send().await.json().await, json!({"status": "ok"}));
}

#[tokio::test]
async fn every_model_of_the_registry_is_listed_with_what_it_can_do_or_why_not() {
    let config = format!("[models.off]\nkind = 'http'\nenabled = false\n{}", puppets("puppet", ""));
    let yard = Yard::open(&config).await;
    let list = yard.get("/v1/models").send().await.json().await;
    let cards = list["data"].as_array().unwrap();
    let shown =
        |card: &Value| (card["id"].clone(), card["status"].clone(), card["replicas"].clone());
    assert_eq!(
        cards.iter().map(shown).collect::<Vec<_>>(),
        [
            (json!("local-echo"), json!("ready"), json!(1)),
            (json!("off"), json!("disabled"), json!(0)),
            (json!("puppet"), json!("ready"), json!(1)),
        ]
    );
    assert!(cards[1]["reason"].as_str().unwrap().contains("enabled = true"));
    assert!(cards[0]["capabilities"].is_array());
    let routes = cards[2]["routes"].as_array().unwrap().iter().map(|route| route["path"].clone());
    assert_eq!(routes.collect::<Vec<_>>(), ["/act", "/stream", "/mirror", "/picture", "/socket"]);
    let refused = yard.post("/invoke/off").json("{}").send().await.refusal().await;
    assert_eq!(refused.0, "model_unavailable");
}

#[tokio::test]
async fn numbers_pages_and_the_description_are_served() {
    let yard = Yard::open("").await;
    yard.post("/invoke/local-echo").json("{}").send().await.json().await;
    let metrics = yard.get("/metrics").send().await.text().await;
    let counted = "modelyard_model_calls_total{model=\"local-echo\",outcome=\"completed\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    assert!(metrics.contains("modelyard_model_call_duration_seconds_bucket{"), "{metrics}");
    let document = yard.get("/openapi.json").send().await.json().await;
    assert!(document["paths"]["/tasks/{id}"]["get"].is_object());
    for (path, kind) in [("/docs", "text/html; charset=utf-8"), ("/", "application/json")] {
        let page = yard.get(path).send().await;
        assert_eq!((page.status, page.header("content-type").as_str()), (200, kind), "{path}");
    }
}

#[tokio::test]
async fn each_request_leaves_one_line_with_its_id_also_as_json_and_in_the_file() {
    let config = "log.format = 'json'\nlog.file = 'server.log'\n";
    let mut yard = Yard::unready(Desk::new(), config).await;
    super::yard::eventually("readiness", async || {
        (yard.get("/health/ready").send().await.status == 200).then_some(())
    })
    .await;
    let asked = yard.post("/invoke/local-ecko").header("x-request-id", "look-for-me");
    assert_eq!(asked.json("{}").send().await.status, 404);
    yard.send(nix::sys::signal::Signal::SIGTERM);
    yard.exit().await;
    let text = fs::read_to_string(yard.path().join("server.log")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ours: Vec<_> = lines.iter().filter(|line| line["request_id"] == "look-for-me").collect();
    assert_eq!(ours.len(), 1, "{ours:?}");
    assert_eq!((&ours[0]["status"], &ours[0]["path"]), (&json!(404), &json!("/invoke/local-ecko")));
    let of_workers = lines.iter().filter(|line| line["model"] == "local-echo");
    assert!(of_workers.count() > 0, "what workers print is in the log");
}

#[tokio::test]
async fn several_doors_lead_to_the_same_server() {
    let config = "server.listen = ['127.0.0.1:0', 'unix:door.sock']\n";
    let mut yard = Yard::open(config).await;
    let door = Address::Unix(yard.path().join("door.sock"));
    let call = || Ask::new(&door, Method::POST, "/invoke/local-echo").json("{}").send();
    let id = call().await.header("x-task-id");
    assert_eq!(yard.task(&id).await.model.as_str(), "local-echo");

    // A server that was killed leaves its socket behind.
    yard.send(nix::sys::signal::Signal::SIGKILL);
    yard.exit().await;
    assert!(yard.path().join("door.sock").exists());
    yard.open_again().await;
    assert_eq!(call().await.status, 200);
}

#[tokio::test]
async fn a_folder_of_pages_wins_over_the_built_in_one_and_never_over_a_route() {
    let desk = Desk::new();
    fs::create_dir(desk.path().join("pages")).unwrap();
    let desk = desk.file("pages/index.html", "<h1>ours</h1>").file("pages/healthz", "not this");
    let yard = Yard::at(desk, "server.static_dir = 'pages'\n").await;
    assert_eq!(yard.get("/").send().await.text().await, "<h1>ours</h1>");
    assert_eq!(yard.get("/healthz").send().await.json().await, json!({"status": "ok"}));
    let (code, _) = yard.get("/../modelyard.toml").send().await.refusal().await;
    assert_eq!(code, "route_not_found");
}

#[tokio::test]
async fn pages_of_other_origins_may_call_if_the_operator_says_so() {
    let yard = Yard::open("server.cors_origins = ['https://app.example']\n").await;
    let preflight = |origin: &str| {
        let asked = yard.ask(Method::OPTIONS, "/invoke/local-echo").header("origin", origin);
        let asked = asked.header("access-control-request-method", "POST");
        asked.header("access-control-request-headers", "content-type,x-deadline-ms").send()
    };
    let allowed = preflight("https://app.example").await;
    assert_eq!(allowed.status, 200);
    assert_eq!(allowed.header("access-control-allow-origin"), "https://app.example");
    let other = preflight("https://evil.example").await;
    assert_eq!(other.header("access-control-allow-origin"), "");
    let call = yard.post("/invoke/local-echo").header("origin", "https://app.example");
    let answer = call.json("{}").send().await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example");
}
