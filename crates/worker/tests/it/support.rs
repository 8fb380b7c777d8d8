//! What the tests stand on: a worker on a socket of its own, a client, a small gateway.

pub(crate) mod client;
pub(crate) mod gateway;
pub(crate) mod handlers;

use std::{future::Future, path::PathBuf, sync::Arc, time::Duration};

use api::worker::Address;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use worker::{Handler, Route, RouteKind, Worker, WorkerBuilder, WorkerError, WorkerLaunch};

use client::Client;

/// Longest wait for something that must happen. It happens in milliseconds; this is for a machine
/// that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for something that must happen.
#[track_caller]
pub(crate) fn soon<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(PATIENCE, future).await {
            Ok(output) => output,
            Err(_) => panic!("did not happen in time: {caller}"),
        }
    }
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// A worker that runs.
pub(crate) struct Served {
    pub(crate) dir: Arc<TempDir>,
    pub(crate) address: Address,
    stop: CancellationToken,
    task: JoinHandle<Result<(), WorkerError>>,
}

/// A builder with one POST route at `/call`.
pub(crate) fn one_route(handler: impl Handler) -> WorkerBuilder {
    Worker::builder("test").route(post("/call"), Arc::new(handler))
}

pub(crate) fn post(path: &str) -> Route {
    Route::new(RouteKind::Api, "POST", path)
}

/// A new directory and the socket in it.
pub(crate) fn socket_in_temp_dir() -> (Arc<TempDir>, PathBuf) {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let path = dir.path().join("worker.sock");
    (dir, path)
}

/// Starts a worker on a socket of its own.
pub(crate) async fn start(builder: WorkerBuilder) -> Served {
    start_with(builder, |_| {}).await
}

/// Starts a worker whose launch was changed.
pub(crate) async fn start_with(
    builder: WorkerBuilder,
    change: impl FnOnce(&mut WorkerLaunch),
) -> Served {
    let worker = builder.build().unwrap();
    let (dir, path) = socket_in_temp_dir();
    let mut launch = worker.standalone(Address::Unix(path));
    change(&mut launch);
    run(worker, launch, dir).await
}

/// Starts a worker as it was launched.
pub(crate) async fn run(worker: Worker, launch: WorkerLaunch, dir: Arc<TempDir>) -> Served {
    let bound = worker.bind(launch).await.unwrap();
    let address = bound.address().clone();
    let stop = CancellationToken::new();
    let task = tokio::spawn(bound.run(stop.clone()));
    Served { dir, address, stop, task }
}

impl Served {
    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.address).await
    }

    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits for the end of the worker.
    pub(crate) async fn ended(self) -> Result<(), WorkerError> {
        soon(self.task).await.unwrap()
    }
}

/// Waits until calls are refused.
pub(crate) async fn eventually_refuses(client: &mut Client) {
    soon(async {
        loop {
            // To a path that needs no handler: a call that is not refused would wait in one.
            let ready = client.get("/-/ready").await;
            if ready.status() != 200 {
                return ready.was_not_begun();
            }
        }
    })
    .await;
}
