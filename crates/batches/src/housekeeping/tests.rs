//! What is old and nobody's goes, and nothing else.

use std::{sync::Arc, time::Duration};

use api::openai::{BatchStatus, RequestCounts};
use store::{Folder, MemoryStore};
use tempfile::TempDir;
use types::{Tenant, Timestamp};

use super::{remove_expired, tidy};
use crate::{
    Files, NewFileInfo,
    record::{BatchRecord, FileRecord, Results, Sealed, Times},
    shelf::{Shelf, Stored},
};

fn files() -> (TempDir, Files) {
    let place = tempfile::tempdir().unwrap();
    let files = files_in(&place, &MemoryStore::new());
    (place, files)
}

/// The files of a store, with their contents in a folder.
fn files_in(place: &TempDir, store: &MemoryStore) -> Files {
    let folder = Folder::open(place.path(), 1 << 20).unwrap();
    Files::new(Shelf(Arc::new(store.restarted())), folder, 1 << 20)
}

/// Removes all that is left over, whatever its age.
async fn tidied(files: &Files) -> Option<String> {
    tidy(files, Duration::ZERO).await.unwrap()
}

async fn upload(files: &Files) -> String {
    let mut upload = files.begin().await.unwrap();
    upload.write(b"{}").await.unwrap();
    let purpose = Some("batch".into());
    upload.keep(NewFileInfo { purpose, ..NewFileInfo::default() }).await.unwrap().id
}

async fn content(files: &Files, name: &str) {
    let mut file = files.folder.begin().await.unwrap();
    file.write(b"{}").await.unwrap();
    file.keep(name).await.unwrap();
}

async fn batch(files: &Files, id: &str, status: BatchStatus, results: Option<&str>) {
    batch_of(files, id, status, results, "file-1").await;
}

async fn batch_of(
    files: &Files,
    id: &str,
    status: BatchStatus,
    results: Option<&str>,
    input: &str,
) {
    let output = results.map(|name| Results { id: name.into(), content: name.into(), bytes: 2 });
    let sealed = output.map(|output| Sealed { status, output: Some(output), errors: None });
    let record = BatchRecord {
        endpoint: "/v1/embeddings".into(),
        input_file_id: input.into(),
        completion_window: "1h".into(),
        metadata: None,
        output_expires_after: None,
        tenant: Tenant::default(),
        folder: files.folder.id().into(),
        status,
        errors: Vec::new(),
        counts: RequestCounts::default(),
        sealed,
        times: Times::default(),
        lease: None,
        generation: 1,
    };
    let mut stored = Stored { id: id.into(), revision: 0, record };
    assert!(files.shelf.put(&mut stored).await.unwrap());
}

#[tokio::test]
async fn a_file_goes_at_its_time_and_its_content_with_it() {
    let (_place, files) = files();
    let (kept, gone) = (upload(&files).await, upload(&files).await);
    let mut stored = files.shelf.get::<FileRecord>(&gone).await.unwrap().unwrap();
    stored.record.expires = Some(Timestamp::from_millis(5000));
    assert!(files.shelf.put(&mut stored).await.unwrap());
    remove_expired(&files, Timestamp::from_millis(4999)).await.unwrap();
    files.get(&gone).await.unwrap();
    remove_expired(&files, Timestamp::from_millis(5000)).await.unwrap();
    files.get(&gone).await.unwrap_err();
    assert!(!files.folder.path(&gone).exists() && files.folder.path(&kept).exists());
}

