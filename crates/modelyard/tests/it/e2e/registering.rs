//! Workers of the IEOPS SDK register by themselves.

use std::{sync::Arc, time::Duration};

use api::worker::{Address, Route, RouteKind};
use http::Method;
use serde_json::{Value, json};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use worker::{
    Worker,
    ieops::{Registration, Vitals, keep_registered},
    json_handler,
};

use super::{
    guest::{Guest, PROXY, proxy, register, replicas},
    yard::{Yard, eventually},
};

const WORK: &str = "/invoke/guests/v1/work";

/// Clears the yard's folder, until that ends somebody: a guest listens a moment longer than it is
/// held. Returns how many.
async fn cleared(yard: &Yard) -> u64 {
    let folder = json!({"socket_dir": yard.path()});
    eventually("the end of a worker", async || {
        let told = proxy(yard, "/api/model/unregister", &folder).await.json().await;
        told["data"]["unregistered"].as_u64().filter(|count| *count > 0)
    })
    .await
}

#[tokio::test]
async fn a_registered_worker_is_a_model_with_all_its_routes() {
    let yard = Yard::open(PROXY).await;
    let guest = Guest::at(&yard, "one");
    guest.joins(&yard, json!({})).await;

    let wrapped = yard.post("/invoke/guests").json(&json!({"n": 1})).send().await.json().await;
    assert_eq!(wrapped["result"], json!({"by": "one", "got": {"n": 1}}));
    let routed = yard.post(WORK).json("[2]").send().await.json().await;
    assert_eq!(routed, json!({"by": "one", "got": [2]}));
    let events = yard.post("/invoke/guests/v1/events").json("{}").send().await.text().await;
    assert_eq!(events, "data: {\"n\": 1}\n\ndata: [DONE]\n\n");

    let card = yard.model("guests").await;
    assert_eq!((&card["kind"], &card["status"]), (&json!("ieops"), &json!("ready")));
    assert_eq!(card["routes"][0]["path"], "/v1/work");
}

