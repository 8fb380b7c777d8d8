//! Servers that come and go while a batch runs.

use std::time::Duration;

use api::openai::BatchStatus;
use batches::ListQuery;
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use tokio::time::sleep;

use crate::house::{Ground, until};

#[tokio::test]
async fn the_next_server_goes_on_and_calls_nothing_again_that_was_answered() {
    let ground = Ground::new();
    let mut server = ground.server();
    let id = server.submit(30).await;
    for pass in [1, 5, 0, 9] {
        let before = server.batch(&id).await.request_counts.completed;
        ground.model.let_pass(pass);
        server.until(&id, |batch| batch.request_counts.completed == before + pass as u32).await;
        ground.kill(server).await;
        server = ground.server();
        server.until(&id, |batch| batch.status == BatchStatus::InProgress).await;
    }
    ground.model.open();
    let results = server.check(&id, BatchStatus::Completed, 30).await;
    assert_eq!(results.answered.len(), 30);
    // Two ran each time that the server died, and only those were called again.
    let calls: u32 = ground.model.calls().values().sum();
    assert!(calls <= 30 + 2 * 4, "{:?}", ground.model.calls());
}

#[tokio::test]
async fn no_moment_of_a_death_loses_a_line_or_answers_it_twice() {
    for seed in 0..4 {
        let ground = Ground::new();
        ground.model.open();
        let mut chance = TestRng::from_seed(RngAlgorithm::XorShift, &[seed + 1; 16]);
        let mut server = ground.server();
        let id = server.submit(120).await;
        for _ in 0..20 {
            sleep(Duration::from_micros(u64::from(chance.next_u32() % 9000))).await;
            ground.kill(server).await;
            server = ground.server();
        }
        let results = server.check(&id, BatchStatus::Completed, 120).await;
        assert_eq!(results.answered.len(), 120);
        let purpose = Some("batch_output".to_owned());
        let query = ListQuery { purpose, after: None, oldest_first: false, limit: 10 };
        assert_eq!(server.batches.files().list(query).await.unwrap().data.len(), 1);
    }
}

#[tokio::test]
async fn a_server_that_stops_lets_another_have_the_batch_at_once() {
    let ground = Ground::new();
    let server = ground.server_with(|settings| settings.lease = Duration::from_secs(3600));
    let id = server.submit(10).await;
    ground.model.let_pass(2);
    server.until(&id, |batch| batch.request_counts.completed == 2).await;
    let other = ground.server_with(|settings| settings.shared = true);
    ground.model.open();
    server.shut_down().await;
    other.check(&id, BatchStatus::Completed, 10).await;
}

#[tokio::test]
async fn of_several_servers_one_runs_a_batch_and_another_takes_over_when_it_dies() {
    let ground = Ground::new();
    let share = |settings: &mut batches::BatchSettings| {
        settings.shared = true;
        settings.lease = Duration::from_millis(600);
    };
    let (first, second) = (ground.server_with(share), ground.server_with(share));
    let id = first.submit(40).await;
    ground.model.let_pass(10);
    second.until(&id, |batch| batch.request_counts.completed == 10).await;
    let generation = journals(&ground);
    assert_eq!(generation.len(), 1, "one of them runs it");
    sleep(Duration::from_millis(700)).await;
    assert_eq!(journals(&ground), generation, "and keeps it while it lives");
    drop(first);
    ground.model.let_pass(1000);
    let results = second.check(&id, BatchStatus::Completed, 40).await;
    assert_eq!(results.answered.len(), 40);
}

#[tokio::test]
async fn a_batch_that_is_cancelled_while_nobody_runs_it_is_ended_by_the_next_server() {
    let ground = Ground::new();
    let server = ground.server();
    let id = server.submit(12).await;
    ground.model.let_pass(1);
    server.until(&id, |batch| batch.request_counts.completed == 1).await;
    until("two calls wait", || ground.model.calls().len() == 3).await;
    let asked = server.batches.clone();
    ground.kill(server).await;
    asked.cancel(&id).await.unwrap();
    let server = ground.server();
    let results = server.check(&id, BatchStatus::Cancelled, 12).await;
    assert_eq!(results.answered.len(), 1);
}

