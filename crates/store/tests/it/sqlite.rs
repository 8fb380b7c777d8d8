//! What only the SQLite store promises: its file, its owner, its errors.

use std::{os::unix::fs::PermissionsExt, sync::Arc, time::Duration};

use api::task::TaskState;
use futures_util::{future::join_all, poll};
use store::{
    SqliteOptions, SqliteStore, StoreError, Submitted, TaskFilter, TaskStore,
    conformance::{answered, at, begin, new_task, submit},
};
use tempfile::TempDir;
use tokio::time::timeout;

fn folder() -> (TempDir, SqliteOptions) {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions::new(folder.path().join("data/tasks.db"));
    (folder, options)
}

#[tokio::test]
async fn the_file_has_one_owner_and_a_second_learns_its_process_id() {
    let (_folder, options) = folder();
    let store = SqliteStore::open(&options).unwrap();
    let error = SqliteStore::open(&options).unwrap_err();
    assert!(
        matches!(error, StoreError::Owned { pid: Some(pid), .. } if pid == std::process::id()),
        "{error}"
    );
    store.check().await.unwrap();
    // The owner is not disturbed, and after it the file is free.
    submit(&store, new_task()).await;
    store.close().await;
    SqliteStore::open(&options).unwrap().close().await;
}

#[tokio::test]
async fn nobody_else_may_read_what_clients_sent() {
    let (_folder, options) = folder();
    let store = SqliteStore::open(&options).unwrap();
    submit(&store, new_task()).await;
    for entry in std::fs::read_dir(options.path.parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        let is_lock = entry.file_name().to_string_lossy().ends_with(".lock");
        assert!(is_lock || mode & 0o077 == 0, "{:?} has mode {mode:o}", entry.file_name());
    }
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let (_folder, options) = folder();
    let store = SqliteStore::open(&options).unwrap();
    let id = submit(&store, new_task()).await;
    store.close().await;
    store.close().await;
    for error in [
        store.submit(new_task()).await.unwrap_err(),
        store.get(id).await.unwrap_err(),
        store.check().await.unwrap_err(),
        store.list(&TaskFilter::default(), None, 1).await.unwrap_err(),
    ] {
        assert!(error.to_string().ends_with("it was closed"), "{error}");
    }
}

#[tokio::test]
async fn what_was_begun_before_closing_is_completed() {
    let (_folder, options) = folder();
    let store = SqliteStore::open(&options).unwrap();
    let tasks: Vec<_> = (0..100).map(|_| new_task()).collect();
    let ids: Vec<_> = tasks.iter().map(|task| task.id).collect();
    let submissions = join_all(tasks.into_iter().map(|task| store.submit(task)));
    let (answers, ()) = tokio::join!(submissions, store.close());
    let store = SqliteStore::open(&options).unwrap();
    for (answer, id) in answers.into_iter().zip(ids) {
        let kept = store.get(id).await.unwrap().is_some();
        assert_eq!(kept, matches!(answer, Ok(Submitted::New)), "{answer:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_as_damaged() {
    let (_folder, options) = folder();
    std::fs::create_dir_all(options.path.parent().unwrap()).unwrap();
    std::fs::write(&options.path, "not a database, but long enough to have a header ".repeat(40))
        .unwrap();
    let error = SqliteStore::open(&options).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn a_path_that_cannot_be_written_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = SqliteStore::open(&SqliteOptions::new(file.join("tasks.db"))).unwrap_err();
    assert!(error.to_string().contains("check that it exists"), "{error}");
}

#[tokio::test]
async fn a_task_that_cannot_be_written_does_not_take_the_others_with_it() {
    let (_folder, options) = folder();
    let store = SqliteStore::open(&options).unwrap();
    let id = submit(&store, new_task()).await;
    // The largest value that SQLite takes has 1,000,000,000 bytes.
    let mut huge = new_task();
    huge.request.body = vec![0; 1_000_000_001].into();
    let small = new_task();
    let (refused, kept) = tokio::join!(store.submit(huge), store.submit(small.clone()));
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    assert_eq!(kept.unwrap(), Submitted::New);
    assert!(store.get(small.id).await.unwrap().is_some());
    assert!(store.get(id).await.unwrap().is_some());
    assert_eq!(store.stats().await.unwrap()[0].count(TaskState::Queued), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_clients_share_commits_and_each_gets_its_own_answer() {
    let (_folder, options) = folder();
    let store = Arc::new(SqliteStore::open(&options).unwrap());
    let clients = (0..64).map(|client| {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 0..20 {
                let mut task = new_task();
                task.request.body = format!("{client}/{number}").into();
                let id = submit(&*store, task.clone()).await;
                // Read at once by another connection: what was answered is visible.
                assert_eq!(store.get(id).await.unwrap().unwrap().request, task.request);
            }
        })
    });
    for client in join_all(clients).await {
        client.unwrap();
    }
    assert_eq!(store.stats().await.unwrap()[0].count(TaskState::Queued), 64 * 20);
}

#[tokio::test]
async fn a_caller_who_leaves_takes_nothing_with_it() {
    let (_folder, options) = folder();
    let store = SqliteStore::open(&options).unwrap();
    let id = submit(&store, new_task()).await;
    for _ in 0..20 {
        // Polled once, so that the job is on its way, and dropped.
        let mut submission = Box::pin(store.submit(new_task()));
        assert!(futures_util::poll!(&mut submission).is_pending());
        let mut read = Box::pin(store.get(id));
        let _ = futures_util::poll!(&mut read);
    }
    let fence = begin(&store, at(1)).await;
    assert_eq!(fence.id, id);
    store.finish(fence, answered("1"), at(2)).await.unwrap();
    let counted = store.stats().await.unwrap();
    let listed = store.list(&TaskFilter::default(), None, 100).await.unwrap().tasks.len() as u64;
    assert_eq!(counted[0].counts.iter().sum::<u64>(), listed);
}

#[tokio::test]
async fn a_reader_that_nobody_looks_after_does_not_keep_others_from_reading() {
    let (_folder, mut options) = folder();
    options.readers_max = 1;
    let store = SqliteStore::open(&options).unwrap();
    let id = submit(&store, new_task()).await;
    let (mut first, mut second) = (store.get(id), store.get(id));
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
    assert!(first.await.unwrap().is_some());
    // Its turn has come, and its caller does something else first.
    let third = timeout(Duration::from_secs(10), store.get(id)).await;
    assert!(third.expect("a place").unwrap().is_some());
    assert!(second.await.unwrap().is_some());
}
