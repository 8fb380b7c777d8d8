//! The loop with real child processes and a real fleet.
//!
//! The children are small shell scripts; the stage registers them in the fleet, as a worker would
//! register itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of a test fail by panicking"
)]

mod stage;

use std::time::{Duration, Instant};

use fleet::Availability;
use types::{ModelKind, ModelSpec};

use stage::{Stage, sh};

#[tokio::test]
async fn a_model_gets_its_workers_and_loses_them_when_it_is_removed() {
    let stage = Stage::open();
    stage.set("m", ModelSpec { num_workers: 2, ..sh("sleep 1000") }).await;
    assert!(stage.is_loading("m"));
    let launches = stage.running("m", 2).await;
    assert_eq!(stage.availability("m"), Availability::Starting);

    for launch in &launches {
        stage.register("m", launch);
    }
    stage.becomes("m", Availability::Ready).await;
    stage.until("the first load is over", || !stage.is_loading("m")).await;

    stage.control().remove_model(stage::name("m")).await.unwrap();
    stage.running("m", 0).await;
    stage.until("the fleet forgets them", || stage.members("m").is_empty()).await;
}

#[tokio::test]
async fn a_model_whose_code_is_broken_fails_with_its_last_words_and_blocks_nobody() {
    let stage = Stage::open();
    stage.set("bad", sh("echo loading; echo 'ImportError: no spam' >&2; exit 3")).await;
    stage.set("good", sh("sleep 1000")).await;
    let reason = stage.failure("bad").await;
    assert_eq!(
        reason,
        "its worker failed 3 times in a row; the last time: exit code 3: ImportError: no spam"
    );
    assert!(!stage.is_loading("bad"));
    stage.running("good", 1).await;
}

#[tokio::test]
async fn a_worker_that_is_not_ready_in_time_is_ended_and_told() {
    let stage = Stage::open();
    stage.set("m", ModelSpec { start_timeout_seconds: 0.1, ..sh("sleep 1000") }).await;
    let reason = stage.failure("m").await;
    assert!(reason.contains("not ready within 0.1 s"), "{reason}");
}

#[tokio::test]
async fn a_worker_whose_process_dies_is_gone_at_once_and_replaced() {
    let stage = Stage::open();
    stage.set("m", sh("sleep 1000")).await;
    let first = stage.running("m", 1).await.remove(0);
    stage.register("m", &first);
    stage.becomes("m", Availability::Ready).await;
    stage.until("the first load is over", || !stage.is_loading("m")).await;

    stage.kill(&first).await;
    stage.until("the fleet forgets it", || stage.members("m").is_empty()).await;
    assert!(!stage.is_loading("m"), "a later start is not a first load");
    let second = stage.other_than("m", &[&first]).await;
    stage.register("m", &second);
    stage.becomes("m", Availability::Ready).await;
}

#[tokio::test]
async fn the_socket_that_a_killed_worker_leaves_behind_is_cleared_away() {
    let stage = Stage::open();
    stage.set("m", sh("sleep 1000")).await;
    let launch = stage.running("m", 1).await.remove(0);
    let socket = format!("{}.sock", launch.strip_prefix("m-").unwrap());
    stage.touch(&socket);
    stage.kill(&launch).await;
    stage.until("the socket is gone", || !stage.has(&socket)).await;
}

#[tokio::test]
async fn a_stuck_worker_is_replaced_and_ended_by_force() {
    let stage = Stage::open();
    // It neither finishes what it has nor listens to the gentle stop.
    stage.set("m", sh("trap '' TERM; while :; do sleep 0.05; done")).await;
    let first = stage.running("m", 1).await.remove(0);
    let worker = stage.register("m", &first);
    stage.becomes("m", Availability::Ready).await;

    stage.hold_a_call(worker);
    let second = stage.other_than("m", &[&first]).await;
    stage.register("m", &second);
    stage.until_ended(&first).await;
    stage.until("only the new one is left", || stage.members("m").len() == 1).await;
    let metrics = stage.metrics.model(&stage::name("m"));
    assert_eq!((metrics.restarts.get(), metrics.stuck.get()), (1, 1));
}

#[tokio::test]
async fn a_restart_starts_the_new_worker_before_it_drains_the_old_one() {
    let stage = Stage::open();
    stage.set("m", sh("sleep 1000")).await;
    let old = stage.running("m", 1).await.remove(0);
    stage.register("m", &old);
    stage.becomes("m", Availability::Ready).await;

    stage.control().restart_model(stage::name("m")).await.unwrap();
    let new = stage.other_than("m", &[&old]).await;
    assert_eq!(stage.running("m", 2).await.len(), 2, "the old one serves until the new one does");
    assert_eq!(stage.availability("m"), Availability::Ready);

    stage.register("m", &new);
    stage.until_ended(&old).await;
    assert_eq!(stage.running("m", 1).await, [new]);
}

