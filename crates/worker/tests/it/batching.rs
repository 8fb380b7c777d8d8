//! Calls that are given to the code together.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use parking_lot::Mutex;
use policy::batch::{BatchLimits, Waiting};
use serde::Deserialize;
use types::{ErrorCode, Fault};
use worker::{Handler, batched};

use crate::support::{
    Served,
    client::{Answered, request},
    eventually,
    handlers::Census,
    one_route, start,
};

fn limits(size_max: usize, wait_max: Duration) -> BatchLimits {
    BatchLimits { size_max: NonZeroUsize::new(size_max).unwrap(), wait_max }
}

/// Longer than any test.
const LONG: Duration = Duration::from_secs(3_600);

#[derive(Clone, Default)]
struct Batches(Arc<Mutex<Vec<usize>>>);

/// Doubles each number, notes the size of each batch, and fails as asked.
fn doubling(limits: BatchLimits, seen: Batches) -> impl Handler {
    batched(limits, Waiting::Fixed, move |numbers: Vec<i64>| {
        seen.0.lock().push(numbers.len());
        async move {
            assert!(!numbers.contains(&13), "unlucky");
            let results = numbers.into_iter().filter(|&n| n != -1);
            results
                .map(|n| match n {
                    0 => Err(Fault::new(ErrorCode::InvalidInput, "zero is too little")),
                    n => Ok(2 * n),
                })
                .collect()
        }
    })
}

async fn ask(worker: &Served, numbers: &[i64]) -> Vec<Answered> {
    let mut asked = Vec::new();
    for (n, number) in numbers.iter().enumerate() {
        let client = worker.client().await;
        asked.push(client.sending(request(n as u128, number.to_string())));
    }
    let mut answers = Vec::new();
    for answer in asked {
        answers.push(answer.await.unwrap());
    }
    answers
}

#[tokio::test]
async fn a_full_batch_runs_at_once_and_each_caller_gets_its_own_answer() {
    let seen = Batches::default();
    let worker = start(one_route(doubling(limits(3, LONG), seen.clone()))).await;
    let answers = ask(&worker, &[1, 2, 0, 4, 5, 6]).await;
    assert_eq!(answers[0].text(), "2");
    assert_eq!(answers[1].text(), "4");
    answers[2].is_problem(422, "invalid_input", "zero is too little");
    assert_eq!(answers[5].text(), "12");
    assert_eq!(*seen.0.lock(), [3, 3]);
}

#[tokio::test]
async fn a_batch_does_not_wait_longer_than_it_may() {
    let seen = Batches::default();
    let wait_max = Duration::from_millis(10);
    let worker = start(one_route(doubling(limits(100, wait_max), seen.clone()))).await;
    assert_eq!(ask(&worker, &[1]).await[0].text(), "2");
    assert_eq!(*seen.0.lock(), [1]);
}

#[tokio::test]
async fn a_batch_that_panics_or_miscounts_fails_its_callers_and_nobody_after_them() {
    let worker = start(one_route(doubling(limits(2, LONG), Batches::default()))).await;
    for answer in ask(&worker, &[1, 13]).await {
        answer.is_problem(500, "handler_failed", "unlucky");
    }
    for answer in ask(&worker, &[1, -1]).await {
        answer.is_problem(500, "handler_failed", "2 calls were given 1 answers");
    }
    assert_eq!(ask(&worker, &[1, 2]).await[1].text(), "4");
}

static NOTICED: AtomicUsize = AtomicUsize::new(0);

/// A number that is noticed when it comes.
#[derive(Deserialize)]
#[serde(from = "i64")]
struct Noticed(i64);

impl From<i64> for Noticed {
    fn from(number: i64) -> Self {
        NOTICED.fetch_add(1, SeqCst);
        Self(number)
    }
}

#[tokio::test]
async fn a_caller_that_left_before_its_batch_is_not_in_it() {
    let handler = batched(limits(2, LONG), Waiting::Fixed, |numbers: Vec<Noticed>| async move {
        let count = numbers.len();
        numbers.iter().map(|Noticed(n)| Ok(format!("{n} of {count}"))).collect()
    });
    let worker = start(one_route(handler)).await;
    let arrived = eventually(|| NOTICED.load(SeqCst) == 1);
    worker.client().await.send_and_leave(request(9, "1"), arrived).await;
    // The one that left still fills the batch, so that this one does not wait.
    assert_eq!(ask(&worker, &[2]).await[0].text(), "\"2 of 1\"");
}

#[tokio::test]
async fn a_batch_ends_when_all_its_callers_have_left() {
    let alive = Census::default();
    let counted = alive.clone();
    let endless = batched(limits(2, LONG), Waiting::Fixed, move |_: Vec<i64>| {
        let working = counted.born();
        async move {
            let _working = working;
            std::future::pending::<Vec<Result<i64, Fault>>>().await
        }
    });
    let worker = start(one_route(endless)).await;
    let mut calls = Vec::new();
    for n in 0..2 {
        calls.push(worker.client().await.sending(request(n, "1")));
    }
    eventually(|| alive.count() == 1).await;
    calls[0].abort();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(alive.count(), 1, "one caller still waits");
    calls[1].abort();
    eventually(|| alive.count() == 0).await;
}
