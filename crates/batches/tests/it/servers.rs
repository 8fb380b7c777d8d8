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
    let stranger = ground.server_in(&ground.folder().join("other"));
    let id = stranger.submit_file(file, "2s").await;
    sleep(Duration::from_millis(500)).await;
    assert_eq!(stranger.batch(&id).await.status, BatchStatus::Validating);
    let batch = stranger.end(&id).await;
    assert_eq!(batch.status, BatchStatus::Failed);
    assert_eq!(batch.errors.unwrap().data[0].code, "file_elsewhere");
    assert_eq!(ground.model.calls().len(), 0);
}
