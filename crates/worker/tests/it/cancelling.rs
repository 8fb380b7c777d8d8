//! Gone means stopped.

use std::{sync::Arc, time::Duration};

use api::Body;
use http::Response;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio::{io::AsyncWriteExt, net::UnixStream};
use worker::{Incoming, Running, sse};

use crate::support::{
    client::request,
    eventually,
    handlers::{Census, Gate, Queue},
    one_route, soon, start,
};

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_stops_the_work() {
    let gate = Gate::closed();
    let worker = start(one_route(gate.clone())).await;
    worker.client().await.send_and_leave(request(1, "{}"), gate.holds(1)).await;
    gate.holds(0).await;
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_its_body_stops_the_work() {
    // One that is read before the handler is called, and one that the handler reads itself.
    for length in [1_000, 8_000_000] {
        let alive = Census::default();
        let living = alive.clone();
        let worker = start(
            one_route(move |mut incoming: Incoming| {
                let alive = living.born();
                async move {
                    let _alive = alive;
                    Ok(Response::new(Body::full(incoming.read_body().await?)))
                }
            })
            .capacity(1),
        )
        .await;
        let path = worker.dir.path().join("worker.sock");
        let mut raw = UnixStream::connect(path).await.unwrap();
        let head = format!("POST /call HTTP/1.1\r\nhost: w\r\ncontent-length: {length}\r\n\r\n");
        raw.write_all(head.as_bytes()).await.unwrap();
        raw.write_all(&[0; 100]).await.unwrap();

        let mut client = worker.client().await;
        // The place is taken while the body comes, and free again once the client has left.
        soon(async { while client.post("").await.status() != 503 {} }).await;
        drop(raw);
        soon(async { while client.post("").await.status() != 200 {} }).await;
        eventually(|| alive.count() == 0).await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_during_a_stream_stops_its_producer() {
    let alive = Census::default();
    let counted = alive.clone();
    let worker = start(one_route(move |_: Incoming| {
        let producing = counted.born();
        async move {
            Ok(sse::respond(4, |events| async move {
                let _producing = producing;
                events.send(&sse::Event::data("first")).await?;
                std::future::pending().await
            }))
        }
    }))
    .await;
    let mut client = worker.client().await;
    let mut answer = client.begin(request(1, "")).await;
    let first = soon(answer.body_mut().frame()).await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "data: first\n\n");
    assert_eq!(alive.count(), 1);
    client.leave().await;
    eventually(|| alive.count() == 0).await;
}

#[tokio::test]
async fn code_elsewhere_is_told_that_its_client_left() {
    let queue = Queue::default();
    let worker = start(one_route(queue.clone())).await;
    let leaving = worker.client().await;
    leaving.send_and_leave(request(1, ""), queue.holds(1)).await;
    let running = queue.take();
    soon(running.cancelled()).await;
    assert!(running.is_cancelled());
    assert!(!running.begin(), "what has not begun must not begin");
}

#[tokio::test]
async fn a_call_whose_time_is_up_is_stopped_and_answered() {
    let gate = Gate::closed();
    let worker = start(one_route(gate.clone())).await;
    let mut hurried = request(1, "");
    hurried.headers_mut().insert("x-deadline-ms", "30".parse().unwrap());
    let mut client = worker.client().await;
    client.send(hurried).await.is_problem(504, "deadline_exceeded", "in the time");
    gate.holds(0).await;

    gate.let_through(1);
    assert_eq!(client.post("").await.text(), "through", "the connection lives on");
}

#[tokio::test]
async fn a_stream_whose_time_is_up_is_cut() {
    let running = Arc::new(Mutex::new(None::<Running>));
    let kept = running.clone();
    let worker = start(one_route(move |incoming: Incoming| {
        *kept.lock() = Some(incoming.running.clone());
        async move {
            Ok(sse::respond(4, |events| async move {
                events.send(&sse::Event::data("first")).await?;
                std::future::pending().await
            }))
        }
    }))
    .await;
    let mut hurried = request(1, "");
    hurried.headers_mut().insert("x-deadline-ms", "100".parse().unwrap());
    let mut client = worker.client().await;
    let answer = client.begin(hurried).await;
    assert_eq!(answer.status(), 200);
    let rest = soon(answer.into_body().collect()).await;
    assert!(rest.is_err(), "a stream that was cut must not look whole");
    let running = running.lock().take().unwrap();
    soon(running.cancelled()).await;
}

#[tokio::test]
async fn a_slow_reader_stops_its_own_stream_and_no_other() {
    let sent = Arc::new(Mutex::new(0_usize));
    let counter = sent.clone();
    let worker = start(one_route(move |_: Incoming| {
        let counter = counter.clone();
        async move {
            Ok(sse::respond(4, |events| async move {
                let event = sse::Event::data("x".repeat(10_000));
                for _ in 0..1_000 {
                    events.send(&event).await?;
                    *counter.lock() += 1;
                }
                Ok(())
            }))
        }
    }))
    .await;
    let mut slow = worker.client().await;
    let unread = slow.begin(request(1, "")).await;

    // Others get all of theirs while the slow one has its few buffers full.
    let whole = worker.client().await.send(request(2, "")).await;
    assert_eq!(whole.response.body().len(), 1_000 * 10_008);
    let sent_to_the_slow_one = *sent.lock() - 1_000;
    assert!(sent_to_the_slow_one < 500, "{sent_to_the_slow_one} of 1000");

    // It gets all of its own once it reads.
    let body = soon(unread.into_body().collect()).await.unwrap().to_bytes();
    assert_eq!(body.len(), 1_000 * 10_008);
}

#[tokio::test]
async fn a_finished_answer_is_not_a_cancelled_one() {
    let kept = Arc::new(Mutex::new(Vec::<Running>::new()));
    let keep = kept.clone();
    let worker = start(one_route(move |incoming: Incoming| {
        let nth = keep.lock().len();
        keep.lock().push(incoming.running);
        async move {
            Ok(match nth {
                0 => Response::new(Body::full("whole")),
                1 => sse::respond(4, |events| async move {
                    Ok(events.send(&sse::Event::data("streamed")).await?)
                }),
                _ => Response::new(Body::stream(http_body_util::Full::new("known".into()))),
            })
        }
    }))
    .await;
    let mut client = worker.client().await;
    for _ in 0..3 {
        assert_eq!(client.post("").await.status(), 200);
    }
    client.leave().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(kept.lock().iter().all(|running| !running.is_cancelled()));
}
