//! Results that are too large for the store.

use api::task::TaskState;
use tasks::{ResultSettings, TaskFilter, TaskSettings};

use crate::house::{House, json, result, spec};

fn settings(folder: Option<std::path::PathBuf>) -> TaskSettings {
    let results = ResultSettings { folder, inline_bytes_max: 1000 };
    TaskSettings { results, ..TaskSettings::default() }
}

fn large() -> String {
    format!("[\"{}\"]", "a".repeat(100_000))
}

#[tokio::test]
async fn a_large_result_is_read_whole_and_only_its_size_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::with(spec(), settings(Some(folder.path().join("results"))));
    house.declare(1, |_| async { Ok(json(200, large())) });
    let view = house.end(house.submit().await).await;
    assert_eq!((view.state, result(&view)), (TaskState::Completed, &*large()));
    let files = std::fs::read_dir(folder.path().join("results")).unwrap().count();
    assert_eq!(files, 1);
    let listed = house.tasks.list(TaskFilter::default(), None, 10).await.unwrap().tasks;
    assert_eq!(result(&listed[0]), r#"{"result_omitted":true,"bytes":100004}"#);
}

#[tokio::test]
async fn without_a_folder_a_large_result_fails_its_task_at_once() {
    let house = House::with(spec(), settings(None));
    let endpoint = house.declare(1, |_| async { Ok(json(200, large())) });
    let view = house.end(house.submit().await).await;
    assert_eq!(
        (view.state, view.error_code.as_deref()),
        (TaskState::Failed, Some("body_too_large"))
    );
    assert!(result(&view).contains("set `store.results_dir`"), "{view:?}");
    assert_eq!(endpoint.calls(), 1);
}
