//! What peers may send over a WebSocket, well formed or not.

use proptest::{collection::vec, prelude::*};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::{
    sockets::{builder, closed, connect, echo},
    support::{Served, soon, start},
};

const HANDSHAKE: &str = "GET /ws HTTP/1.1\r\nhost: worker\r\nupgrade: websocket\r\n\
    connection: upgrade\r\nsec-websocket-version: 13\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A connection that has switched, and sends whatever bytes a test likes.
async fn switched(worker: &Served) -> UnixStream {
    let mut stream = UnixStream::connect(worker.dir.path().join("worker.sock")).await.unwrap();
    stream.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(stream.read_u8()).await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    stream
}

/// A frame as a client sends it, masked.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x11, 0x22, 0x33, 0x44];
    let mut bytes = vec![first];
    match payload.len() {
        n @ 0..=125 => bytes.push(0x80 | u8::try_from(n).unwrap()),
        n @ 126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(n).unwrap().to_be_bytes());
        }
        n => {
            bytes.push(0x80 | 127);
            bytes.extend((n as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The next frame of the server: its first byte and its payload. `None` at the end.
async fn read_frame(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<(u8, Vec<u8>)> {
    let first = stream.read_u8().await.ok()?;
    let length = match stream.read_u8().await.ok()? {
        126 => u64::from(stream.read_u16().await.ok()?),
        127 => stream.read_u64().await.ok()?,
        short => u64::from(short),
    };
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut payload).await.ok()?;
    Some((first, payload))
}

/// The code with which the server closes after it was sent these bytes.
async fn closed_after(worker: &Served, bytes: &[u8]) -> Option<u16> {
    let mut stream = switched(worker).await;
    // The server may close before all was sent.
    let _ = stream.write_all(bytes).await;
    loop {
        match soon(read_frame(&mut stream)).await? {
            (0x88, payload) => return Some(u16::from_be_bytes([payload[0], payload[1]])),
            _ => continue,
        }
    }
}

#[tokio::test]
async fn malformed_frames_are_told_what_is_wrong_and_cost_nobody_else() {
    let worker = start(builder(echo).message_bytes_max(1000)).await;
    let protocol = u16::from(CloseCode::Protocol);
    let (invalid, size) = (u16::from(CloseCode::Invalid), u16::from(CloseCode::Size));
    for (bytes, code) in [
        (frame(0x81, b"\xff\xfe"), invalid),
        // Cut in the middle of a character, and never finished.
        ([frame(0x01, "h\u{f6}".as_bytes()[..2].as_ref()), frame(0x80, b"x")].concat(), invalid),
        (frame(0x82, &[7; 1001]), size),
        // Together too long.
        ([frame(0x02, &[7; 600]), frame(0x80, &[7; 600])].concat(), size),
        // Longer than any memory, announced only.
        ([&[0x82, 0xff][..], &(1u64 << 62).to_be_bytes(), &[0; 4]].concat(), size),
        // A continuation of nothing, a reserved bit, an opcode that is none.
        (frame(0x80, b"x"), protocol),
        (frame(0xc1, b"x"), protocol),
        (frame(0x83, b"x"), protocol),
        // A ping in pieces; not masked.
        (frame(0x09, b"x"), protocol),
        (vec![0x81, 0x01, b'x'], protocol),
    ] {
        assert_eq!(closed_after(&worker, &bytes).await, Some(code), "{bytes:x?}");
    }
    let mut peer = connect(&worker).await;
    futures_util::SinkExt::send(&mut peer, "enough".into()).await.unwrap();
    assert_eq!(closed(&mut peer).await.0, CloseCode::Normal);
}

/// A message, where it is cut into frames, and what comes between two of them.
type Piece = (bool, Vec<u8>, Vec<usize>, bool);

/// One message as frames, with a ping after the first of them if it is asked for.
fn frames((is_text, payload, cuts, ping): &Piece) -> Vec<u8> {
    let opcode = if *is_text { 0x01 } else { 0x02 };
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (payload.len() + 1)).collect();
    cuts.sort_unstable();
    cuts.push(payload.len());
    let (mut bytes, mut from) = (Vec::new(), 0);
    for (n, &to) in cuts.iter().enumerate() {
        let last = if n + 1 == cuts.len() { 0x80 } else { 0 };
        bytes.extend(frame(last | if n == 0 { opcode } else { 0 }, &payload[from..to]));
        if *ping && n == 0 {
            bytes.extend(frame(0x89, b"?"));
        }
        from = to;
    }
    bytes
}

fn piece() -> impl Strategy<Value = Piece> {
    let text = any::<String>().prop_map(|text| (true, text.into_bytes()));
    let binary = vec(any::<u8>(), 0..2000).prop_map(|bytes| (false, bytes));
    (prop_oneof![text, binary], vec(any::<usize>(), 0..4), any::<bool>())
        .prop_map(|((is_text, payload), cuts, ping)| (is_text, payload, cuts, ping))
}

/// Sends bytes in writes of those lengths.
async fn write_in_steps(stream: &mut (impl AsyncWriteExt + Unpin), mut bytes: &[u8], step: usize) {
    while !bytes.is_empty() {
        let (now, later) = bytes.split_at(step.min(bytes.len()));
        if stream.write_all(now).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
        bytes = later;
    }
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn messages_come_back_whole_however_they_were_cut(
        pieces in vec(piece(), 1..12),
        step in 1usize..700,
    ) {
        let words = [&b"enough"[..], b"fail", b"panic"];
        prop_assume!(pieces.iter().all(|piece| !words.contains(&&piece.1[..])));
        run(async {
            let worker = start(builder(echo)).await;
            let (mut reading, mut writing) = switched(&worker).await.into_split();
            let bytes: Vec<u8> = pieces.iter().flat_map(frames).collect();
            let sending = write_in_steps(&mut writing, &bytes, step);
            let receiving = async {
                for (is_text, payload, ..) in &pieces {
                    let came = loop {
                        match read_frame(&mut reading).await.unwrap() {
                            (0x8a, pong) => assert_eq!(pong, b"?"),
                            came => break came,
                        }
                    };
                    let first = if *is_text { 0x81 } else { 0x82 };
                    assert_eq!(came, (first, payload.clone()));
                }
            };
            soon(async { tokio::join!(sending, receiving) }).await;
        });
    }

    #[test]
    fn garbage_ends_its_own_connection_at_most(bytes in vec(any::<u8>(), 0..400)) {
        run(async {
            let worker = start(builder(echo).message_bytes_max(4096)).await;
            let mut stream = switched(&worker).await;
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            let rest = async { while read_frame(&mut stream).await.is_some() {} };
            soon(rest).await;
            let mut peer = connect(&worker).await;
            futures_util::SinkExt::send(&mut peer, "enough".into()).await.unwrap();
            assert_eq!(closed(&mut peer).await.0, CloseCode::Normal);
        });
    }
}