#[tokio::test]
async fn a_task_runs_on_a_registered_worker() {
    let yard = Yard::open(PROXY).await;
    let guest = Guest::at(&yard, "one");
    guest.joins(&yard, json!({})).await;
    let accepted = yard.post("/tasks/guests").json("7").send().await.json().await;
    let id = accepted["task_id"].as_str().unwrap().to_owned();
    let result = eventually("the end of the task", async || yard.task(&id).await.result).await;
    assert_eq!(result.get(), r#"{"by":"one","got":7}"#);
}

#[tokio::test]
async fn a_worker_with_several_routes_has_no_default_and_the_error_lists_them() {
    let yard = Yard::open(PROXY).await;
    let guest = Guest::with(&yard, "one", &["/v1/work", "/v1/wait"]);
    guest.joins(&yard, json!({})).await;
    let (code, detail) = yard.post("/invoke/guests").json("{}").send().await.refusal().await;
    assert_eq!(code, "route_not_found");
    assert!(detail.contains("/v1/work, /v1/wait"), "{detail}");
    assert_eq!(yard.post(WORK).json("{}").send().await.status, 200);
}

#[tokio::test]
async fn calls_follow_the_weights() {
    let yard = Yard::open(PROXY).await;
    let (heavy, light) = (Guest::at(&yard, "heavy"), Guest::at(&yard, "light"));
    heavy.joins(&yard, json!({"weight": 3})).await;
    light.joins(&yard, json!({"weight": 1})).await;
    for _ in 0..40 {
        assert_eq!(yard.post(WORK).json("{}").send().await.status, 200);
    }
    assert_eq!((heavy.calls(), light.calls()), (30, 10));
}

#[tokio::test]
async fn a_worker_gets_no_more_calls_at_once_than_it_takes() {
    let yard = Yard::open(PROXY).await;
    let guest = Guest::with(&yard, "one", &["/v1/wait"]);
    guest.joins(&yard, json!({"max_concurrent_reqs": 2})).await;
    let asked = (0..5).map(|_| yard.post("/invoke/guests").json("{}").send());
    let answers = futures_util::future::join_all(asked);
    let opened = async {
        eventually("two calls", async || (guest.calls() == 2).then_some(())).await;
        guest.let_go(5);
    };
    let (answers, ()) = tokio::join!(answers, opened);
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!((guest.calls(), guest.most()), (5, 2));
}

#[tokio::test]
async fn a_worker_that_says_it_is_unwell_gets_no_calls_until_it_is_well() {
    let yard = Yard::open(PROXY).await;
    let (ill, well) = (Guest::at(&yard, "ill"), Guest::at(&yard, "well"));
    ill.joins(&yard, json!({})).await;
    well.joins(&yard, json!({})).await;
    register(&yard, &ill.beat(), json!({"status": "unhealthy"})).await;
    for _ in 0..6 {
        yard.post(WORK).json("{}").send().await;
    }
    assert_eq!((ill.calls(), well.calls()), (0, 6));
    register(&yard, &ill.beat(), json!({"status": "healthy"})).await;
    for _ in 0..6 {
        yard.post(WORK).json("{}").send().await;
    }
    assert_eq!((ill.calls(), well.calls()), (3, 9));
}

#[tokio::test]
async fn what_a_worker_holds_of_others_takes_room() {
    let yard = Yard::open(PROXY).await;
    let guest = Guest::with(&yard, "one", &["/v1/wait"]);
    guest.joins(&yard, json!({"max_concurrent_reqs": 4, "load": 0.5})).await;
    let asked = (0..6).map(|_| yard.post("/invoke/guests").json("{}").send());
    let answers = futures_util::future::join_all(asked);
    let opened = async {
        eventually("two calls", async || (guest.calls() == 2).then_some(())).await;
        guest.let_go(6);
    };
    tokio::join!(answers, opened);
    assert_eq!(guest.most(), 2, "half of its four places are taken by others");
}

#[tokio::test]
async fn what_a_worker_tells_of_itself_is_shown_and_what_it_used_is_counted_once() {
    let yard = Yard::open(PROXY).await;
    let guest = Guest::at(&yard, "one");
    guest
        .joins(&yard, json!({"load": 0.25, "metrics": ["# HELP x y", "seen{kind=\"a\"} 3"]}))
        .await;
    let text = yard.get("/metrics").send().await.text().await;
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(line("modelyard_worker_load{").ends_with(" 0.25"));
    assert!(line("seen{model=\"guests\",replica=").ends_with("kind=\"a\"} 3.0"));

    let used = json!({"usage_report": [
        {"request_id": "r1", "prompt_tokens": 7, "completion_tokens": 5, "request_count": 1},
    ]});
    for _ in 0..2 {
        register(&yard, &guest.beat(), used.clone()).await;
    }
    let tokens = "modelyard_usage_tokens_total{model=\"guests\",kind=\"prompt\"}";
    assert_eq!(yard.metric(tokens).await, 7.0);
    assert_eq!(yard.metric("modelyard_usage_requests_total{model=\"guests\"}").await, 1.0);
    proxy(&yard, "/api/model/unregister", &json!({"id": "one"})).await;
    assert!(!yard.get("/metrics").send().await.text().await.contains("seen{"));
}

#[tokio::test]
async fn a_worker_that_died_is_dropped_and_its_calls_go_elsewhere() {
    let yard = Yard::open(PROXY).await;
    let (dead, alive) = (Guest::at(&yard, "dead"), Guest::at(&yard, "alive"));
    dead.joins(&yard, json!({})).await;
    alive.joins(&yard, json!({})).await;
    let beat = dead.beat();
    drop(dead);
    for _ in 0..8 {
        assert_eq!(yard.post(WORK).json("{}").send().await.status, 200);
    }
    assert_eq!(alive.calls(), 8);
    eventually("its end", async || (replicas(&yard).await == 1).then_some(())).await;

    // It comes back as soon as it answers, and its next beat is no news then.
    let back = Guest::at(&yard, "dead");
    eventually("its return", async || (replicas(&yard).await == 2).then_some(())).await;
    assert_eq!(register(&yard, &beat, json!({})).await.status, 200);
    assert_eq!(replicas(&yard).await, 2);
    drop(back);
}

#[tokio::test]
async fn goodbyes_by_id_and_by_folder() {
    let yard = Yard::open(PROXY).await;
    let (one, two) = (Guest::at(&yard, "one"), Guest::at(&yard, "two"));
    one.joins(&yard, json!({})).await;
    two.joins(&yard, json!({})).await;
    let told = proxy(&yard, "/api/model/unregister", &json!({"id": "one"})).await.json().await;
    assert_eq!(told["data"], json!({"unregistered": 1}));
    assert_eq!(replicas(&yard).await, 1);
    drop(two);
    assert_eq!(cleared(&yard).await, 1);

    let (code, detail) = yard.post("/invoke/guests").json("{}").send().await.refusal().await;
    assert_eq!(code, "model_unavailable");
    assert!(detail.contains("no worker of it is registered"), "{detail}");
}

#[tokio::test]
async fn who_clears_the_folder_on_its_start_leaves_its_living_neighbours_alone() {
    let yard = Yard::open(PROXY).await;
    let (neighbour, before) = (Guest::at(&yard, "neighbour"), Guest::at(&yard, "before"));
    neighbour.joins(&yard, json!({})).await;
    before.joins(&yard, json!({})).await;
    drop(before);
    assert_eq!(cleared(&yard).await, 1);
    assert_eq!(replicas(&yard).await, 1);
    assert_eq!(yard.post(WORK).json("{}").send().await.status, 200);
    assert_eq!(neighbour.calls(), 1);
}

#[tokio::test]
async fn one_that_falls_silent_for_three_of_its_intervals_is_gone() {
    let yard = Yard::open(PROXY).await;
    let guest = Guest::at(&yard, "one");
    guest.joins(&yard, json!({})).await;
    sleep(Duration::from_secs(1)).await;
    let told = register(&yard, &guest.beat(), json!({})).await.json().await;
    let left = told["data"]["expires_in_seconds"].as_f64().unwrap();
    assert!((3.0..10.0).contains(&left), "three intervals of a second and a bit, not {left}");
    assert_eq!(replicas(&yard).await, 1);
    eventually("its end", async || (replicas(&yard).await == 0).then_some(())).await;
    guest.joins(&yard, json!({})).await;
}

#[tokio::test]
async fn a_restarted_server_learns_its_workers_from_their_next_beat() {
    let mut yard = Yard::open(PROXY).await;
    let guest = Guest::at(&yard, "one");
    guest.joins(&yard, json!({})).await;
    yard.send(nix::sys::signal::Signal::SIGKILL);
    yard.exit().await;
    yard.open_again().await;
    guest.joins(&yard, json!({})).await;
    assert_eq!(yard.post(WORK).json("{}").send().await.status, 200);
}

#[tokio::test]
async fn a_configured_model_keeps_its_settings_and_says_that_it_has_no_worker() {
    let config = format!("{PROXY}[models.guests]\nkind = 'ieops'\nqueue_max = 7\nversion = '9'\n");
    let yard = Yard::open(&config).await;
    let (code, _) = yard.post("/invoke/guests").json("{}").send().await.refusal().await;
    assert_eq!(code, "model_unavailable");
    let guest = Guest::at(&yard, "one");
    guest.joins(&yard, json!({})).await;
    assert_eq!(yard.model("guests").await["version"], "9");
    assert_eq!(yard.post("/invoke/guests").json("{}").send().await.status, 200);
}

#[tokio::test]
async fn a_worker_in_rust_registers_serves_and_says_goodbye() {
    let yard = Yard::open(PROXY).await;
    let double = json_handler(async |n: u32| Ok(n * 2));
    let route = Route::new(RouteKind::Api, "POST", "/double");
    let worker = Worker::builder("guests").route(route, Arc::new(double)).build().unwrap();
    let launch = worker.standalone(Address::Unix(yard.path().join("rust.sock")));
    let worker = worker.bind(launch).await.unwrap();
    let registration = Registration {
        proxy_socket: yard.path().join("proxy.sock"),
        id: "rust".into(),
        endpoint: "guests".into(),
        ..Registration::default()
    };
    let stop = CancellationToken::new();
    let address = worker.address().clone();
    let kept = keep_registered(registration, address, Vitals::default, stop.clone());
    let kept = tokio::spawn(kept);
    let serving = tokio::spawn(worker.run(CancellationToken::new()));
    eventually("a replica", async || (replicas(&yard).await == 1).then_some(())).await;

    let answer = yard.post("/invoke/guests").json("21").send().await.json().await;
    assert_eq!(answer["result"], 42);
    stop.cancel();
    kept.await.unwrap();
    assert_eq!(replicas(&yard).await, 0);
    serving.abort();
}

#[tokio::test]
async fn what_cannot_be_registered_is_refused_in_words() {
    let yard = Yard::open(PROXY).await;
    let good = json!({"id": "w", "server_socket": "/tmp/w.sock", "endpoint": "guests"});
    for (change, word) in [
        (json!({"endpoint": "local-echo"}), "another kind"),
        (json!({"endpoint": "a/b"}), "endpoint"),
        (json!({"server_socket": "w.sock"}), "server_socket"),
        (json!({"max_concurrent_reqs": "many"}), "max_concurrent_reqs"),
        (json!({"max_concurrent_reqs": 0}), "max_concurrent_reqs"),
        (json!({"id": null}), "id"),
    ] {
        let answer = register(&yard, &good, change).await;
        assert_eq!(answer.status, 400);
        let told: Value = serde_json::from_str(&answer.text().await).unwrap();
        assert_eq!(told["data"], Value::Null);
        assert!(told["message"].as_str().unwrap().contains(word), "{told}");
    }
    let empty = proxy(&yard, "/api/model/unregister", &json!({})).await;
    assert_eq!(empty.status, 400);
    assert_eq!(yard.get("/v1/models/guests").send().await.status, 404);
}

#[tokio::test]
async fn the_socket_is_for_the_user_and_the_group_and_registers_only() {
    use std::os::unix::fs::PermissionsExt;
    let yard = Yard::open(PROXY).await;
    let socket = yard.path().join("proxy.sock");
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let door = Address::Unix(socket);
    for path in ["/metrics", "/internal/v1/workers", "/invoke/local-echo"] {
        let asked = super::ask::Ask::new(&door, Method::POST, path).json("{}");
        assert_eq!(asked.send().await.status, 404, "{path}");
    }
    let asked = yard.post("/api/model/register").json("{}").send().await;
    assert_eq!(asked.status, 404, "clients cannot register");
}
