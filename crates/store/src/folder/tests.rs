//! What is kept is whole, and what is not is gone.

use std::{fs, time::Duration};

use super::{Folder, FolderError};

const MANY: u64 = 1 << 20;

fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_content_has_its_name_only_once_it_is_whole() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path(), MANY).unwrap();
    let mut file = folder.begin().await.unwrap();
    file.write(b"one ").await.unwrap();
    file.write(b"two").await.unwrap();
    assert!(!folder.path("a").exists());
    assert_eq!(file.keep("a").await.unwrap(), 7);
    assert_eq!(fs::read(folder.path("a")).unwrap(), b"one two");

    let mut left = folder.begin().await.unwrap();
    left.write(b"half").await.unwrap();
    drop(left);
    assert_eq!(names(place.path()), ["a", "folder.id"]);
    folder.remove("a").await.unwrap();
    folder.remove("a").await.unwrap();
    assert_eq!(names(place.path()), ["folder.id"]);
}

#[tokio::test]
async fn the_bound_holds_for_all_contents_together_and_for_the_next_server() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path(), 136).unwrap();
    let mut first = folder.begin().await.unwrap();
    first.write(&[b'x'; 60]).await.unwrap();
    let mut second = folder.begin().await.unwrap();
    let refused = second.write(&[b'x'; 60]).await.unwrap_err();
    assert!(matches!(refused, FolderError::Full { bytes_max: 136 }), "{refused}");
    second.write(&[b'x'; 40]).await.unwrap();
    drop(second);
    first.keep("a").await.unwrap();

    let folder = Folder::open(place.path(), 136).unwrap();
    let mut third = folder.begin().await.unwrap();
    third.write(&[b'x'; 41]).await.unwrap_err();
    folder.remove("a").await.unwrap();
    third.write(&[b'x'; 100]).await.unwrap();
}

#[tokio::test]
async fn a_folder_keeps_its_id_and_tells_what_is_old() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path(), MANY).unwrap();
    assert_eq!(Folder::open(place.path(), MANY).unwrap().id(), folder.id());
    assert_ne!(Folder::open(&place.path().join("other"), MANY).unwrap().id(), folder.id());
    folder.begin().await.unwrap().keep("a").await.unwrap();
    fs::remove_dir(place.path().join("other")).unwrap_err();
    assert!(folder.older_than(Duration::ZERO).await.unwrap().contains(&"a".to_owned()));
    assert_eq!(folder.older_than(Duration::from_secs(60)).await.unwrap(), Vec::<String>::new());
}