/// The journals that are being written.
fn journals(ground: &Ground) -> Vec<String> {
    let entries = std::fs::read_dir(ground.folder()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut journals: Vec<_> = names.filter(|name| name.starts_with("batch_")).collect();
    journals.sort();
    journals
}

#[tokio::test]
async fn a_server_with_another_folder_leaves_a_batch_alone_but_for_its_end() {
    let ground = Ground::new();
    ground.model.open();
    let server = ground.server();
    let file = server.upload(0..3).await;
    ground.kill(server).await;
    let quick = |settings: &mut batches::BatchSettings| settings.lease = Duration::from_millis(300);
    let stranger = ground.server_in(&ground.folder().join("other"), quick);
    let id = stranger.submit_file(file, "1s").await;
    sleep(Duration::from_millis(500)).await;
    assert_eq!(stranger.batch(&id).await.status, BatchStatus::Validating);
    let batch = stranger.end(&id).await;
    assert_eq!(batch.status, BatchStatus::Failed);
    assert_eq!(batch.errors.unwrap().data[0].code, "file_elsewhere");
    // Ten leases, told in whole seconds.
    let waited = batch.failed_at.unwrap() - batch.expires_at.unwrap();
    assert!(waited >= 2, "the server that has the file had {waited} s to end it itself");
    assert_eq!(ground.model.calls().len(), 0);
}

#[tokio::test]
async fn a_batch_that_has_begun_is_not_judged_by_the_rules_of_a_later_server() {
    let ground = Ground::new();
    let server = ground.server();
    let id = server.submit(12).await;
    ground.model.let_pass(5);
    server.until(&id, |batch| batch.request_counts.completed == 5).await;
    ground.kill(server).await;
    let server = ground.server_that_changed();
    let results = server.check(&id, BatchStatus::Completed, 12).await;
    assert_eq!(results.answered.len(), 5, "what was answered stays");
    let codes: Vec<_> = results.failed.iter().map(|line| &line.response).collect();
    assert!(codes.iter().all(|response| response.as_ref().unwrap().status_code == 404));
}

#[tokio::test]
async fn a_batch_that_has_begun_waits_for_a_file_that_is_missing_for_a_while() {
    let ground = Ground::new();
    let quick = |settings: &mut batches::BatchSettings| settings.lease = Duration::from_millis(200);
    let server = ground.server_with(quick);
    let file = server.upload(0..8).await;
    let id = server.submit_file(file.clone(), "1h").await;
    ground.model.let_pass(3);
    server.until(&id, |batch| batch.request_counts.completed == 3).await;
    ground.kill(server).await;
    let (here, away) = (ground.folder().join(&file), ground.folder().join("away"));
    std::fs::rename(&here, &away).unwrap();
    let server = ground.server_with(quick);
    ground.model.open();
    sleep(Duration::from_millis(700)).await;
    let batch = server.batch(&id).await;
    assert_eq!((batch.status, batch.errors), (BatchStatus::InProgress, None));
    std::fs::rename(&away, &here).unwrap();
    let results = server.check(&id, BatchStatus::Completed, 8).await;
    assert_eq!(results.answered.len(), 8);
}

#[tokio::test]
async fn a_batch_whose_file_stays_away_ends_some_time_after_it_is_cancelled() {
    let ground = Ground::new();
    let quick = |settings: &mut batches::BatchSettings| settings.lease = Duration::from_millis(100);
    let server = ground.server_with(quick);
    let file = server.upload(0..8).await;
    let id = server.submit_file(file.clone(), "1h").await;
    server.until(&id, |batch| batch.status == BatchStatus::InProgress).await;
    ground.kill(server).await;
    std::fs::remove_file(ground.folder().join(&file)).unwrap();
    let server = ground.server_with(quick);
    server.batches.cancel(&id).await.unwrap();
    assert_eq!(server.end(&id).await.status, BatchStatus::Cancelled);
}
