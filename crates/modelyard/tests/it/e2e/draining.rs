//! How a server ends: in good order when asked to, and without leaving anything behind when not.

use std::{
    fs,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use nix::sys::signal::Signal;
use serde_json::json;

use super::{
    process,
    puppet::puppets,
    yard::{Yard, eventually},
};
use crate::desk::Desk;

#[tokio::test]
async fn what_runs_or_waits_is_finished_and_nothing_new_is_taken() {
    let mut yard = Yard::at(with_run_dir(), &puppets("puppet", "worker_capacity = 2")).await;
    let send = |note| {
        let body = json!({"note": note, "until": "go"});
        tokio::spawn(yard.post("/invoke/puppet").json(&body).send())
    };
    let calls = [send("a"), send("b"), send("c")];
    yard.noted("begun", "a").await;
    let mut stream = yard
        .post("/invoke/local-echo/stream")
        .json(&json!({"text": "on and on", "interval_ms": 400}))
        .send()
        .await;
    stream.piece().await.unwrap().unwrap();
    let queued = "modelyard_model_calls_queued{model=\"puppet\"}";
    eventually("one that waits", async || (yard.metric(queued).await == 1.0).then_some(())).await;
    let workers = process::children(yard.pid());
    assert_eq!(workers.len(), 2);

    yard.send(Signal::SIGTERM);
    eventually("a closed door", async || yard.get("/healthz").attempt().await.err()).await;
    yard.signal("go");
    for call in calls {
        assert_eq!(call.await.unwrap().status, 200);
    }
    while stream.piece().await.unwrap().is_some() {}
    assert_eq!(yard.exit().await.code(), Some(0));
    assert!(workers.iter().all(|worker| !process::runs(*worker)));
    assert_eq!(fs::read_dir(yard.path().join("run")).unwrap().count(), 0, "no socket is left");
}

/// A desk where the sockets of a server lie within its folder.
fn with_run_dir() -> Desk {
    let desk = Desk::new();
    let run = desk.path().join("run");
    fs::create_dir(&run).unwrap();
    desk.variable("XDG_RUNTIME_DIR", run.display().to_string())
}

#[tokio::test]
async fn what_does_not_end_within_the_grace_is_cut_off() {
    let config = format!("server.drain_seconds = 0.5\n{}", puppets("puppet", ""));
    let mut yard = Yard::open(&config).await;
    let body = json!({"note": "a", "until": "never"});
    let call = tokio::spawn(yard.post("/invoke/puppet").json(&body).attempt());
    let worker = yard.noted("begun", "a").await.pid;
    let begun = Instant::now();
    yard.send(Signal::SIGTERM);
    assert_eq!(yard.exit().await.code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(call.await.unwrap().is_err());
    assert!(!process::runs(worker));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut yard = Yard::open(&puppets("puppet", "")).await;
    let body = json!({"note": "a", "until": "never"});
    let call = tokio::spawn(yard.post("/invoke/puppet").json(&body).attempt());
    let worker = yard.noted("begun", "a").await.pid;
    yard.send(Signal::SIGTERM);
    eventually("a closed door", async || yard.get("/healthz").attempt().await.err()).await;
    yard.send(Signal::SIGTERM);
    yard.exit().await;
    // It may still hear that its worker was ended before it.
    let cut_off = call.await.unwrap();
    assert!(cut_off.is_err() || cut_off.is_ok_and(|answer| answer.status == 502));
    eventually("the end of the worker", async || (!process::runs(worker)).then_some(())).await;
}

#[tokio::test]
async fn no_worker_outlives_a_server_that_is_killed() {
    let mut yard = Yard::open(&puppets("puppet", "num_workers = 2")).await;
    let body = json!({"note": "a", "deaf_ms": 600_000});
    let call = tokio::spawn(yard.post("/invoke/puppet").json(&body).attempt());
    yard.noted("begun", "a").await;
    let workers = process::children(yard.pid());
    assert_eq!(workers.len(), 3);
    yard.send(Signal::SIGKILL);
    yard.exit().await;
    assert!(call.await.unwrap().is_err());
    eventually("the end of all workers", async || {
        workers.iter().all(|worker| !process::runs(*worker)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_only_waits_or_listens_does_not_hold_the_end_up() {
    let mut yard = Yard::open(&puppets("puppet", "max_concurrency = 1")).await;
    let submit = async |note: &str, until: &str| {
        let body = json!({"note": note, "until": until});
        let accepted = yard.post("/tasks/puppet").json(&body).send().await.json().await;
        accepted["task_id"].as_str().unwrap().to_owned()
    };
    let running = submit("running", "go").await;
    yard.noted("begun", "running").await;
    let waiting = submit("waiting", "never").await;
    let poll = tokio::spawn(yard.get(&format!("/tasks/{waiting}?wait=60")).send());
    let mut events = yard.get(&format!("/tasks/{running}/events")).send().await;
    events.piece().await.unwrap().unwrap();

    yard.send(Signal::SIGTERM);
    assert_eq!(poll.await.unwrap().json().await["state"], "queued");
    while events.piece().await.unwrap().is_some() {}
    yard.signal("go");
    assert_eq!(yard.exit().await.code(), Some(0));
    assert_eq!(yard.count("ended", "running"), 1);
}

#[tokio::test]
async fn an_open_socket_is_closed_when_the_grace_is_over() {
    let config = format!("server.drain_seconds = 0.5\n{}", puppets("puppet", ""));
    let mut yard = Yard::open(&config).await;
    let url = format!("ws://{}/invoke/puppet/socket?a", yard.host());
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    yard.noted("begun", "a").await;
    yard.send(Signal::SIGTERM);
    // Whatever the last words are, they come.
    while let Some(Ok(_)) = socket.next().await {}
    assert_eq!(yard.exit().await.code(), Some(0));
}

#[tokio::test]
async fn a_server_can_be_stopped_while_its_models_still_start() {
    let stubborn = "server.drain_seconds = 0.5\n[models.stubborn]\nkind = 'command'\n\
        command = ['sh', '-c', 'trap \"\" TERM; touch up; while :; do sleep 0.05; done']\n";
    let mut yard = Yard::unready(Desk::new(), stubborn).await;
    eventually("its process", async || yard.path().join("up").exists().then_some(())).await;
    let workers = process::children(yard.pid());
    yard.send(Signal::SIGTERM);
    assert_eq!(yard.exit().await.code(), Some(0));
    assert!(workers.iter().all(|worker| !process::runs(*worker)));
}
