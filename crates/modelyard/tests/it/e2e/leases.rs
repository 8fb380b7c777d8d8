//! Workers that are not heard of any more.

use std::process::{Child, Command, Stdio};

use api::worker::LAUNCH_ENV;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{
    process,
    puppet::{puppets, serve_arguments},
    stranger::{FAR, LET_IN},
    yard::{Yard, eventually},
};

async fn replicas(yard: &Yard, model: &str, count: u64) {
    eventually(&format!("{count} replicas"), async || {
        (yard.model(model).await["replicas"] == count).then_some(())
    })
    .await;
}

async fn pid(yard: &Yard, model: &str) -> i32 {
    let answer: Value = yard.post(&format!("/invoke/{model}")).json("{}").send().await.json().await;
    i32::try_from(answer["result"]["pid"].as_i64().unwrap()).unwrap()
}

#[tokio::test]
async fn a_frozen_worker_is_removed_and_joins_again_when_it_thaws() {
    let quick = "workers.heartbeat_seconds = 2\nworkers.lease_seconds = 2.5\n";
    let yard = Yard::open(&format!("{quick}{}", puppets("puppet", ""))).await;
    let before = pid(&yard, "puppet").await;
    process::freeze(before);
    replicas(&yard, "puppet", 0).await;
    process::send(before, Signal::SIGCONT);
    replicas(&yard, "puppet", 1).await;
    assert_eq!(pid(&yard, "puppet").await, before);
}

#[tokio::test]
async fn a_frozen_worker_that_does_not_thaw_is_replaced() {
    let quick = "workers.heartbeat_seconds = 0.2\nworkers.lease_seconds = 0.6\n";
    let yard = Yard::open(&format!("{quick}{}", puppets("puppet", ""))).await;
    let before = pid(&yard, "puppet").await;
    process::freeze(before);
    replicas(&yard, "puppet", 0).await;
    assert_ne!(pid(&yard, "puppet").await, before);
    eventually("the end of the frozen worker", async || (!process::runs(before)).then_some(()))
        .await;
}

#[tokio::test]
async fn a_worker_that_somebody_started_by_hand_survives_its_own_freezing_and_the_servers_restart()
{
    let quick = "workers.heartbeat_seconds = 0.2\nworkers.lease_seconds = 0.6\n";
    let mut yard = Yard::open(&format!("{LET_IN}{quick}{FAR}")).await;
    let worker = ByHand::start(&yard);
    replicas(&yard, "far", 1).await;
    assert_eq!(pid(&yard, "far").await, worker.pid());

    process::freeze(worker.pid());
    replicas(&yard, "far", 0).await;
    let (code, _) = yard.post("/invoke/far").json("{}").send().await.refusal().await;
    assert_eq!(code, "model_unavailable");
    process::send(worker.pid(), Signal::SIGCONT);
    replicas(&yard, "far", 1).await;
    assert_eq!(pid(&yard, "far").await, worker.pid());

    yard.send(Signal::SIGKILL);
    yard.exit().await;
    yard.open_again().await;
    replicas(&yard, "far", 1).await;
    assert_eq!(pid(&yard, "far").await, worker.pid());

    process::send(worker.pid(), Signal::SIGTERM);
    replicas(&yard, "far", 0).await;
}

/// A puppet that the server knows nothing of until it joins.
struct ByHand(Child);

impl ByHand {
    fn start(yard: &Yard) -> Self {
        let launch = json!({
            "model": "far", "version": "1", "implementation": "", "heartbeat_ms": 200,
            "listen": "tcp:0.0.0.0:0", "join_token": "only-for-these-tests",
            "gateway": format!("unix:{}", yard.path().join("inner.sock").display()),
        });
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(serve_arguments()).env(LAUNCH_ENV, launch.to_string());
        command.current_dir(yard.path()).stdin(Stdio::null()).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
