//! What is old and nobody's goes, and nothing else.

use std::{sync::Arc, time::Duration};

use api::openai::{BatchStatus, RequestCounts};
use store::{Folder, MemoryStore};
use tempfile::TempDir;
use types::{Tenant, Timestamp};

use super::{remove_expired, remove_orphans};
use crate::{
    Files, NewFileInfo,
    record::{BatchRecord, FileRecord, Results, Sealed, Times},
    shelf::{Shelf, Stored},
};

fn files() -> (TempDir, Files) {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path(), 1 << 20).unwrap();
    (place, Files::new(Shelf(Arc::new(MemoryStore::new())), folder, 1 << 20))
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
    let output = results.map(|name| Results { id: name.into(), content: name.into(), bytes: 2 });
    let sealed = output.map(|output| Sealed { status, output: Some(output), errors: None });
    let record = BatchRecord {
        endpoint: "/v1/embeddings".into(),
        input_file_id: "file-1".into(),
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
    let known = upload(&files).await;
    let all =
        ["file-orphan", "file-awaited", "batch_open.1", "batch_over.1", "batch_none.2", "notes"];
    for name in all {
        content(&files, name).await;
    }
    batch(&files, "batch_open", BatchStatus::Finalizing, Some("file-awaited")).await;
    batch(&files, "batch_over", BatchStatus::Completed, None).await;
    remove_orphans(&files, Duration::from_secs(60)).await.unwrap();
    assert!(all.iter().all(|name| files.folder.path(name).exists()), "they are young");
    remove_orphans(&files, Duration::ZERO).await.unwrap();
    let left: Vec<_> = all.into_iter().filter(|name| files.folder.path(name).exists()).collect();
    assert_eq!(left, ["file-awaited", "batch_open.1", "notes"]);
    assert!(files.folder.path(&known).exists());
}