#[tokio::test]
async fn a_model_without_python_is_failing_with_the_reason() {
    let stage = Stage::open();
    let python = Some("/no/such/python".into());
    let implementation = Some("app.py:Model".to_owned());
    stage.set("m", ModelSpec { python, implementation, ..ModelSpec::default() }).await;
    let reason = stage.failure("m").await;
    assert_eq!(
        reason,
        "no Python with the package `modelyard` was found: tried /no/such/python (not found); \
         run `make python` or set `python`"
    );
    assert!(!stage.is_loading("m"));
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_told_with_the_systems_words() {
    let stage = Stage::open();
    let command = vec!["/no/such/program".to_owned()];
    stage.set("m", ModelSpec { kind: ModelKind::Command, command, ..ModelSpec::default() }).await;
    let reason = stage.failure("m").await;
    assert!(reason.starts_with("could not run /no/such/program"), "{reason}");
    assert!(reason.contains("No such file or directory"), "{reason}");
}

#[tokio::test]
async fn a_gpu_goes_to_one_model_and_then_to_the_next() {
    let stage = Stage::open();
    stage.set("a", ModelSpec { num_gpus: 1.0, ..sh("sleep 1000") }).await;
    stage.running("a", 1).await;
    let script = "[ \"$CUDA_VISIBLE_DEVICES\" = 0 ] && sleep 1000";
    stage.set("b", ModelSpec { num_gpus: 0.5, ..sh(script) }).await;
    let reason = stage.failure("b").await;
    assert!(reason.contains("it asks for 0.5 GPU, and all 1 are taken"), "{reason}");

    stage.control().remove_model(stage::name("a")).await.unwrap();
    stage.running("b", 1).await;
}

#[tokio::test]
async fn a_program_that_does_not_know_us_is_declared_once_it_listens() {
    let stage = Stage::open();
    stage.set("m", stage::foreign_server()).await;
    stage.becomes("m", Availability::Ready).await;
    let members = stage.members("m");
    assert_eq!((members.len(), members[0].replica.capacity), (1, 5));

    let launch = stage.running("m", 1).await.remove(0);
    stage.kill(&launch).await;
    let gone = members[0].replica.id;
    stage
        .until("its replica is withdrawn and another one declared", || {
            let ids: Vec<_> = stage.members("m").iter().map(|member| member.replica.id).collect();
            ids.len() == 1 && ids[0] != gone
        })
        .await;
}

/// Does nothing unless a test above started it.
#[test]
fn a_foreign_server() {
    stage::serve_as_foreigner();
}

#[tokio::test]
async fn at_the_end_all_workers_may_finish_and_those_that_do_not_are_killed() {
    let stage = Stage::open();
    let script =
        "trap 'touch $0.tidied; exit 0' TERM; touch $0.ready; while :; do sleep 0.01; done";
    stage.set("tidy", stage.script("tidy", script)).await;
    let deaf = "trap '' TERM; touch $0.ready; while :; do sleep 0.01; done";
    stage.set("deaf", stage.script("deaf", deaf)).await;
    stage.until("both run", || stage.has("tidy.ready") && stage.has("deaf.ready")).await;

    let begun = Instant::now();
    let stage = stage.close().await;
    assert!(stage.has("tidy.tidied"));
    assert!(begun.elapsed() >= Duration::from_millis(300), "the deaf one had its grace");
    assert_eq!(stage.processes().await, []);
}

#[tokio::test]
async fn workers_are_kept_when_nobody_holds_a_handle_any_more() {
    let mut stage = Stage::open();
    stage.set("m", sh("sleep 1000")).await;
    let first = stage.running("m", 1).await.remove(0);
    stage.drop_handle();
    stage.kill(&first).await;
    stage.other_than("m", &[&first]).await;
}

#[tokio::test]
async fn a_model_that_is_switched_off_gets_no_workers() {
    let stage = Stage::open();
    stage.set("off", ModelSpec { enabled: false, ..sh("sleep 1000") }).await;
    stage.set("on", sh("sleep 1000")).await;
    stage.running("on", 1).await;
    stage.running("off", 0).await;
    assert!(!stage.is_loading("off"));
}

#[tokio::test]
async fn another_spec_replaces_the_workers() {
    let stage = Stage::open();
    stage.set("m", sh("sleep 1000")).await;
    let first = stage.running("m", 1).await.remove(0);
    stage.set("m", sh("sleep 1000")).await;
    assert_eq!(
        stage.running("m", 1).await,
        std::slice::from_ref(&first),
        "the same spec changes nothing"
    );
    stage.set("m", sh("sleep 2000")).await;
    stage.other_than("m", &[&first]).await;
    stage.until_ended(&first).await;
}
