//! Sockets in the file system.

use std::{fs, os::unix::fs::PermissionsExt, os::unix::net::UnixListener};

use api::worker::Address;
use worker::WorkerError;

use crate::support::{handlers::ok, one_route, run, socket_in_temp_dir, start};

#[tokio::test]
async fn only_the_owner_may_connect() {
    let worker = start(one_route(ok)).await;
    let mode = fs::metadata(worker.dir.path().join("worker.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_socket_that_a_dead_worker_left_is_replaced() {
    let (dir, path) = socket_in_temp_dir();
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let worker = one_route(ok).build().unwrap();
    let launch = worker.standalone(Address::Unix(path));
    let worker = run(worker, launch, dir).await;
    assert_eq!(worker.client().await.post("").await.text(), "ok");
}

#[tokio::test]
async fn a_socket_on_which_somebody_answers_is_left_alone() {
    let first = start(one_route(ok)).await;
    let second = one_route(ok).build().unwrap();
    let launch = second.standalone(first.address.clone());
    let error = second.bind(launch).await.err();
    assert!(matches!(error, Some(WorkerError::SocketInUse { .. })), "{error:?}");
    assert_eq!(first.client().await.post("").await.text(), "ok");
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let (_dir, path) = socket_in_temp_dir();
    fs::write(&path, "precious").unwrap();
    let worker = one_route(ok).build().unwrap();
    let launch = worker.standalone(Address::Unix(path.clone()));
    let error = worker.bind(launch).await.err();
    assert!(matches!(error, Some(WorkerError::NotASocket { .. })), "{error:?}");
    assert_eq!(fs::read_to_string(path).unwrap(), "precious");
}

#[tokio::test]
async fn an_address_that_cannot_be_used_is_named() {
    for address in ["unix:/nowhere/at/all.sock", "tcp:256.0.0.1:1"] {
        let worker = one_route(ok).build().unwrap();
        let launch = worker.standalone(address.parse().unwrap());
        let error = worker.bind(launch).await.err().unwrap().to_string();
        assert_eq!(error, format!("cannot listen on {address}"));
    }
}

#[tokio::test]
async fn a_worker_without_a_gateway_asks_nobody_for_a_token() {
    let worker = one_route(ok).build().unwrap();
    let launch = worker.standalone(Address::Tcp("127.0.0.1:0".into()));
    let (dir, _) = socket_in_temp_dir();
    let worker = run(worker, launch, dir).await;
    assert_eq!(worker.client().await.post("").await.text(), "ok");
}

#[tokio::test]
async fn a_worker_that_is_dropped_closes_its_connections_and_removes_its_socket() {
    let (_dir, path) = socket_in_temp_dir();
    let worker = one_route(ok).build().unwrap();
    let launch = worker.standalone(Address::Unix(path.clone()));
    let bound = worker.bind(launch).await.unwrap();
    let address = bound.address().clone();
    let task = tokio::spawn(bound.run(Default::default()));
    let mut client = crate::support::client::Client::connect(&address).await;
    assert_eq!(client.post("").await.text(), "ok");
    task.abort();
    let _ = task.await;
    assert!(!path.exists());
    crate::support::soon(client.cut()).await;
}
