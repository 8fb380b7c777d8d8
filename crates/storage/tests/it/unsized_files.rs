//! A WebDAV server that does not say how long files are: unknown is not empty.

use std::{sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use storage::LockRequest;

use crate::world::{World, open};

async fn silent_world() -> World {
    let world = World::dav().await;
    world.write("log", b"old ").await;
    world.dav_server().knobs.silent.store(true, Ordering::Relaxed);
    world
}

#[tokio::test]
async fn it_is_read_and_measured_by_what_comes() {
    let world = silent_world().await;
    assert_eq!(world.read("log").await, b"old ");
    let file = open(&world.files, "log", "r").await.expect("opened");
    assert_eq!(file.stat().await.expect("known").size, 4);
    file.close().await.expect("closed");
}

#[tokio::test]
async fn appending_keeps_what_was_there() {
    let world = silent_world().await;
    let file = open(&world.files, "log", "a").await.expect("opened");
    file.append(Bytes::from_static(b"new ")).await.expect("written");
    file.close().await.expect("closed");
    assert_eq!(world.read("log").await, b"old new ");
}

#[tokio::test]
async fn appending_under_a_lock_keeps_what_was_there() {
    let world = silent_world().await;
    let file = open(&world.files, "log", "a").await.expect("opened");
    let lease = Duration::from_secs(60);
    let whole = LockRequest { exclusive: true, start: 0, length: 0, lease };
    file.lock(whole, Duration::ZERO).await.expect("free");
    file.append(Bytes::from_static(b"new ")).await.expect("written");
    file.close().await.expect("closed");
    assert_eq!(world.read("log").await, b"old new ");
}
