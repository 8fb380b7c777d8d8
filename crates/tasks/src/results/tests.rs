//! Notes in place of results, and files in place of notes.

use store::{
    MemoryStore, TaskStore,
    conformance::{at, begin, new_task, submit},
};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;

const LARGE: &[u8] = b"{\"digits\": 3.140}";

fn results(folder: Option<&TempDir>) -> Results {
    let folder = folder.map(|folder| folder.path().join("results"));
    Results::new(&ResultSettings { folder, inline_bytes_max: 8 })
}

fn answer(content_type: Option<&str>, body: &'static [u8]) -> Outcome {
    let content_type = content_type.map(str::to_owned);
    Outcome::Completed(StoredAnswer { content_type, body: Bytes::from_static(body) })
}

/// A task that ended with what `results` gives to a store.
async fn ended(results: &Results, outcome: Outcome) -> TaskRecord {
    ended_in(&MemoryStore::new(), results, outcome).await
}

async fn ended_in(store: &MemoryStore, results: &Results, outcome: Outcome) -> TaskRecord {
    let id = submit(store, new_task()).await;
    let fence = begin(store, at(1)).await;
    let outcome = results.keep(id, fence.attempt, outcome).await.unwrap();
    store.finish(fence, outcome, at(2)).await.unwrap();
    store.get(id).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_large_result_is_found_again_byte_for_byte_and_a_small_one_needs_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let results = results(Some(&folder));
    let small = ended(&results, answer(None, b"[1]")).await;
    assert!(!is_in_file(&small) && !folder.path().join("results").exists());

    for content_type in [Some("application/json"), Some(NOTE_TYPE), None] {
        let mut large = ended(&results, answer(content_type, LARGE)).await;
        assert!(is_in_file(&large));
        let mut listed = large.clone();
        summarize(&mut listed);
        assert_eq!(listed.answer.unwrap().body, r#"{"result_omitted":true,"bytes":17}"#);
        results.fill(&mut large).await.unwrap();
        let found = large.answer.unwrap();
        assert_eq!((found.content_type.as_deref(), &*found.body), (content_type, LARGE));
    }
}

#[tokio::test]
async fn an_answer_that_looks_like_a_note_is_not_taken_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let results = results(Some(&folder));
    let forged = br#"{"bytes":1}"#;
    let mut record = ended(&results, answer(Some(NOTE_TYPE), forged)).await;
    results.fill(&mut record).await.unwrap();
    assert_eq!(record.answer.unwrap().body, &forged[..]);
}

#[tokio::test]
async fn without_a_folder_a_large_result_is_refused_with_the_remedy() {
    let record = ended(&results(None), answer(None, LARGE)).await;
    let error = record.error.unwrap();
    assert_eq!(error.code, ErrorCode::BodyTooLarge);
    assert!(error.detail.contains("17 bytes"), "{}", error.detail);
    assert!(error.detail.contains("set `store.results_dir`"), "{}", error.detail);
}

#[tokio::test]
async fn a_file_that_is_missing_or_cut_off_is_not_taken_for_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let results = results(Some(&folder));
    let mut record = ended(&results, answer(None, LARGE)).await;
    let file = folder.path().join("results").join(format!("{}.1", record.id));
    std::fs::write(&file, "[").unwrap();
    for _ in 0..2 {
        let fault = results.fill(&mut record).await.unwrap_err();
        assert_eq!(fault.code, ErrorCode::StoreUnavailable);
        let _ = std::fs::remove_file(&file);
    }
}

#[tokio::test]
async fn only_old_files_of_our_own_are_candidates_to_be_removed() {
    let folder = tempfile::tempdir().unwrap();
    let files = Folder::new(folder.path().join("results"));
    assert_eq!(files.older_than(Duration::ZERO).await.unwrap(), []);
    let id = TaskId::new(Uuid::from_u128(7));
    files.write(id, 3, Bytes::from_static(LARGE)).await.unwrap();
    std::fs::write(folder.path().join("results/notes.txt"), "mine").unwrap();
    std::fs::write(folder.path().join(format!("results/{id}.part")), "half").unwrap();
    assert_eq!(files.older_than(Duration::from_secs(60)).await.unwrap(), []);
    let mut found = files.older_than(Duration::ZERO).await.unwrap();
    found.sort_unstable_by_key(|stray| stray.attempt);
    assert_eq!(found.iter().map(|stray| stray.attempt).collect::<Vec<_>>(), [None, Some(3)]);
    for stray in &found {
        files.remove(stray).await.unwrap();
        files.remove(stray).await.unwrap();
    }
    let left = std::fs::read_dir(folder.path().join("results")).unwrap().count();
    assert_eq!(left, 1, "what is not ours stays");
}

#[tokio::test]
async fn a_file_goes_once_no_record_points_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let (results, store) = (results(Some(&folder)), MemoryStore::new());
    let kept = ended_in(&store, &results, answer(None, LARGE)).await;
    let files = results.folder.clone().unwrap();
    // What an attempt wrote that lost its lease, and a task whose time is over.
    files.write(kept.id, 2, Bytes::from_static(LARGE)).await.unwrap();
    files.write(TaskId::new(Uuid::from_u128(7)), 1, Bytes::from_static(LARGE)).await.unwrap();
    remove_strays(&store, &files, Duration::from_secs(60)).await.unwrap();
    assert_eq!(files.older_than(Duration::ZERO).await.unwrap().len(), 3, "they are young");
    remove_strays(&store, &files, Duration::ZERO).await.unwrap();
    let left = files.older_than(Duration::ZERO).await.unwrap();
    let left: Vec<_> = left.iter().map(|file| (file.task, file.attempt)).collect();
    assert_eq!(left, [(kept.id, Some(1))]);
}

#[tokio::test]
async fn files_that_were_never_finished_are_found_whatever_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let results = results(Some(&folder));
    let record = ended(&results, answer(None, LARGE)).await;
    let inside = folder.path().join("results");
    let part = inside.join(format!("{}.{}.part", record.id, Uuid::new_v4().simple()));
    for path in [&part, &inside.join(format!("{}.part", record.id)), &inside.join("notes.txt")] {
        std::fs::write(path, "").unwrap();
    }
    let mut strays = results.folder.unwrap().older_than(Duration::ZERO).await.unwrap();
    strays.sort_by_key(|stray| stray.attempt);
    let attempts: Vec<_> = strays.iter().map(|stray| (stray.task, stray.attempt)).collect();
    assert_eq!(attempts, [(record.id, None), (record.id, None), (record.id, Some(1))]);
}

#[tokio::test]
async fn a_store_that_knows_no_file_at_all_removes_none() {
    let folder = tempfile::tempdir().unwrap();
    let (results, store, other) = (results(Some(&folder)), MemoryStore::new(), MemoryStore::new());
    let kept = ended_in(&store, &results, answer(None, LARGE)).await;
    let files = results.folder.clone().unwrap();
    files.write(kept.id, 2, Bytes::from_static(LARGE)).await.unwrap();
    submit(&other, new_task()).await;
    remove_strays(&other, &files, Duration::ZERO).await.unwrap();
    assert_eq!(files.older_than(Duration::ZERO).await.unwrap().len(), 2);
    remove_strays(&store, &files, Duration::ZERO).await.unwrap();
    assert_eq!(files.older_than(Duration::ZERO).await.unwrap().len(), 1);
}
