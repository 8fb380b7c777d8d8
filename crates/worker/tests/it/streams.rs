//! Answers that come piece by piece.

use std::time::Duration;

use http_body_util::BodyExt;
use worker::{Gone, Incoming, ndjson, sse};

use crate::support::{client::request, one_route, soon, start};

#[tokio::test]
async fn events_are_sent_as_they_come() {
    let worker = start(one_route(|_: Incoming| async {
        Ok(sse::respond(1, |events| async move {
            events.send(&sse::Event::data("one").id("1")).await?;
            // The second comes only after the first was read: the test would stand still.
            tokio::time::sleep(Duration::from_millis(20)).await;
            events.send(&sse::Event::data("two").event("last")).await?;
            Ok(())
        }))
    }))
    .await;
    let mut client = worker.client().await;
    let mut answer = client.begin(request(1, "")).await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_eq!(answer.headers()["cache-control"], "no-cache");
    let first = soon(answer.body_mut().frame()).await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "id: 1\ndata: one\n\n");
    let rest = soon(answer.into_body().collect()).await.unwrap().to_bytes();
    assert_eq!(rest, "event: last\ndata: two\n\n");
}

#[tokio::test]
async fn a_thread_can_feed_a_stream_and_learns_that_its_reader_left() {
    let (gone, told) = std::sync::mpsc::channel();
    let worker = start(one_route(move |_: Incoming| {
        let gone = gone.clone();
        async move {
            let (lines, response) = ndjson::channel(2);
            std::thread::spawn(move || {
                for n in 0.. {
                    if let Err(error) = lines.blocking_send(&n) {
                        let _ = gone.send(error.to_string());
                        return;
                    }
                }
            });
            Ok(response)
        }
    }))
    .await;
    let mut client = worker.client().await;
    let mut answer = client.begin(request(1, "")).await;
    assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
    let first = soon(answer.body_mut().frame()).await.unwrap().unwrap();
    assert!(first.into_data().unwrap().starts_with(b"0\n"));
    client.leave().await;
    let told = tokio::task::spawn_blocking(move || told.recv_timeout(crate::support::PATIENCE));
    assert_eq!(told.await.unwrap().unwrap(), Gone.to_string());
}
