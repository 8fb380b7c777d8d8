//! A commit that fails loses nothing: the next one does all of it.

use std::{sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use storage::Kind;

use crate::{
    servers::{proxy::Proxy, v3},
    world::{World, connect, nfs, noise, open},
};

#[tokio::test]
async fn an_upload_that_failed_is_done_by_the_next_flush_or_close() {
    let world = World::dav().await;
    for name in ["flushed", "closed"] {
        let file = open(&world.files, name, "w").await.expect("opened");
        file.write_at(0, Bytes::from_static(b"precious")).await.expect("kept here");
        world.dav_server().knobs.full.store(1, Ordering::Relaxed);
        assert_eq!(file.flush().await.expect_err("full").kind(), Kind::NoSpace);
        if name == "flushed" {
            file.flush().await.expect("stored");
            assert_eq!(world.read(name).await, b"precious");
        }
        file.close().await.expect("stored");
        assert_eq!(world.read(name).await, b"precious");
    }
}

#[tokio::test]
async fn a_webdav_file_opened_to_be_replaced_stays_until_its_successor_is_there() {
    let world = World::dav().await;
    world.write("f", b"old").await;
    let file = open(&world.files, "f", "w").await.expect("opened");
    assert_eq!(file.stat().await.expect("known").size, 0, "to us it is empty");
    file.write_at(0, Bytes::from_static(b"new")).await.expect("kept here");
    world.dav_server().knobs.full.store(1, Ordering::Relaxed);
    assert_eq!(file.close().await.expect_err("full").kind(), Kind::NoSpace);
    assert_eq!(world.read("f").await, b"old");
    let file = open(&world.files, "f", "w").await.expect("opened");
    file.close().await.expect("closed");
    assert_eq!(world.read("f").await, b"", "nothing was written, and that is what it holds");
}

#[tokio::test]
async fn a_commit_that_the_nfs_server_refused_is_asked_for_again() {
    let world = World::v3().await;
    let commits = &world.v3_server().knobs.failing_commits;
    let file = open(&world.files, "f", "w").await.expect("opened");
    file.write_at(0, Bytes::from(noise(50_000))).await.expect("on its way");
    commits.store(2, Ordering::Relaxed);
    for _ in 0..2 {
        assert_eq!(file.flush().await.expect_err("not committed").kind(), Kind::NoSpace);
    }
    file.flush().await.expect("committed");
    assert_eq!(commits.load(Ordering::Relaxed), 0, "each flush asked the server");
    file.close().await.expect("closed");
}

#[tokio::test]
async fn what_a_restarted_server_lost_is_kept_until_it_could_be_written_again() {
    let world = World::v3().await;
    let proxy = Proxy::start(world.v3_server().port).await.expect("a proxy");
    let target = nfs(proxy.port, "/export", Duration::from_secs(20));
    let files = connect(target, 0).await.expect("connected");
    let data = noise(50_000);
    let file = open(&files, "f", "w+").await.expect("opened");
    file.write_at(0, Bytes::copy_from_slice(&data)).await.expect("on its way");
    file.stat().await.expect("answered");
    // It restarts with nothing of the file, and no room for all of it.
    let next = v3::Server::start(world.folder.path()).await.expect("a server");
    next.knobs.capacity.store(20_000, Ordering::Relaxed);
    proxy.cut(next.port);
    let on_disk = std::fs::OpenOptions::new().write(true).open(world.inside("f"));
    on_disk.and_then(|file| file.set_len(0)).expect("lost");
    assert_eq!(file.flush().await.expect_err("full").kind(), Kind::NoSpace);
    next.knobs.capacity.store(u64::MAX, Ordering::Relaxed);
    file.flush().await.expect("written again");
    assert!(std::fs::read(world.inside("f")).expect("there") == data);
    file.close().await.expect("closed");
}