#[tokio::test]
async fn contents_that_nobody_knows_go_and_those_of_open_batches_stay() {
    let (_place, files) = files();
    assert_eq!(tidied(&files).await, None);
    let known = upload(&files).await;
    let all =
        ["file-orphan", "file-awaited", "batch_open.1", "batch_over.1", "batch_none.2", "notes"];
    for name in all {
        content(&files, name).await;
    }
    batch(&files, "batch_open", BatchStatus::Finalizing, Some("file-awaited")).await;
    batch(&files, "batch_over", BatchStatus::Completed, None).await;
    assert_eq!(tidy(&files, Duration::from_secs(60)).await.unwrap(), None);
    assert!(all.iter().all(|name| files.folder.path(name).exists()), "they are young");
    assert_eq!(tidied(&files).await, None);
    let left: Vec<_> = all.into_iter().filter(|name| files.folder.path(name).exists()).collect();
    assert_eq!(left, ["file-awaited", "batch_open.1", "notes"]);
    assert!(files.folder.path(&known).exists());
}

#[tokio::test]
async fn a_file_that_an_open_batch_reads_outlives_its_time() {
    let (_place, files) = files();
    let read = upload(&files).await;
    let mut stored = files.shelf.get::<FileRecord>(&read).await.unwrap().unwrap();
    stored.record.expires = Some(Timestamp::from_millis(5000));
    assert!(files.shelf.put(&mut stored).await.unwrap());
    batch_of(&files, "batch_1", BatchStatus::InProgress, None, &read).await;
    remove_expired(&files, Timestamp::from_millis(9000)).await.unwrap();
    assert!(files.get(&read).await.is_ok() && files.folder.path(&read).exists());

    let mut reader = files.shelf.get::<BatchRecord>("batch_1").await.unwrap().unwrap();
    reader.record.status = BatchStatus::Completed;
    assert!(files.shelf.put(&mut reader).await.unwrap());
    remove_expired(&files, Timestamp::from_millis(9000)).await.unwrap();
    files.get(&read).await.unwrap_err();
}

#[tokio::test]
async fn another_store_removes_nothing_of_the_one_that_the_folder_belongs_to() {
    let place = tempfile::tempdir().unwrap();
    let (old, new) = (MemoryStore::new(), MemoryStore::new());
    let first = files_in(&place, &old);
    assert_eq!(tidied(&first).await, None);
    let of_old = upload(&first).await;

    let second = files_in(&place, &new);
    assert_eq!(tidied(&second).await, Some(of_old.clone()));
    let of_new = upload(&second).await;
    assert_eq!(tidied(&second).await, Some(of_old.clone()), "still, now that it is in use");
    let back = files_in(&place, &old);
    assert_eq!(tidied(&back).await, Some(of_new.clone()), "nor does the old one, should it return");
    assert!([&of_old, &of_new].iter().all(|name| back.folder.path(name).exists()));
}

#[tokio::test]
async fn a_folder_without_a_mark_is_not_taken_for_that_of_an_empty_store() {
    let (_place, files) = files();
    content(&files, "file-precious").await;
    upload(&files).await;
    for _ in 0..2 {
        assert_eq!(tidied(&files).await.as_deref(), Some("file-precious"));
    }
    assert!(files.folder.path("file-precious").exists());
}

#[tokio::test]
async fn a_store_that_knows_all_contents_of_a_folder_has_it_from_then_on() {
    let place = tempfile::tempdir().unwrap();
    let (old, new) = (MemoryStore::new(), MemoryStore::new());
    let first = files_in(&place, &old);
    assert_eq!(tidied(&first).await, None);
    let known = upload(&first).await;

    let second = files_in(&place, &new);
    assert_eq!(tidied(&second).await, Some(known.clone()));
    // What an import does.
    let mut moved = first.shelf.get::<FileRecord>(&known).await.unwrap().unwrap();
    moved.revision = 0;
    assert!(second.shelf.put(&mut moved).await.unwrap());
    content(&second, "batch_over.1").await;
    batch(&second, "batch_over", BatchStatus::Completed, None).await;
    assert_eq!(tidied(&second).await, None);
    content(&second, "file-orphan").await;
    assert_eq!(tidied(&second).await, None);
    assert!(!second.folder.path("file-orphan").exists(), "what is left over goes again");
    assert!(!second.folder.path("batch_over.1").exists());
    assert!(second.folder.path(&known).exists());
}
