//! Stories of calls that must show progress.

use std::time::Duration;

use api::worker::Membership;
use fleet::Phase;
use http::StatusCode;
use http_body_util::BodyExt;
use tempfile::TempDir;
use types::{CallId, ErrorCode, Fault, ModelSpec};

use crate::house::House;

const SECOND: Duration = Duration::from_secs(1);

/// One worker, one call at a time, progress every five seconds.
struct Story {
    house: House,
    member: Membership,
    _folder: TempDir,
}

impl Story {
    fn with_answer(answer: &'static str) -> Self {
        let house = House::with(ModelSpec {
            max_concurrency: Some(1),
            progress_timeout_seconds: Some(5.0),
            ..ModelSpec::default()
        });
        let folder = tempfile::tempdir().unwrap();
        let member = house.register(folder.path(), answer);
        Self { house, member, _folder: folder }
    }

    fn beat(&self, call: CallId, idle: Duration) {
        self.house.beat(&self.member, call, idle);
    }

    /// Whether another call gets a place at once.
    async fn has_room(&self) -> bool {
        let mut ask = self.house.call();
        ask.deadline = Some(tokio::time::Instant::now() + SECOND / 10);
        match self.house.dispatcher.call(ask).await {
            Err(fault) => !fault.detail.contains("had no free place"),
            Ok(_) => true,
        }
    }

    fn phase(&self) -> Phase {
        self.house.fleet.view(&self.house.model).unwrap().members[0].phase
    }
}

#[tokio::test]
async fn a_call_without_progress_is_stopped_and_keeps_its_place_until_its_code_ends() {
    let story = Story::with_answer("");
    let call = story.house.call();
    let call_id = call.call_id;
    let dispatcher = story.house.dispatcher.clone();
    let answer = tokio::spawn(async move { dispatcher.call(call).await });
    story.house.settle().await;

    story.beat(call_id, 4 * SECOND);
    story.house.settle().await;
    assert!(!answer.is_finished());

    story.beat(call_id, 6 * SECOND);
    let fault = answer.await.unwrap().err().unwrap();
    assert_eq!(fault.code, ErrorCode::DeadlineExceeded);
    assert_eq!(fault.detail, "no progress for 5 s; the call was stopped");

    assert!(!story.has_room().await, "its code may still run");
    assert_eq!(story.phase(), Phase::Ready, "stopping it may have helped");
    story.house.report_end(&story.member, call_id);
    assert!(story.has_room().await);
}

#[tokio::test]
async fn an_answer_that_stands_still_is_broken_off_where_it_is() {
    const BEGINNING: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n";
    let story = Story::with_answer(BEGINNING);
    let call = story.house.call();
    let call_id = call.call_id;
    let mut body = story.house.dispatcher.call(call).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "hi");

    story.beat(call_id, 6 * SECOND);
    let error = body.frame().await.unwrap().unwrap_err();
    let fault = error.downcast::<Fault>().unwrap();
    assert_eq!(fault.detail, "no progress for 5 s; the call was stopped");
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn a_conversation_may_be_silent() {
    const SWITCH: &str = "HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    let story = Story::with_answer(SWITCH);
    let mut call = story.house.call();
    call.request.headers_mut().insert("connection", "upgrade".parse().unwrap());
    call.request.headers_mut().insert("upgrade", "x".parse().unwrap());
    let call_id = call.call_id;
    let answer = story.house.dispatcher.call(call).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);

    story.beat(call_id, 1000 * SECOND);
    assert!(!story.has_room().await, "it goes on");
    assert_eq!(story.phase(), Phase::Ready);
}
