//! Servers that are slow, full, cut off, or killed in the middle.

use std::{sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use storage::Kind;

use crate::{
    ganesha::Ganesha,
    servers::{dav, proxy::Proxy, v3},
    world::{World, connect, nfs, noise, open, read, webdav, write},
};

const PATIENT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_broken_connection_is_made_again_while_reading_and_writing() {
    let world = World::v3().await;
    let port = world.v3_server().port;
    let proxy = Proxy::start(port).await.expect("a proxy");
    let files = connect(nfs(proxy.port, "/export", PATIENT), 0).await.expect("connected");
    let data = noise(400_000);
    let file = open(&files, "f", "w+").await.expect("opened");
    for (at, piece) in data.chunks(50_000).enumerate() {
        let offset = at as u64 * 50_000;
        file.write_at(offset, Bytes::copy_from_slice(piece)).await.expect("written");
        proxy.cut(port);
    }
    file.flush().await.expect("on the disk");
    proxy.cut(port);
    let whole = file.read_at(0, data.len()).await.expect("read").concat();
    assert!(whole == data);
    file.close().await.expect("closed");
}

#[tokio::test]
async fn a_file_stays_open_while_its_server_restarts() {
    let world = World::v3().await;
    let proxy = Proxy::start(world.v3_server().port).await.expect("a proxy");
    let files = connect(nfs(proxy.port, "/export", PATIENT), 0).await.expect("connected");
    let data = noise(100_000);
    let file = open(&files, "f", "w+").await.expect("opened");
    file.write_at(0, Bytes::copy_from_slice(&data[..50_000])).await.expect("written");
    // Another server over the same folder: it knows none of the handles of the first.
    let next = v3::Server::start(world.folder.path()).await.expect("a server");
    proxy.cut(next.port);
    file.write_at(50_000, Bytes::copy_from_slice(&data[50_000..])).await.expect("written");
    file.flush().await.expect("on the disk");
    assert!(file.read_at(0, data.len()).await.expect("read").concat() == data);
    file.close().await.expect("closed");
    assert!(read(&files, "f").await.expect("read") == data);
}

#[tokio::test]
async fn a_file_that_was_replaced_during_a_restart_is_stale_and_not_mixed_up() {
    let world = World::v3().await;
    let proxy = Proxy::start(world.v3_server().port).await.expect("a proxy");
    let files = connect(nfs(proxy.port, "/export", PATIENT), 0).await.expect("connected");
    write(&files, "f", b"mine").await.expect("written");
    let file = open(&files, "f", "r+").await.expect("opened");
    let next = v3::Server::start(world.folder.path()).await.expect("a server");
    proxy.cut(next.port);
    // The old file keeps its number under another name.
    std::fs::rename(world.inside("f"), world.inside("old")).expect("moved");
    std::fs::write(world.inside("f"), "another").expect("replaced");
    let error = file.read_at(0, 4).await.expect_err("another file");
    assert_eq!(error.kind(), Kind::Stale);
    drop(file.close().await);
    assert_eq!(std::fs::read(world.inside("f")).expect("untouched"), b"another");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up_in_time() {
    let world = World::v3().await;
    let target = nfs(world.v3_server().port, "/export", Duration::from_millis(300));
    let files = connect(target, 0).await.expect("connected");
    write(&files, "f", b"x").await.expect("written");
    world.v3_server().knobs.delay_ms.store(60_000, Ordering::Relaxed);
    let error = read(&files, "f").await.expect_err("too slow");
    assert_eq!(error.kind(), Kind::TimedOut);
    assert!(error.to_string().contains("IEOPS_NFS_TIMEOUT"), "{error}");
}

#[tokio::test]
async fn an_absent_server_is_reported_in_time() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("bound").port();
    drop(free);
    let error = connect(nfs(port, "/export", Duration::from_secs(2)), 0).await.expect_err("absent");
    assert!(matches!(error.kind(), Kind::Unavailable | Kind::TimedOut), "{error:?}");
    let error = connect(webdav(port), 0).await.expect_err("absent");
    assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
}

#[tokio::test]
async fn a_full_disk_is_said_at_the_latest_when_the_file_is_closed() {
    let world = World::v3().await;
    world.v3_server().knobs.capacity.store(10_000, Ordering::Relaxed);
    let file = open(&world.files, "f", "w").await.expect("opened");
    let written = file.write_at(0, Bytes::from(noise(20_000))).await;
    let error = written.and(file.close().await).expect_err("full");
    assert_eq!(error.kind(), Kind::NoSpace);
    write(&world.files, "g", b"small").await.expect("small files still fit");
}

#[tokio::test]
async fn a_write_that_failed_is_said_by_flush_once_and_the_file_goes_on() {
    let world = World::v3().await;
    let file = open(&world.files, "f", "w").await.expect("opened");
    world.v3_server().knobs.capacity.store(100, Ordering::Relaxed);
    file.write_at(0, Bytes::from(noise(200))).await.expect("on its way");
    assert_eq!(file.flush().await.expect_err("full").kind(), Kind::NoSpace);
    world.v3_server().knobs.capacity.store(u64::MAX, Ordering::Relaxed);
    file.write_at(0, Bytes::from_static(b"again")).await.expect("written");
    file.close().await.expect("closed");
    assert_eq!(world.read("f").await, b"again");
}

#[tokio::test]
async fn a_killed_4_1_server_loses_nothing_that_was_written() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let Some(mut server) = Ganesha::start(folder.path()).await else { return };
    let files = connect(nfs(server.port, "/export", PATIENT), 0).await.expect("connected");
    let data = noise(200_000);
    let file = open(&files, "f", "w+").await.expect("opened");
    file.write_at(0, Bytes::copy_from_slice(&data[..100_000])).await.expect("written");
    server.restart(folder.path()).await;
    file.write_at(100_000, Bytes::copy_from_slice(&data[100_000..])).await.expect("written");
    file.flush().await.expect("on the disk");
    assert!(file.read_at(0, data.len()).await.expect("read").concat() == data);
    file.close().await.expect("closed");
    assert!(std::fs::read(folder.path().join("u-1/jfs/org/me/f")).expect("there") == data);
}

#[tokio::test]
async fn webdav_survives_a_cut_connection_and_sends_all_again() {
    let world = World::dav().await;
    let crate::world::Server::Dav(dav::Server { port, .. }) = &world.server else {
        panic!("WebDAV")
    };
    let proxy = Proxy::start(*port).await.expect("a proxy");
    let files = connect(webdav(proxy.port), 0).await.expect("connected");
    let data = noise(300_000);
    write(&files, "f", &data).await.expect("written");
    proxy.cut(*port);
    assert!(read(&files, "f").await.expect("read") == data);
    proxy.cut(*port);
    write(&files, "f", &data[..5]).await.expect("written");
    assert_eq!(world.read("f").await, data[..5]);
}

#[tokio::test]
async fn what_is_in_the_cache_is_not_read_again_until_the_file_changes() {
    let world = World::v3_with_cache(1024 * 1024).await;
    let data = noise(100_000);
    world.write("f", &data).await;
    assert!(world.read("f").await == data);
    let reads = || world.v3_server().knobs.reads.load(Ordering::Relaxed);
    let before = reads();
    assert!(world.read("f").await == data);
    assert_eq!(reads(), before, "all of it was at hand");
    let changed = noise(90_000);
    std::fs::write(world.inside("f"), &changed).expect("changed by somebody else");
    assert!(world.read("f").await == changed);
    assert!(reads() > before);
}
