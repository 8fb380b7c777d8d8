//! Models written in Python, as a person writes them.

use std::path::PathBuf;

use api::worker::Address;
use http::Method;
use serde_json::{Value, json};

use super::{
    ask::Ask,
    churn,
    yard::{Yard, eventually},
};
use crate::desk::Desk;

const CODE: &str = r#"
import asyncio, os, time
from pathlib import Path
from modelyard import Model, batch, stream


class Actor(Model):
    def setup(self, ctx):
        self.greeting = ctx.config["greeting"]

    def predict(self, name: str) -> dict:
        return {"says": f"{self.greeting}, {name}", "pid": os.getpid()}

    def fails(self) -> str:
        raise ValueError("no such luck")

    def leaves(self) -> str:
        os._exit(3)

    def odd(self):
        return object()

    def hangs(self) -> str:
        time.sleep(600)

    async def waits(self) -> str:
        Path("began").touch()
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            Path("cancelled").touch()
            raise

    async def nap(self, ms: int) -> int:
        await asyncio.sleep(ms / 1000)
        return ms

    def doze(self, ms: int) -> int:
        time.sleep(ms / 1000)
        return ms

    @batch(max_size=8, max_wait_ms=100)
    def square(self, numbers: list[int]) -> list[int]:
        return [number * number for number in numbers]

    @stream
    async def count(self, to: int):
        for number in range(to):
            yield {"number": number}
"#;

/// A server with the model `actor`. The virtual environment is made by `make`.
async fn theatre(more: &str) -> Yard {
    stage("workers.heartbeat_seconds = 0.2\nworkers.lease_seconds = 2", more).await
}

/// As [`theatre`], with other times of the workers.
async fn stage(times: &str, more: &str) -> Yard {
    let venv = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.venv"));
    assert!(venv.exists(), "`make test` makes {}", venv.display());
    let desk = Desk::new().file("actor.py", CODE);
    let config = format!(
        "workers.python = '{}'\n{times}\n\
         [models.actor]\nimplementation = 'actor.py:Actor'\nmetadata = {{greeting = 'hello'}}\n{more}\n",
        venv.display()
    );
    Yard::at(desk, &config).await
}

async fn pid(yard: &Yard) -> Value {
    let answer = yard.post("/invoke/actor").json("\"you\"").send().await.json().await;
    assert_eq!(answer["result"]["says"], "hello, you");
    answer["result"]["pid"].clone()
}

#[tokio::test]
async fn a_class_is_called_in_every_way() {
    let yard = theatre("").await;
    pid(&yard).await;
    let squares: Vec<_> =
        (0..8).map(|n| tokio::spawn(yard.post("/invoke/actor/square").json(&n).send())).collect();
    for (n, answer) in squares.into_iter().enumerate() {
        assert_eq!(answer.await.unwrap().json().await, json!(n * n));
    }
    let events = yard.post("/invoke/actor/count").json("2").send().await.text().await;
    assert_eq!(events, "data: {\"number\":0}\n\ndata: {\"number\":1}\n\n");
    let accepted = yard.post("/tasks/actor?route=square").json("7").send().await.json().await;
    let path = format!("/tasks/{}?wait=30", accepted["task_id"].as_str().unwrap());
    assert_eq!(yard.get(&path).send().await.json().await["result"], 49);
}

#[tokio::test]
async fn code_that_goes_wrong_is_told_and_the_server_goes_on() {
    let yard = theatre("").await;
    for (route, code, words) in [
        ("fails", "handler_failed", "no such luck"),
        ("odd", "result_not_serializable", "object"),
        ("leaves", "worker_failed", ""),
    ] {
        let asked = yard.post(&format!("/invoke/actor/{route}")).json("{}");
        let (told, detail) = asked.send().await.refusal().await;
        assert!(told == code && detail.contains(words), "{route}: {told}: {detail}");
    }
    let problem = yard.post("/invoke/actor").json("7").send().await.problem().await;
    assert_eq!(problem.code, "invalid_input");
    pid(&yard).await;
}

#[tokio::test]
async fn a_coroutine_is_cancelled_when_its_client_leaves() {
    let yard = theatre("").await;
    let call = tokio::spawn(yard.post("/invoke/actor/waits").json("{}").send());
    eventually("the call", async || yard.path().join("began").exists().then_some(())).await;
    call.abort();
    eventually("its end", async || yard.path().join("cancelled").exists().then_some(())).await;
}

#[tokio::test]
async fn a_function_that_hangs_costs_its_worker_and_nothing_else() {
    let yard = theatre("timeout_seconds = 3\nworker_capacity = 1").await;
    let before = pid(&yard).await;
    let (code, _) = yard.post("/invoke/actor/hangs").json("{}").send().await.refusal().await;
    assert_eq!(code, "deadline_exceeded");
    assert_ne!(pid(&yard).await, before);
}

fn naps(door: &Address, caller: u64, number: u64) -> Ask {
    let routes = ["nap", "doze", "square", "count"];
    let route = routes[churn::dice(caller, number, 4) as usize];
    let path = format!("/invoke/actor/{route}");
    Ask::new(door, Method::POST, &path).json(&churn::dice(caller, number, 20))
}

#[tokio::test]
async fn no_place_is_lost_when_callers_leave_at_any_time() {
    let rare = "workers.heartbeat_seconds = 60\nworkers.lease_seconds = 200";
    let yard = stage(rare, "num_workers = 2\nworker_capacity = 2\nmax_concurrency = 3").await;
    churn::everybody_calls(&yard, naps).join_all().await;
    churn::rest(&yard, "actor").await;

    let nap = || tokio::spawn(yard.post("/invoke/actor/nap").json("700").send());
    let naps: Vec<_> = (0..4).map(|_| nap()).collect();
    eventually("all places taken, and one that waits", async || {
        let running = yard.metric("modelyard_model_calls_in_flight{model=\"actor\"}").await;
        let waiting = yard.metric("modelyard_model_calls_queued{model=\"actor\"}").await;
        ((running, waiting) == (3.0, 1.0)).then_some(())
    })
    .await;
    for nap in naps {
        assert_eq!(nap.await.unwrap().status, 200);
    }
    assert_eq!(yard.metric("modelyard_model_worker_restarts_total{model=\"actor\"}").await, 0.0);
}
