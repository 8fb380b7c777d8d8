//! How workers are started, and how they end when they are asked to.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{
    process,
    puppet::puppets,
    yard::{Yard, eventually},
};
use crate::desk::Desk;

#[tokio::test]
async fn a_worker_gets_its_environment_and_its_share_of_processors_and_gpus() {
    let config = puppets(
        "puppet",
        "num_workers = 3\nworker_capacity = 1\nnum_gpus = 0.5\nnum_cpus = 2\n\
         env = {GREETING = 'hello ${WORLD}', EMPTY = ''}",
    );
    let desk = Desk::new().variable("WORLD", "yard");
    let yard = Yard::at(desk, &format!("workers.gpus = [0, 'GPU-1a']\n{config}")).await;
    let calls: Vec<_> = (0..3)
        .map(|_| tokio::spawn(yard.post("/invoke/puppet").json(&json!({"until": "go"})).send()))
        .collect();
    eventually("all workers", async || (yard.count("begun", "-") == 3).then_some(())).await;
    yard.signal("go");
    let mut shares = BTreeMap::new();
    for call in calls {
        let told: Value = call.await.unwrap().json().await["result"]["environment"].take();
        assert_eq!(
            (&told["GREETING"], &told["OMP_NUM_THREADS"]),
            (&json!("hello yard"), &json!("2"))
        );
        *shares.entry(told["CUDA_VISIBLE_DEVICES"].as_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    assert_eq!(shares, BTreeMap::from([("0".to_owned(), 2), ("GPU-1a".to_owned(), 1)]));
}

#[tokio::test]
async fn a_worker_is_warmed_up_before_it_serves_or_says_why_it_cannot() {
    let cold = "[models.cold]\nkind = 'builtin'\nimplementation = 'echo'\nwarmup = [1, 2]\n";
    let config = format!("{cold}{}", puppets("warm", "warmup = {note = 'warm'}"));
    let yard = Yard::open(&config).await;
    assert_eq!(yard.count("ended", "warm"), 1);
    let card = eventually("its failure", async || {
        let card = yard.model("cold").await;
        (card["status"] == "failing").then_some(card)
    })
    .await;
    assert!(card["reason"].as_str().unwrap().contains("the body must be a JSON object"), "{card}");
    assert_eq!(yard.post("/invoke/warm").json("{}").send().await.status, 200);
}

#[tokio::test]
async fn a_worker_that_is_told_to_end_finishes_its_call_and_is_replaced() {
    let yard = Yard::open(&puppets("puppet", "worker_capacity = 1")).await;
    let running =
        tokio::spawn(yard.post("/invoke/puppet").json(&json!({"note": "a", "until": "go"})).send());
    let worker = yard.noted("begun", "a").await.pid;
    let waiting = tokio::spawn(yard.post("/invoke/puppet").json("{}").send());
    process::send(worker, Signal::SIGTERM);
    yard.signal("go");
    assert_eq!(running.await.unwrap().json().await["result"]["pid"], worker);
    assert_ne!(waiting.await.unwrap().json().await["result"]["pid"], worker);
}

#[tokio::test]
async fn a_program_that_knows_nothing_of_us_is_started_called_and_replaced() {
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.venv/bin/python");
    let config = format!(
        "[models.files]\nkind = 'command'\nmax_concurrency = 2\n\
         command = ['{python}', '-m', 'http.server', '--bind', '127.0.0.1', '{{port}}']\n"
    );
    let yard = Yard::at(Desk::new().file("hello.txt", "hello there"), &config).await;
    let read = || yard.get("/invoke/files/hello.txt").send();
    assert_eq!(read().await.text().await, "hello there");
    assert_eq!(yard.get("/invoke/files/nothing.txt").send().await.status, 404);

    let server = yard.pid();
    let is_ours = |pid: &i32| process::command(*pid).contains("http.server");
    let program = process::children(server).into_iter().find(is_ours).unwrap();
    process::send(program, Signal::SIGKILL);
    eventually("another one", async || {
        process::children(server).iter().any(|pid| *pid != program && is_ours(pid)).then_some(())
    })
    .await;
    assert_eq!(read().await.text().await, "hello there");
}
