//! Locks, where the server gives them.

use std::time::Duration;

use bytes::Bytes;
use storage::{File, FileSystem, Kind, LockRequest};

use crate::world::{CHUNKS, World, connect, home, nfs, open, webdav};

const WHOLE: LockRequest =
    LockRequest { exclusive: true, start: 0, length: 0, lease: Duration::from_secs(60) };
const SHARED: LockRequest = LockRequest { exclusive: false, ..WHOLE };
const NOW: Duration = Duration::ZERO;

async fn file(files: &FileSystem) -> File {
    open(files, "locked", "a+").await.expect("opened")
}

async fn is_taken(file: &File, request: LockRequest) -> bool {
    match file.lock(request, NOW).await {
        Ok(()) => false,
        Err(error) if error.kind() == Kind::Locked => true,
        Err(error) => panic!("{error}"),
    }
}

/// One holder at a time, between two connections and between two files of one.
async fn one_holder_at_a_time(mine: &FileSystem, yours: &FileSystem) {
    let (a, b, c) = (file(mine).await, file(yours).await, file(mine).await);
    a.lock(WHOLE, NOW).await.expect("free");
    assert!(is_taken(&b, WHOLE).await, "another connection");
    assert!(is_taken(&c, WHOLE).await, "another file of the same connection");
    a.append(Bytes::from_static(b"1")).await.expect("the holder writes");
    a.unlock().await.expect("given back");
    b.lock(WHOLE, Duration::from_secs(5)).await.expect("free again");
    assert_eq!(b.stat().await.expect("known").size, 1, "what the holder wrote is seen");
    b.close().await.expect("closed");
    c.lock(WHOLE, Duration::from_secs(5)).await.expect("closing gave it back");
    for file in [a, c] {
        file.close().await.expect("closed");
    }
}

async fn readers_share(mine: &FileSystem, yours: &FileSystem) {
    let (a, b, c) = (file(mine).await, file(yours).await, file(mine).await);
    a.lock(SHARED, NOW).await.expect("free");
    b.lock(SHARED, NOW).await.expect("shared");
    c.lock(SHARED, NOW).await.expect("shared within a connection");
    a.unlock().await.expect("given back");
    let d = file(yours).await;
    assert!(is_taken(&d, WHOLE).await, "two readers are left");
    b.unlock().await.expect("given back");
    assert!(is_taken(&d, WHOLE).await, "one reader is left");
    c.unlock().await.expect("given back");
    d.lock(WHOLE, Duration::from_secs(5)).await.expect("free");
    for file in [a, b, c, d] {
        file.close().await.expect("closed");
    }
}

#[tokio::test]
async fn nfs_4_1_has_locks_between_and_within_connections() {
    let Some((server, world)) = crate::ganesha::world().await else { return };
    let target = nfs(server.port, "/export", Duration::from_secs(20));
    let other = connect(target, 0).await.expect("connected");
    one_holder_at_a_time(&world.files, &other).await;
    readers_share(&world.files, &other).await;
}

#[tokio::test]
async fn nfs_4_1_locks_ranges() {
    let Some((server, world)) = crate::ganesha::world().await else { return };
    let target = nfs(server.port, "/export", Duration::from_secs(20));
    let other = connect(target, 0).await.expect("connected");
    let (a, b) = (file(&world.files).await, file(&other).await);
    let range = |start, length| LockRequest { start, length, ..WHOLE };
    a.lock(range(0, 10), NOW).await.expect("free");
    a.lock(range(20, 10), NOW).await.expect("free");
    b.lock(range(10, 10), NOW).await.expect("between the two");
    assert!(is_taken(&b, range(25, 1)).await);
    a.unlock().await.expect("both given back");
    b.lock(range(25, 1), Duration::from_secs(5)).await.expect("free");
    a.close().await.expect("closed");
    b.close().await.expect("closed");
}

#[tokio::test]
async fn webdav_has_locks_on_whole_files() {
    let world = World::dav().await;
    let crate::world::Server::Dav(server) = &world.server else { panic!("WebDAV") };
    let other = connect(webdav(server.port), 0).await.expect("connected");
    one_holder_at_a_time(&world.files, &other).await;
}

#[tokio::test]
async fn a_webdav_lock_is_asked_for_longer_than_we_wait_for_it() {
    let world = World::dav().await;
    let file = file(&world.files).await;
    let request = |seconds| LockRequest { lease: Duration::from_secs(seconds), ..WHOLE };
    file.lock(request(2), NOW).await.expect("free");
    file.unlock().await.expect("given back");
    file.lock(request(7200), NOW).await.expect("free");
    file.unlock().await.expect("given back");
    file.lock(SHARED, NOW).await.expect("free");
    let error = file.lock(WHOLE, NOW).await.expect_err("only shared");
    assert_eq!(error.kind(), Kind::Unsupported);
    file.close().await.expect("closed");
    let leases = world.dav_server().knobs.leases.lock().clone();
    assert_eq!(leases, ["Second-3600", "Second-7200", "Second-3600"]);
}

#[tokio::test]
async fn a_file_whose_nfs_lock_was_lost_says_so_until_it_is_opened_again() {
    let Some((mut server, world)) = crate::ganesha::world().await else { return };
    let held = file(&world.files).await;
    let free = open(&world.files, "free", "a+").await.expect("opened");
    held.lock(WHOLE, NOW).await.expect("free");
    server.restart(world.folder.path()).await;
    free.append(Bytes::from_static(b"1")).await.expect("on its way");
    free.close().await.expect("a file without locks goes on");
    let written = held.append(Bytes::from_static(b"1")).await.map(drop);
    let error = written.and(held.flush().await).expect_err("no longer locked");
    assert_eq!(error.kind(), Kind::Stale);
    assert!(error.to_string().contains("lock was lost"), "{error}");
    assert_eq!(held.unlock().await.expect_err("lost").kind(), Kind::Stale);
    assert_eq!(held.stat().await.expect_err("still lost").kind(), Kind::Stale);
    drop(held.close().await);
    let again = file(&world.files).await;
    again.lock(WHOLE, Duration::from_secs(5)).await.expect("free");
    assert_eq!(again.stat().await.expect("known").size, 0, "nothing was written without the lock");
    again.close().await.expect("closed");
}

#[tokio::test]
async fn local_files_have_locks_between_open_files() {
    let world = World::local().await;
    let root = world.folder.path().to_owned();
    let target = storage::Target::Local { root, chunks: CHUNKS };
    let other = connect(target, 0).await.expect("connected");
    assert_eq!(*other.home(), home());
    one_holder_at_a_time(&world.files, &other).await;
    readers_share(&world.files, &other).await;
}

#[tokio::test]
async fn nfs_3_says_that_it_has_no_locks() {
    let world = World::v3().await;
    let file = file(&world.files).await;
    let error = file.lock(WHOLE, NOW).await.expect_err("no locks");
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.to_string().contains("NFS 4.1"), "{error}");
    file.close().await.expect("closed");
}
