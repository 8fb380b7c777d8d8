//! Calls of workers that die: what is sent again, and what is not.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use api::Body;
use dispatch::Call;
use http::StatusCode;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};
use types::{ErrorCode, ModelKind, ModelSpec};

use crate::house::House;

const FINE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
/// Larger than what is certainly read at once.
const LARGE: usize = 16 * 1024;

fn house(kind: ModelKind) -> House {
    House::with(ModelSpec { kind, ..ModelSpec::default() })
}

fn sized(house: &House, bytes: usize) -> Call {
    let mut call = house.call();
    *call.request.body_mut() = Body::full(vec![b' '; bytes]);
    call
}

async fn answer(mut peer: UnixStream) {
    let mut buffer = vec![0; 2 * LARGE];
    while peer.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {
        if buffer.starts_with(b"POST") {
            let _ = peer.write_all(FINE).await;
        }
    }
}

/// What a process does with a call that reaches it when it was killed and is not gone yet.
async fn close_unread(peer: UnixStream) {
    peer.readable().await.unwrap();
}

/// What a process does that dies of a call.
async fn close_read(mut peer: UnixStream) {
    let mut left = LARGE;
    let mut buffer = vec![0; 2 * LARGE];
    while left > 0 {
        let bytes = peer.read(&mut buffer).await.unwrap();
        // The last piece of a large body is a short one.
        left = if bytes < 1024 { 0 } else { left.saturating_sub(bytes) };
    }
}

#[tokio::test]
async fn a_call_that_a_dying_worker_did_not_read_is_sent_again() {
    let house = house(ModelKind::Python);
    let folder = tempfile::tempdir().unwrap();
    house.register_as(&folder.path().join("w"), |peer, number| async move {
        if number < 3 { close_unread(peer).await } else { answer(peer).await }
    });
    let answer = house.dispatcher.call(sized(&house, 500)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_call_that_may_have_been_read_is_not_sent_again() {
    for (bytes, reads) in [(500, true), (LARGE, true), (LARGE, false)] {
        let house = house(ModelKind::Python);
        let folder = tempfile::tempdir().unwrap();
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = sent.clone();
        house.register_as(&folder.path().join("w"), move |peer, number| {
            counted.store(number, SeqCst);
            async move { if reads { close_read(peer).await } else { close_unread(peer).await } }
        });
        let fault = house.dispatcher.call(sized(&house, bytes)).await.err().unwrap();
        assert_eq!((fault.code, sent.load(SeqCst)), (ErrorCode::WorkerFailed, 1));
    }
}

/// A language model whose workers die of every call, and which of them were called.
async fn deadly(workers: usize) -> (House, tempfile::TempDir, Arc<AtomicUsize>) {
    let house = house(ModelKind::Llm);
    let folder = tempfile::tempdir().unwrap();
    let died = Arc::new(AtomicUsize::new(0));
    for number in 0..workers {
        let (fleet, counted) = (house.fleet.clone(), died.clone());
        let me = Arc::new(parking_lot::Mutex::new(None));
        let known = me.clone();
        let path = folder.path().join(format!("w{number}"));
        let member = house.register_as(&path, move |peer, _| {
            let (fleet, counted, me) = (fleet.clone(), counted.clone(), known.clone());
            async move {
                close_read(peer).await;
                counted.fetch_add(1, SeqCst);
                fleet.leave(me.lock().unwrap());
            }
        });
        *me.lock() = Some(member.worker_id);
    }
    house.settle().await;
    (house, folder, died)
}

#[tokio::test]
async fn a_call_of_a_language_model_whose_worker_dies_is_made_by_its_successor() {
    let (house, folder, died) = deadly(1).await;
    let call = tokio::spawn({
        let (dispatcher, call) = (house.dispatcher.clone(), sized(&house, LARGE));
        async move { dispatcher.call(call).await }
    });
    while died.load(SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    house.register_as(&folder.path().join("next"), |peer, _| answer(peer));
    assert_eq!(call.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_call_that_kills_two_workers_of_a_language_model_kills_no_third() {
    let (house, _folder, died) = deadly(3).await;
    let fault = house.dispatcher.call(sized(&house, LARGE)).await.err().unwrap();
    assert_eq!((fault.code, died.load(SeqCst)), (ErrorCode::WorkerFailed, 2));
}
