//! Nobody gets out of the user's folder: not by text, not by a link, not by what is renamed.

use std::{fs, os::unix::fs::symlink};

use bytes::Bytes;
use storage::{EntryKind, Kind, Result};

use crate::world::{World, open, read};

fn kind<T>(outcome: Result<T>) -> Option<Kind> {
    outcome.err().map(|error| error.kind())
}

/// A neighbour's file, and links to it in the user's folder.
fn with_a_neighbour(world: &World) {
    let you = world.folder.path().join("u-1/jfs/org/you");
    fs::create_dir_all(&you).expect("a neighbour");
    fs::write(you.join("secret"), "not yours").expect("a secret");
    symlink("../you/secret", world.inside("direct")).expect("a link");
    symlink("../you", world.inside("folder")).expect("a link");
    symlink(&you, world.inside("absolute")).expect("a link");
    symlink("direct", world.inside("twice")).expect("a link");
    symlink("loop", world.inside("loop")).expect("a link");
}

async fn every_operation_refuses(world: World) {
    with_a_neighbour(&world);
    let files = &world.files;
    let outside = Some(Kind::Outside);
    for path in ["direct", "folder/secret", "absolute/secret", "twice", "../you/secret"] {
        assert_eq!(kind(read(files, path).await), outside, "reading {path}");
        assert_eq!(kind(open(files, path, "w").await), outside, "writing {path}");
        assert_eq!(kind(files.stat(path, true).await), outside, "{path}");
        assert_eq!(kind(files.set_permissions(path, 0o777).await), outside, "{path}");
        assert_eq!(kind(files.copy(path, "stolen").await), outside, "copying {path}");
    }
    assert_eq!(kind(files.list("folder").await), outside);
    assert_eq!(kind(files.list("..").await), outside);
    assert_eq!(kind(files.make_directory("folder/mine", false, false).await), outside);
    assert_eq!(kind(files.remove_file("folder/secret").await), outside);
    assert_eq!(kind(files.rename("folder/secret", "mine").await), outside);
    world.write("mine", b"1").await;
    assert_eq!(kind(files.rename("mine", "folder/planted").await), outside);
    assert_eq!(kind(files.rename("mine", "../you/planted").await), outside);
    assert_eq!(kind(open(files, "folder/new/deep", "w").await), outside);
    assert_eq!(kind(read(files, "loop").await), Some(Kind::TooManyLinks));
    let you = world.folder.path().join("u-1/jfs/org/you");
    assert_eq!(fs::read(you.join("secret")).expect("untouched"), b"not yours");
    assert_eq!(fs::read_dir(&you).expect("listed").count(), 1, "nothing was planted");
}

/// A link itself is the user's: it can be seen, replaced and removed.
async fn a_link_is_only_a_name(world: World) {
    with_a_neighbour(&world);
    let files = &world.files;
    assert_eq!(files.stat("direct", false).await.expect("known").kind, EntryKind::Link);
    world.write("mine", b"1").await;
    files.rename("mine", "direct").await.expect("the link is replaced, not followed");
    files.remove_file("twice").await.expect("the link is removed");
    let secret = world.folder.path().join("u-1/jfs/org/you/secret");
    assert_eq!(fs::read(secret).expect("untouched"), b"not yours");
}

/// Links within the folder work as on a disk.
async fn links_within_are_followed(world: World) {
    world.write("real/file", b"found").await;
    symlink("real", world.inside("by-folder")).expect("a link");
    symlink("../real/file", world.inside("real/by-name")).expect("a link");
    assert_eq!(world.read("by-folder/file").await, b"found");
    assert_eq!(world.read("by-folder/by-name").await, b"found");
    let file = open(&world.files, "by-folder/by-name", "r+").await.expect("opened");
    file.write_at(0, Bytes::from_static(b"F")).await.expect("written");
    file.close().await.expect("closed");
    assert_eq!(world.read("real/file").await, b"Found");
}

macro_rules! on_servers_with_links {
    ($($story:ident),* $(,)?) => {
        mod local { $(#[tokio::test] async fn $story() { super::$story(crate::world::World::local().await).await; })* }
        mod nfs3 { $(#[tokio::test] async fn $story() { super::$story(crate::world::World::v3().await).await; })* }
        mod nfs41 { $(#[tokio::test] async fn $story() {
            if let Some((_server, world)) = crate::ganesha::world().await { super::$story(world).await; }
        })* }
    };
}

on_servers_with_links!(every_operation_refuses, a_link_is_only_a_name, links_within_are_followed);

#[tokio::test]
async fn webdav_paths_stay_in_the_users_folder_whatever_they_are_made_of() {
    let world = World::dav().await;
    let you = world.folder.path().join("u-1/jfs/org/you");
    fs::create_dir_all(&you).expect("a neighbour");
    fs::write(you.join("secret"), "not yours").expect("a secret");
    assert_eq!(kind(read(&world.files, "../you/secret").await), Some(Kind::Outside));
    // Encoded dots and slashes are plain names to us, and must be to the server.
    for path in ["%2e%2e/you/secret", "..%2fyou%2fsecret", "a?b#c"] {
        assert_eq!(kind(read(&world.files, path).await), Some(Kind::NotFound), "{path}");
    }
}

#[tokio::test]
async fn a_link_in_the_way_to_the_users_folder_is_refused() {
    let world = World::v3().await;
    let org = world.folder.path().join("u-1/jfs/org");
    fs::rename(org.join("me"), org.join("you")).expect("moved");
    symlink("you", org.join("me")).expect("a link");
    let target =
        crate::world::nfs(world.v3_server().port, "/export", std::time::Duration::from_secs(20));
    let files = crate::world::connect(target, 0).await.expect("connected");
    assert_eq!(kind(files.list("").await), Some(Kind::NotADirectory));
}
