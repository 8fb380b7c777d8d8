//! Workers that die.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{
    process,
    puppet::puppets,
    yard::{Yard, eventually},
};

#[tokio::test]
async fn calls_that_wait_while_a_worker_is_killed_are_served_by_the_next_one() {
    let yard = Yard::open(&puppets("puppet", "worker_capacity = 1")).await;
    let send = |body: &Value| tokio::spawn(yard.post("/invoke/puppet").json(body).send());
    let running = send(&json!({"note": "running", "until": "never"}));
    let worker = yard.noted("begun", "running").await.pid;
    let waiting: Vec<_> = (0..4).map(|_| send(&json!({"note": "waiting"}))).collect();
    let queued = "modelyard_model_calls_queued{model=\"puppet\"}";
    eventually("a queue", async || (yard.metric(queued).await == 4.0).then_some(())).await;

    process::send(worker, Signal::SIGKILL);
    assert_eq!(running.await.unwrap().refusal().await.0, "worker_failed");
    for call in waiting {
        let answer = call.await.unwrap().json().await;
        assert_ne!(answer["result"]["pid"], worker);
    }
}

#[tokio::test]
async fn the_other_worker_goes_on_when_one_dies() {
    let yard = Yard::open(&puppets("puppet", "num_workers = 2\nworker_capacity = 1")).await;
    let send = |body: &Value| tokio::spawn(yard.post("/invoke/puppet").json(body).send());
    let first = send(&json!({"note": "first", "until": "go"}));
    let second = send(&json!({"note": "second", "until": "go"}));
    let (one, two) = (yard.noted("begun", "first").await, yard.noted("begun", "second").await);
    assert_ne!(one.pid, two.pid);
    process::send(one.pid, Signal::SIGKILL);
    assert_eq!(first.await.unwrap().status, 502);
    yard.signal("go");
    assert_eq!(second.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_worker_that_dies_again_and_again_makes_its_model_fail_with_the_last_error() {
    let broken = "[models.broken]\nkind = 'command'\n\
        command = ['sh', '-c', 'echo ValueError: no weights >&2; exit 3']\n";
    let yard = Yard::open(&format!("{broken}{}", puppets("puppet", ""))).await;
    let reason = eventually("a model that fails", async || {
        let model = yard.model("broken").await;
        (model["status"] == "failing").then(|| model["reason"].as_str().unwrap().to_owned())
    })
    .await;
    let expected =
        "its worker failed 3 times in a row; the last time: exit code 3: ValueError: no weights";
    assert_eq!(reason, expected);
    let problem = yard.post("/invoke/broken").json("{}").send().await.problem().await;
    let detail = format!("model broken is unavailable: {expected}");
    assert_eq!((problem.code.as_str(), problem.detail), ("model_unavailable", detail));
    assert!(problem.retry_after.is_some());

    for model in ["puppet", "local-echo"] {
        assert_eq!(yard.post(&format!("/invoke/{model}")).json("{}").send().await.status, 200);
    }
    let health = yard.get("/health").send().await.json().await;
    assert_eq!(
        (&health["status"], &health["checks"]["models"]["broken"]["reason"]),
        (&json!("degraded"), &json!(expected))
    );
}

#[tokio::test]
async fn a_worker_that_says_that_it_never_will_start_is_started_once() {
    let broken = "[models.broken]\nkind = 'command'\n\
        command = ['sh', '-c', 'echo x >> starts; echo error: no such architecture >&2; exit 78']\n\
        [models.poor]\nkind = 'command'\n\
        command = ['sh', '-c', 'echo error: too little memory >&2; exit 75']\n";
    let yard = Yard::open(broken).await;
    let words = "its worker cannot start, and is not tried again before the server or its \
                 configuration is loaded anew: exit code 78: error: no such architecture";
    for (model, reason) in [("broken", words), ("poor", "exit code 75: error: too little memory")] {
        // The first failure has ended the first load, and so it is told when the server is ready.
        let card = yard.model(model).await;
        assert_eq!(
            (card["status"].as_str(), card["reason"].as_str()),
            (Some("failing"), Some(reason))
        );
        let (code, detail) =
            yard.post(&format!("/invoke/{model}")).json("{}").send().await.refusal().await;
        assert_eq!(
            (code.as_str(), detail.contains(reason)),
            ("model_unavailable", true),
            "{detail}"
        );
    }
    // Longer than the wait after a first failure.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(std::fs::read_to_string(yard.path().join("starts")).unwrap(), "x\n");
}

#[tokio::test]
async fn calls_that_wait_for_a_model_that_turns_out_to_be_broken_are_told_so() {
    let broken = "[models.broken]\nkind = 'command'\n\
        command = ['sh', '-c', 'while [ ! -e go ]; do sleep 0.01; done; exit 1']\n";
    let yard = Yard::unready(crate::desk::Desk::new(), broken).await;
    let waiting = tokio::spawn(yard.post("/invoke/broken").json("{}").send());
    let queued = "modelyard_model_calls_queued{model=\"broken\"}";
    eventually("a queue", async || (yard.metric(queued).await == 1.0).then_some(())).await;
    assert_eq!(yard.get("/health/ready").send().await.status, 503);
    yard.signal("go");
    let (code, detail) = waiting.await.unwrap().refusal().await;
    assert_eq!(code, "model_unavailable");
    assert!(detail.contains("exit code 1, without a word"), "{detail}");
    assert_eq!(yard.get("/health/ready").send().await.status, 200);
}

#[tokio::test]
async fn what_cannot_be_started_says_what_is_missing() {
    let config = "[models.absent]\nkind = 'command'\ncommand = ['/no/such/program']\n\
        [models.snake]\nimplementation = 'app.py:Snake'\npython = '/no/such/python'\n\
        [models.nowhere]\nkind = 'command'\ncommand = ['sleep', '9']\nworkdir = '/no/such/folder'\n\
        [models.greedy]\nkind = 'command'\ncommand = ['sleep', '9']\nnum_gpus = 64\n";
    let yard = Yard::open(config).await;
    for (model, words) in [
        ("absent", "could not run /no/such/program"),
        (
            "snake",
            "no Python with the package `modelyard` was found: tried /no/such/python (not found)",
        ),
        ("nowhere", "the working directory /no/such/folder does not exist"),
        ("greedy", "it asks for 64 GPU"),
    ] {
        let card = yard.model(model).await;
        assert_eq!(card["status"], "failing", "{card}");
        assert!(card["reason"].as_str().unwrap().contains(words), "{card}");
    }
}
