//! Nothing acknowledged is lost, whoever is killed.

use std::{collections::BTreeSet, time::Duration};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{puppet::puppets, yard::Yard};

async fn state(yard: &Yard, id: &str) -> Value {
    yard.get(&format!("/tasks/{id}?wait=30")).send().await.json().await["state"].clone()
}

async fn submit(yard: &Yard, body: &Value) -> String {
    let accepted = yard.post("/tasks/puppet").json(body).send().await.json().await;
    accepted["task_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_killed_server_loses_no_task_and_runs_no_finished_one_again() {
    let mut yard = Yard::open(&puppets("puppet", "max_concurrency = 2")).await;
    let mut finished = Vec::new();
    for number in 0..5 {
        let id = submit(&yard, &json!({"note": format!("finished-{number}")})).await;
        assert_eq!(state(&yard, &id).await, "completed");
        finished.push(id);
    }
    let mut open = Vec::new();
    for number in 0..20 {
        open.push(submit(&yard, &json!({"note": format!("open-{number}"), "until": "go"})).await);
    }
    yard.noted("begun", "open-0").await;
    yard.noted("begun", "open-1").await;

    yard.send(Signal::SIGKILL);
    yard.exit().await;
    let before = yard.diary().len();
    yard.signal("go");
    yard.open_again().await;
    for id in &open {
        assert_eq!(state(&yard, id).await, "completed");
    }
    for id in &finished {
        assert_eq!(state(&yard, id).await, "completed");
    }
    let after = &yard.diary()[before..];
    assert!(after.iter().all(|entry| entry.note.starts_with("open-")), "{after:?}");
    for number in 0..20 {
        let times =
            after.iter().filter(|e| e.word == "begun" && e.note == format!("open-{number}"));
        assert_eq!(times.count(), 1, "open-{number}");
    }
    let attempt = yard.task(&open[0]).await.attempt;
    assert_eq!(attempt, 2, "it ran when the server was killed");
}

#[tokio::test]
async fn what_was_answered_with_202_is_on_disk_however_the_server_dies_under_load() {
    let mut yard = Yard::open(&puppets("puppet", "max_concurrency = 4")).await;
    let mut acknowledged = BTreeSet::new();
    for round in 0..3 {
        let mut submitters = tokio::task::JoinSet::new();
        for submitter in 0..8 {
            let door = yard.address().clone();
            submitters.spawn(async move {
                let mut ids = Vec::new();
                for number in 0.. {
                    let body = json!({"note": format!("{round}.{submitter}.{number}")});
                    let asked = super::ask::Ask::new(&door, http::Method::POST, "/tasks/puppet");
                    match asked.json(&body).attempt().await {
                        Ok(answer) if answer.status == 202 => match answer.whole().await {
                            Ok(text) => ids.push(text),
                            Err(_) => break,
                        },
                        Ok(answer) => panic!("{}", answer.text().await),
                        Err(_) => break,
                    }
                }
                ids
            });
        }
        sleep(Duration::from_millis(300)).await;
        yard.send(Signal::SIGKILL);
        yard.exit().await;
        for text in submitters.join_all().await.into_iter().flatten() {
            let accepted: Value = serde_json::from_str(&text).unwrap();
            acknowledged.insert(accepted["task_id"].as_str().unwrap().to_owned());
        }
        yard.open_again().await;
    }
    assert!(acknowledged.len() > 30, "{}", acknowledged.len());
    for id in &acknowledged {
        assert_eq!(state(&yard, id).await, "completed");
    }
}

#[tokio::test]
async fn tasks_that_run_while_the_server_drains_finish_and_those_that_wait_stay() {
    let mut yard = Yard::open(&puppets("puppet", "max_concurrency = 1")).await;
    let running = submit(&yard, &json!({"note": "running", "until": "go"})).await;
    yard.noted("begun", "running").await;
    let waiting = submit(&yard, &json!({"note": "waiting"})).await;
    yard.send(Signal::SIGTERM);
    super::yard::eventually("a closed door", async || yard.get("/healthz").attempt().await.err())
        .await;
    yard.signal("go");
    assert_eq!(yard.exit().await.code(), Some(0));
    assert_eq!((yard.count("ended", "running"), yard.count("begun", "waiting")), (1, 0));

    yard.open_again().await;
    assert_eq!(state(&yard, &waiting).await, "completed");
    assert_eq!(yard.task(&running).await.attempt, 1);
    assert_eq!(yard.count("begun", "running"), 1);
}

#[tokio::test]
async fn a_task_that_outlasts_the_grace_is_put_back_and_costs_no_attempt_of_its_own() {
    let config = format!("server.drain_seconds = 0.3\n{}", puppets("puppet", ""));
    let mut yard = Yard::open(&config).await;
    let id = submit(&yard, &json!({"note": "a", "until": "go"})).await;
    yard.noted("begun", "a").await;
    yard.send(Signal::SIGTERM);
    assert_eq!(yard.exit().await.code(), Some(0));
    yard.signal("go");
    yard.open_again().await;
    assert_eq!(state(&yard, &id).await, "completed");
    assert_eq!(yard.count("begun", "a"), 2);
}

#[tokio::test]
async fn a_task_of_a_worker_that_is_lost_is_tried_on_another() {
    let quick = "workers.heartbeat_seconds = 0.2\nworkers.lease_seconds = 0.6\n";
    let config = puppets("puppet", "retry = {backoff_ms = 20}\ntimeout_seconds = 30");
    let yard = Yard::open(&format!("{quick}{config}")).await;
    let id = submit(&yard, &json!({"note": "a", "until": "go"})).await;
    let worker = yard.noted("begun", "a").await.pid;
    super::process::freeze(worker);
    yard.signal("go");
    assert_eq!(state(&yard, &id).await, "completed");
    let runs = yard.diary().into_iter().filter(|entry| entry.word == "ended");
    assert_eq!(runs.map(|entry| entry.pid == worker).collect::<Vec<_>>(), [false]);
}

#[tokio::test]
async fn a_key_means_the_same_task_after_a_crash_too() {
    let mut yard = Yard::open(&puppets("puppet", "")).await;
    let send = async |yard: &Yard| {
        let asked = yard.post("/tasks/puppet").header("idempotency-key", "order-17");
        asked.json(&json!({"note": "a"})).send().await.json().await["task_id"].clone()
    };
    let id = send(&yard).await;
    assert_eq!(state(&yard, id.as_str().unwrap()).await, "completed");
    yard.send(Signal::SIGKILL);
    yard.exit().await;
    yard.open_again().await;
    assert_eq!(send(&yard).await, id);
    assert_eq!(yard.count("begun", "a"), 1);
}

#[tokio::test]
async fn every_task_ends_once_whatever_is_killed_meanwhile() {
    let limits =
        "num_workers = 2\nmax_concurrency = 4\nretry = {attempts_max = 9, backoff_ms = 10}";
    let mut yard = Yard::open(&puppets("puppet", limits)).await;
    let mut ids = Vec::new();
    for number in 0..60 {
        let (note, gate) = (format!("task-{number}"), format!("gate-{}", number / 30));
        ids.push(submit(&yard, &json!({"note": note, "sleep_ms": 40, "until": gate})).await);
    }
    for gate in ["gate-0", "gate-1"] {
        let seen = yard.diary().len();
        yard.signal(gate);
        let begun = super::yard::eventually("work", async || {
            yard.diary()[seen..].iter().find(|entry| entry.word == "begun").cloned()
        })
        .await;
        if super::process::runs(begun.pid) {
            super::process::send(begun.pid, Signal::SIGKILL);
        }
        sleep(Duration::from_millis(150)).await;
        yard.send(Signal::SIGKILL);
        yard.exit().await;
        yard.open_again().await;
    }
    for id in &ids {
        assert_eq!(state(&yard, id).await, "completed");
    }
    let done = yard.diary();
    for number in 0..60 {
        let note = format!("task-{number}");
        let ended = done.iter().filter(|entry| entry.word == "ended" && entry.note == note);
        // One that ended just before its server was killed had not been written down yet.
        assert!((1..=3).contains(&ended.count()), "{note}");
    }
    let twice = (0..60).filter(|number| {
        let note = format!("task-{number}");
        done.iter().filter(|entry| entry.word == "ended" && entry.note == note).count() > 1
    });
    assert!(twice.count() <= 2 * 4, "no more than ran when a server was killed");
    yard.send(Signal::SIGTERM);
    assert_eq!(yard.exit().await.code(), Some(0));
    yard.open_again().await;
    assert_eq!(state(&yard, &submit(&yard, &json!({"note": "last"})).await).await, "completed");
    let after = yard.diary().split_off(done.len());
    assert!(after.iter().all(|entry| entry.note == "last"), "{after:?}");
}
