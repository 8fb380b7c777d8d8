//! The same story on every server: it behaves like a local folder.

use bytes::Bytes;
use storage::{EntryKind, Kind};

use crate::world::{World, noise, open, read};

/// Declares one test per kind of server for each story.
macro_rules! on_every_server {
    ($($story:ident),* $(,)?) => {
        mod local { $(#[tokio::test] async fn $story() { super::$story(crate::world::World::local().await).await; })* }
        mod nfs3 { $(#[tokio::test] async fn $story() { super::$story(crate::world::World::v3().await).await; })* }
        mod webdav { $(#[tokio::test] async fn $story() { super::$story(crate::world::World::dav().await).await; })* }
        mod nfs41 { $(#[tokio::test] async fn $story() {
            if let Some((_server, world)) = crate::ganesha::world().await { super::$story(world).await; }
        })* }
    };
}

on_every_server!(
    what_is_written_is_read,
    a_large_file_goes_in_many_chunks,
    a_file_can_be_changed_in_the_middle,
    appending_goes_to_the_end,
    exclusive_creation_refuses_a_name_that_is_taken,
    folders_are_made_listed_and_removed,
    failures_have_the_kinds_of_a_local_file,
    renaming_replaces_a_file,
    a_copy_is_another_file,
    a_whole_file_is_replaced_in_one_step,
);

async fn what_is_written_is_read(world: World) {
    world.write("a/b/c.txt", b"hello").await;
    assert_eq!(std::fs::read(world.inside("a/b/c.txt")).expect("on the server"), b"hello");
    assert_eq!(world.read("gmifs://a/b/c.txt").await, b"hello");
    let meta = world.files.stat("a/b/c.txt", true).await.expect("known");
    assert_eq!((meta.kind, meta.size), (EntryKind::File, 5));
    assert!(meta.modified > 1.6e9, "{}", meta.modified);
    world.write("a/b/c.txt", b"").await;
    assert_eq!(world.read("a/b/c.txt").await, b"");
}

async fn a_large_file_goes_in_many_chunks(world: World) {
    let data = noise(1_000_003);
    world.write("large", &data).await;
    assert_eq!(std::fs::read(world.inside("large")).expect("on the server"), data);
    assert_eq!(world.read("large").await, data);

    let file = open(&world.files, "large", "r").await.expect("opened");
    let mut whole = Vec::new();
    loop {
        let pieces = file.read_at(whole.len() as u64, 10_000).await.expect("read");
        if pieces.is_empty() {
            break;
        }
        whole.extend(pieces.concat());
    }
    assert!(whole == data, "read in order");
    let piece = file.read_at(500_001, 7).await.expect("read");
    assert_eq!(piece.concat(), data[500_001..500_008]);
    assert!(file.read_at(2_000_000, 7).await.expect("nothing").is_empty());
    file.close().await.expect("closed");
}

async fn a_file_can_be_changed_in_the_middle(world: World) {
    world.write("f", b"0123456789").await;
    let file = open(&world.files, "f", "r+").await.expect("opened");
    file.write_at(3, Bytes::from_static(b"abc")).await.expect("written");
    file.write_at(4, Bytes::from_static(b"X")).await.expect("written over it");
    assert_eq!(file.read_at(0, 100).await.expect("read").concat(), b"012aXc6789");
    file.write_at(12, Bytes::from_static(b"z")).await.expect("written beyond the end");
    file.set_size(14).await.expect("made longer");
    assert_eq!(file.stat().await.expect("known").size, 14);
    file.close().await.expect("closed");
    assert_eq!(world.read("f").await, b"012aXc6789\0\0z\0");
    let file = open(&world.files, "f", "r+").await.expect("opened");
    file.set_size(2).await.expect("cut");
    file.close().await.expect("closed");
    assert_eq!(world.read("f").await, b"01");
}

async fn appending_goes_to_the_end(world: World) {
    for line in ["one\n", "two\n"] {
        let file = open(&world.files, "log", "a").await.expect("opened");
        file.append(Bytes::from(line)).await.expect("written");
        file.close().await.expect("closed");
    }
    assert_eq!(world.read("log").await, b"one\ntwo\n");
}

async fn exclusive_creation_refuses_a_name_that_is_taken(world: World) {
    let file = open(&world.files, "new/x", "x").await.expect("made");
    file.write_at(0, Bytes::from_static(b"mine")).await.expect("written");
    file.close().await.expect("closed");
    let error = open(&world.files, "new/x", "x").await.expect_err("taken");
    assert_eq!(error.kind(), Kind::AlreadyExists);
    assert_eq!(world.read("new/x").await, b"mine");
    let names = world.files.list("new").await.expect("listed");
    assert_eq!(names.len(), 1, "no draft stays: {names:?}");
}

async fn folders_are_made_listed_and_removed(world: World) {
    let files = &world.files;
    files.make_directory("d/e", true, false).await.expect("made");
    files.make_directory("d/e", true, true).await.expect("there already");
    let error = files.make_directory("d/e", true, false).await.expect_err("there already");
    assert_eq!(error.kind(), Kind::AlreadyExists);
    let error = files.make_directory("x/y", false, false).await.expect_err("no x");
    assert_eq!(error.kind(), Kind::NotFound);
    world.write("d/一 & two%20.txt", b"12").await;
    let entries = files.list("d").await.expect("listed");
    let known: Vec<_> = entries.iter().map(|e| (e.name.as_str(), e.meta.kind)).collect();
    assert_eq!(known, [("e", EntryKind::Directory), ("一 & two%20.txt", EntryKind::File)]);
    assert_eq!(entries[1].meta.size, 2);
    let error = files.remove_directory("d").await.expect_err("not empty");
    assert_eq!(error.kind(), Kind::NotEmpty);
    files.remove_directory("d/e").await.expect("removed");
    files.remove_file("d/一 & two%20.txt").await.expect("removed");
    files.remove_directory("d").await.expect("removed");
    assert!(files.list("").await.expect("listed").is_empty());
}

async fn failures_have_the_kinds_of_a_local_file(world: World) {
    let files = &world.files;
    world.write("f", b"x").await;
    files.make_directory("d", false, false).await.expect("made");
    let kind = |error: storage::Error| error.kind();
    assert_eq!(read(files, "none").await.map_err(kind), Err(Kind::NotFound));
    assert_eq!(files.stat("none", true).await.map_err(kind), Err(Kind::NotFound));
    assert_eq!(files.remove_file("none").await.map_err(kind), Err(Kind::NotFound));
    assert_eq!(files.remove_file("d").await.map_err(kind), Err(Kind::IsADirectory));
    assert_eq!(open(files, "d", "w").await.map_err(kind).err(), Some(Kind::IsADirectory));
    assert_eq!(open(files, "", "r").await.map_err(kind).err(), Some(Kind::IsADirectory));
    assert_eq!(files.list("f").await.map_err(kind).err(), Some(Kind::NotADirectory));
    assert_eq!(files.rename("d", "d/e").await.map_err(kind), Err(Kind::Invalid));
    let file = open(files, "f", "r").await.expect("opened");
    assert_eq!(file.write_at(0, Bytes::from_static(b"y")).await.map_err(kind), Err(Kind::Closed));
    file.close().await.expect("closed");
    file.close().await.expect("closed again");
    assert_eq!(file.read_at(0, 1).await.map_err(kind), Err(Kind::Closed));
}

async fn renaming_replaces_a_file(world: World) {
    world.write("old", b"new content").await;
    world.write("there", b"x").await;
    world.files.rename("old", "there").await.expect("renamed");
    assert_eq!(world.read("there").await, b"new content");
    let error = world.files.stat("old", true).await.expect_err("gone");
    assert_eq!(error.kind(), Kind::NotFound);
    world.files.make_directory("d", false, false).await.expect("made");
    world.write("d/kept", b"1").await;
    assert!(world.files.rename("there", "d").await.is_err(), "a folder is not replaced");
    assert_eq!(world.read("d/kept").await, b"1");
}

async fn a_copy_is_another_file(world: World) {
    let data = noise(50_000);
    world.write("a", &data).await;
    world.files.copy("a", "b").await.expect("copied");
    world.write("a", b"changed").await;
    assert!(world.read("b").await == data);
    let error = world.files.copy("b", "./b").await.expect_err("onto itself");
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(world.read("b").await == data, "and nothing is lost");
}

async fn a_whole_file_is_replaced_in_one_step(world: World) {
    world.files.write("out/result.json", Bytes::from_static(b"{}")).await.expect("written");
    world.files.write("out/result.json", Bytes::from_static(b"[1]")).await.expect("replaced");
    assert_eq!(world.read("out/result.json").await, b"[1]");
    assert_eq!(world.files.list("out").await.expect("listed").len(), 1);
    let error = world.files.read("out/result.json", 2).await.expect_err("too large");
    assert_eq!(error.kind(), Kind::FileTooLarge);
    let long = "n".repeat(250);
    world.files.write(&long, Bytes::from_static(b"1")).await.expect("a name may be that long");
    world.files.make_directory("d", false, false).await.expect("made");
    world.files.write("d", Bytes::from_static(b"1")).await.expect_err("a folder");
    let names: Vec<_> = world.files.list("").await.expect("listed");
    let names: Vec<_> = names.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["d", &long, "out"], "no draft stays");
}
