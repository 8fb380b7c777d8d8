//! Lines as people meet them: whole, and damaged.

use bytes::Bytes;

use super::*;
use crate::{
    FailedAttempt, Notice, Owner, StoredAnswer, Submitted, TaskStore, Webhook,
    conformance::{at, keyed, new_task, raised},
};

/// Everything that a task can have.
async fn full() -> WholeTask {
    let store = crate::MemoryStore::new();
    let mut task = keyed(new_task(), "k\"ey");
    task.request.headers = vec![("x-a".into(), "é\n".into())];
    task.request.body = Bytes::from_static(b"\x89PNG\0\xff");
    task.deadline = Some(at(9));
    task.webhook = Some(Webhook { url: "https://hooks.example".into(), events: Vec::new() });
    let id = task.id;
    assert_eq!(store.submit(task).await.unwrap(), Submitted::New);
    let mut whole = store.read_whole(None, 1).await.unwrap().tasks.remove(0);
    whole.record.standing.place = crate::Place::Completed;
    whole.record.answer = Some(StoredAnswer { content_type: None, body: "[\u{2028}]".into() });
    whole.record.progress.fraction = Some(0.1 + 0.2);
    let owner = Owner(u64::MAX);
    whole.attempts =
        vec![FailedAttempt { attempt: 1, owner, began: at(1), ended: at(2), error: raised() }];
    whole.notices = vec![Notice { task: id, attempt: 2, state: api::task::TaskState::Completed }];
    whole
}

#[tokio::test]
async fn a_line_reads_back_as_it_was_written_and_is_one_line() {
    let document = PortableDocument {
        kind: "file".into(),
        id: "a".into(),
        label: "".into(),
        body: "{}\n".into(),
    };
    for line in [
        Line::Header,
        Line::Task(Box::new(full().await)),
        Line::Document(document),
        Line::End { tasks: 1, documents: 1 },
    ] {
        let text = line.write().unwrap();
        assert!(!text.contains('\n'), "{text}");
        assert_eq!(Line::read(&text).unwrap(), line);
    }
}

#[tokio::test]
async fn a_damaged_line_names_the_field() {
    let text = Line::Task(Box::new(full().await)).write().unwrap();
    for (from, to, field) in [
        ("\"attempt\":0", "\"attempt\":-1", "task.attempt"),
        ("\"place\":\"completed\"", "\"place\":\"done\"", "task.place"),
        ("\"place\":\"completed\"", "\"place\":\"ready\"", "task.answer"),
        ("\"model\":\"echo\"", "\"model\":\"a b\"", "task.model"),
        ("\"model\":\"echo\"", "\"model\":\"echo\",\"colour\":1", "task.colour"),
        ("\"model\":\"echo\",", "", "task"),
        ("\"base64\":\"iV", "\"base64\":\"?V", "task.request.body.base64"),
        ("\"sha256\":\"", "\"sha256\":\"0", "task.idempotency.sha256"),
        ("handler_failed", "bad_luck", "task.attempts[0].error.code"),
        ("\"state\":\"completed\"", "\"state\":\"queued\"", "task.notices"),
        ("\"progress\":\"0.", "\"progress\":\"x0.", "task.progress"),
    ] {
        assert!(text.contains(from), "{from} in {text}");
        let error = Line::read(&text.replacen(from, to, 1)).unwrap_err();
        assert_eq!(error.field, field, "{error}");
    }
    assert_eq!(Line::read(&text[..text.len() - 1]).unwrap_err().field, ".");
}

#[test]
fn other_files_and_other_versions_are_named() {
    for (text, word) in [
        ("{\"header\":{\"format\":\"other\",\"version\":1}}", "header.format"),
        ("{\"header\":{\"format\":\"modelyard-store\",\"version\":2}}", "this program reads 1"),
        ("id,model", "."),
        ("{\"header\":{\"format\":\"modelyard-store\",\"version\":1}} x", "trailing"),
    ] {
        let error = Line::read(text).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}
