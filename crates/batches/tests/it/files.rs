//! Files, and what a batch is refused for.

use api::openai::{BatchRequest, ExpiresAfter};
use batches::{ListQuery, NewFileInfo};
use types::{ErrorCode, Tenant};

use crate::house::{Ground, until};

fn all() -> ListQuery {
    ListQuery { purpose: None, after: None, oldest_first: false, limit: 100 }
}

fn request(file: &str) -> BatchRequest {
    BatchRequest {
        input_file_id: Some(file.into()),
        endpoint: Some("/invoke/doubler".into()),
        completion_window: Some("24h".into()),
        ..BatchRequest::default()
    }
}

#[tokio::test]
async fn files_are_listed_in_pages_and_by_purpose() {
    let ground = Ground::new();
    let server = ground.server();
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(server.upload(number..number + 1).await);
    }
    let files = server.batches.files();
    let page = files.list(ListQuery { limit: 2, ..all() }).await.unwrap();
    let named = |page: &api::openai::ListPage<api::openai::FileObject>| {
        page.data.iter().map(|file| file.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(named(&page), [ids[4].clone(), ids[3].clone()]);
    assert!(page.has_more);
    let rest = files.list(ListQuery { after: page.last_id, ..all() }).await.unwrap();
    assert_eq!(named(&rest), [ids[2].clone(), ids[1].clone(), ids[0].clone()]);
    assert!(!rest.has_more);
    let oldest = files.list(ListQuery { oldest_first: true, limit: 1, ..all() }).await.unwrap();
    assert_eq!(named(&oldest), [ids[0].clone()]);
    let purpose = Some("batch_output".into());
    assert_eq!(files.list(ListQuery { purpose, ..all() }).await.unwrap().data, []);
}

#[tokio::test]
async fn an_upload_that_is_refused_leaves_nothing() {
    let ground = Ground::new();
    let server = ground.server_with(|settings| settings.file_bytes_max = 10);
    until("the folder is marked", || ground.folder().join("folder.store").exists()).await;
    let files = server.batches.files();
    let mut upload = files.begin().await.unwrap();
    upload.write(b"0123456789").await.unwrap();
    let refused = upload.write(b"x").await.unwrap_err();
    assert_eq!((refused.code, refused.param.as_deref()), (ErrorCode::BodyTooLarge, Some("file")));
    drop(upload);
    for (purpose, seconds, field) in [
        (None, None, "purpose"),
        (Some("assistants"), None, "purpose"),
        (Some("batch"), Some(5), "expires_after.seconds"),
    ] {
        let upload = files.begin().await.unwrap();
        let after = |seconds| ExpiresAfter { anchor: "created_at".into(), seconds };
        let info = NewFileInfo {
            filename: None,
            purpose: purpose.map(Into::into),
            expires_after: seconds.map(after),
        };
        let refused = upload.keep(info).await.unwrap_err();
        assert_eq!(refused.param.as_deref(), Some(field), "{refused}");
    }
    let left = std::fs::read_dir(ground.folder()).unwrap().count();
    assert_eq!(left, 2, "only whose folder it is");
}

#[tokio::test]
async fn a_file_that_a_batch_reads_is_not_deleted() {
    let ground = Ground::new();
    let server = ground.server();
    let file = server.upload(0..3).await;
    let id = server.submit_file(file.clone(), "1h").await;
    let files = server.batches.files();
    let refused = files.delete(&file).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::FileInUse);
    assert!(refused.detail.contains(&id), "{refused}");
    ground.model.open();
    server.end(&id).await;
    assert!(files.delete(&file).await.unwrap().deleted);
    assert_eq!(files.get(&file).await.unwrap_err().code, ErrorCode::FileNotFound);
    assert_eq!(files.delete(&file).await.unwrap_err().code, ErrorCode::FileNotFound);
}

#[tokio::test]
async fn a_batch_that_cannot_be_is_refused_by_its_field() {
    let ground = Ground::new();
    let server = ground.server();
    let file = server.upload(0..1).await;
    let metadata = |name: &str, count: usize| {
        Some((0..count).map(|number| (format!("{name}{number}"), "x".to_owned())).collect())
    };
    let cases = [
        (BatchRequest { input_file_id: None, ..request(&file) }, "input_file_id"),
        (request("file-0"), "input_file_id"),
        (BatchRequest { endpoint: None, ..request(&file) }, "endpoint"),
        (BatchRequest { endpoint: Some("/v1/images".into()), ..request(&file) }, "endpoint"),
        (BatchRequest { completion_window: None, ..request(&file) }, "completion_window"),
        (
            BatchRequest { completion_window: Some("0s".into()), ..request(&file) },
            "completion_window",
        ),
        (
            BatchRequest { completion_window: Some("soon".into()), ..request(&file) },
            "completion_window",
        ),
        (BatchRequest { metadata: metadata("m", 17), ..request(&file) }, "metadata"),
        (BatchRequest { metadata: metadata(&"m".repeat(64), 1), ..request(&file) }, "metadata"),
    ];
    for (request, field) in cases {
        let refused = server.batches.create(request, Tenant::default()).await.unwrap_err();
        assert_eq!(refused.param.as_deref(), Some(field), "{refused}");
    }
    assert_eq!(server.batches.list(None, 10).await.unwrap().data, []);
    let unknown = server.batches.get("batch_0").await.unwrap_err();
    assert_eq!(unknown.code, ErrorCode::BatchNotFound);
}
