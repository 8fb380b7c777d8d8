//! Many callers that come and go at any time. In the end nothing may be lost: no place, no count.

use std::{
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    time::Duration,
};

use api::worker::Address;
use http::Method;
use nix::sys::signal::Signal;
use serde_json::json;
use tokio::{task::JoinSet, time::timeout};

use super::{
    ask::Ask,
    process,
    puppet::puppets,
    yard::{Yard, eventually},
};

const CALLERS: u64 = 24;
const CALLS: u64 = 12;
const PLACES: usize = 3;

fn config(more: &str) -> String {
    let limits = "num_workers = 2\nworker_capacity = 2\nmax_concurrency = 3\nqueue_max = 20";
    // No heartbeat comes to the rescue of a place whose release was forgotten.
    let rare = "workers.heartbeat_seconds = 60\nworkers.lease_seconds = 200\n";
    format!("{rare}{}", puppets("puppet", &format!("{limits}\n{more}")))
}

/// A number that looks like chance and is the same in every run.
pub(crate) fn dice(caller: u64, call: u64, sides: u64) -> u64 {
    let hash = BuildHasherDefault::<DefaultHasher>::default();
    hash.hash_one((caller, call, sides)) % sides
}

/// What one caller asks for the next time.
type Wish = fn(&Address, u64, u64) -> Ask;

fn of_puppets(door: &Address, caller: u64, number: u64) -> Ask {
    let body = json!({"note": "churn", "sleep_ms": dice(caller, number, 20), "events": 3});
    let paths = ["/invoke/puppet", "/invoke/puppet/act", "/invoke/puppet/stream"];
    Ask::new(door, Method::POST, paths[dice(caller, number, 3) as usize]).json(&body)
}

/// One call, of which the caller may have enough at any time.
async fn call(asked: Ask, caller: u64, number: u64) {
    let asked = match dice(caller, number, 4) {
        0 => asked.header("x-deadline-ms", dice(caller, number, 30).to_string()),
        _ => asked,
    };
    let whole = async { asked.attempt().await?.whole().await.map_err(api::BoxError::from) };
    let patience = match dice(caller, number, 2) {
        0 => Duration::from_millis(dice(caller, number, 40)),
        _ => Duration::from_secs(30),
    };
    // Whatever comes of it: the story is what remains.
    let _ = timeout(patience, whole).await;
}

/// Many callers, all at once, each with one wish after the other.
pub(crate) fn everybody_calls(yard: &Yard, wish: Wish) -> JoinSet<()> {
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let door = yard.address().clone();
        callers.spawn(async move {
            for number in 0..CALLS {
                call(wish(&door, caller, number), caller, number).await;
            }
        });
    }
    callers
}

/// Waits until no call runs or waits.
pub(crate) async fn rest(yard: &Yard, model: &str) {
    for gauge in ["in_flight", "queued"] {
        let gauge = format!("modelyard_model_calls_{gauge}{{model=\"{model}\"}}");
        eventually("rest", async || (yard.metric(&gauge).await == 0.0).then_some(())).await;
    }
}

/// All places are free, and exactly as many as there should be.
async fn all_is_well(yard: &Yard) {
    rest(yard, "puppet").await;
    let send = |note: String| {
        let body = json!({"note": note, "until": "go"});
        tokio::spawn(yard.post("/invoke/puppet").json(&body).send())
    };
    let calls: Vec<_> = (0..=PLACES).map(|number| send(format!("place-{number}"))).collect();
    let begun =
        || yard.diary().iter().filter(|e| e.word == "begun" && e.note.starts_with("place")).count();
    eventually("all places", async || (begun() == PLACES).then_some(())).await;
    let queued = "modelyard_model_calls_queued{model=\"puppet\"}";
    assert_eq!((begun(), yard.metric(queued).await), (PLACES, 1.0));
    yard.signal("go");
    for call in calls {
        assert_eq!(call.await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn no_place_is_lost_when_callers_leave_at_any_time() {
    let yard = Yard::open(&config("")).await;
    everybody_calls(&yard, of_puppets).join_all().await;
    all_is_well(&yard).await;
    // None of that was a reason to end a worker.
    assert_eq!(yard.metric("modelyard_model_worker_restarts_total{model=\"puppet\"}").await, 0.0);
    assert_eq!(yard.metric("modelyard_model_stuck_calls_total{model=\"puppet\"}").await, 0.0);
}

#[tokio::test]
async fn no_place_is_lost_when_workers_die_meanwhile() {
    let yard = Yard::open(&config("")).await;
    let callers = everybody_calls(&yard, of_puppets);
    for _ in 0..3 {
        let some = yard.noted("begun", "churn").await;
        let last = yard.diary().last().unwrap_or(&some).pid;
        if process::runs(last) {
            process::send(last, Signal::SIGKILL);
        }
        eventually("two workers", async || {
            (yard.model("puppet").await["replicas"] == 2).then_some(())
        })
        .await;
    }
    callers.join_all().await;
    all_is_well(&yard).await;
}

#[tokio::test]
async fn calls_are_counted_by_how_they_ended() {
    let yard = Yard::open(&puppets("puppet", "timeout_seconds = 1")).await;
    let counted = async |outcome: &str| {
        yard.metric(&format!(
            "modelyard_model_calls_total{{model=\"puppet\",outcome=\"{outcome}\"}}"
        ))
        .await
    };
    for (body, status) in [
        (json!({}), 200),
        (json!({"fail": "no"}), 500),
        (json!({"until": "never"}), 504),
        (json!({"unknown": 1}), 422),
    ] {
        assert_eq!(yard.post("/invoke/puppet").json(&body).send().await.status, status);
    }
    let body = json!({"note": "left", "sleep_ms": 900});
    let left = tokio::spawn(yard.post("/invoke/puppet").json(&body).send());
    yard.noted("begun", "left").await;
    left.abort();
    for outcome in
        ["completed", "handler_failed", "deadline_exceeded", "invalid_input", "cancelled"]
    {
        eventually(outcome, async || (counted(outcome).await == 1.0).then_some(())).await;
    }
}
