//! The life of a WebSocket: messages in and out between the peer and the handler, and the end.

use std::{
    pin::pin,
    sync::OnceLock,
    time::{Duration, Instant},
};

use api::worker::Outcome;
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{
    io::AsyncReadExt,
    sync::{mpsc, oneshot},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message as Frame,
        error::CapacityError,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};
use types::Fault;

use crate::{
    Message,
    call::until,
    socket::{Outgoing, Parting},
    socket_call::SocketCall,
    socket_pulse::{Pulse, PulseWatch, Silence},
};

/// How long a handler may go on after its peer has closed.
const AFTER_CLOSE_MAX: Duration = Duration::from_secs(5);

/// How long the peer may take to confirm our close.
const CONFIRMATION_MAX: Duration = Duration::from_secs(1);

/// Read from a peer at once. The library clears a buffer of this size before each read, which at its
/// own default costs more than all else that is done for a short message.
const READ_BYTES: usize = 16 * 1024;

/// Longest reason of a close frame, in bytes (RFC 6455, section 5.5).
const REASON_BYTES_MAX: usize = 123;

/// Most that is read from a peer after we have cut it off, to throw away.
const REST_BYTES_MAX: u64 = 64 * 1024 * 1024;

type Peer = WebSocketStream<TokioIo<Upgraded>>;
type Life = crate::SocketLife;

/// How a peer left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    /// With a close frame.
    Closed,
    /// Without one.
    Broken,
    /// It sent what cannot be taken, and is to be told with this code.
    Violated(CloseCode),
}

impl SocketCall {
    /// Lives with the socket, once the connection has switched to it.
    pub(crate) async fn live(self, upgrade: OnUpgrade) {
        let Self { life, to_handler, parting, from_handler, attendance, limits } = self;
        // An upgrade that fails leaves nobody to talk to; dropping the attendance says so.
        let Ok(upgraded) = upgrade.await else { return };
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .max_message_size(Some(limits.message_bytes_max))
            .max_frame_size(Some(limits.message_bytes_max));
        let io = TokioIo::new(upgraded);
        let peer = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;

        let pulse = Pulse::new(limits.ping_interval);
        let (mut sink, mut stream) = peer.split();
        let inward = receive(&mut stream, to_handler, &parting, &pulse);
        let (finish, finished) = oneshot::channel();
        let outward = send(&mut sink, from_handler, finished, pulse.watch());
        let ended = converse(life, inward, outward, finish).await;
        match ended {
            Ended::Handler(Ok(())) => attendance.answered(Outcome::Completed),
            Ended::Handler(Err(_)) => attendance.answered(Outcome::Failed),
            Ended::PeerGone => drop(attendance),
            Ended::CutOff => {
                drop(attendance);
                if let Ok(peer) = sink.reunite(stream) {
                    drain(peer).await;
                }
            }
        }
    }
}

/// How a conversation ended.
enum Ended {
    /// The handler was done.
    Handler(Result<(), Fault>),
    /// The peer left before the handler was done.
    PeerGone,
    /// The peer sent what cannot be taken.
    CutOff,
}

/// Runs the handler beside both directions.
async fn converse(
    mut life: Life,
    inward: impl Future<Output = Leaving>,
    outward: impl Future<Output = ()>,
    finish: oneshot::Sender<Frame>,
) -> Ended {
    let mut inward = pin!(inward);
    let mut outward = pin!(outward);
    let (mut received, mut patience) = (false, None);
    let result = loop {
        tokio::select! {
            biased;
            result = &mut life => break result,
            // The peer does not read any more.
            () = &mut outward => return Ended::PeerGone,
            leaving = &mut inward, if !received => match leaving {
                Leaving::Broken => return Ended::PeerGone,
                Leaving::Violated(code) => {
                    // The handler stops first: nothing more of it goes out.
                    drop(life);
                    let _ = finish.send(close(code.into(), reason(code)));
                    let _ = tokio::time::timeout(CONFIRMATION_MAX, outward).await;
                    return Ended::CutOff;
                }
                Leaving::Closed => {
                    received = true;
                    patience = Instant::now().checked_add(AFTER_CLOSE_MAX);
                }
            },
            () = until(patience) => return Ended::PeerGone,
        }
    };
    // The handler's state goes before the farewell, which may take a while.
    drop(life);
    let farewell = match &result {
        Ok(()) => close(CloseCode::Normal.into(), ""),
        Err(fault) => close(CloseCode::Error.into(), &fault.detail),
    };
    // The other half is polled in this very function, so it is still there.
    let _ = finish.send(farewell);
    let goodbye = async {
        outward.await;
        if !received {
            inward.await;
        }
    };
    let _ = tokio::time::timeout(CONFIRMATION_MAX, goodbye).await;
    Ended::Handler(result)
}

/// Gives what the peer sends to the handler, as fast as the handler takes it.
async fn receive(
    stream: &mut SplitStream<Peer>,
    to_handler: mpsc::Sender<Message>,
    parting: &OnceLock<Parting>,
    pulse: &Pulse,
) -> Leaving {
    let mut to_handler = Some(to_handler);
    while let Some(frame) = stream.next().await {
        pulse.hear();
        let message = match frame {
            Ok(Frame::Text(text)) => Message::Text(text.as_str().to_owned()),
            Ok(Frame::Binary(bytes)) => Message::Binary(bytes),
            Ok(Frame::Close(frame)) => {
                let _ = parting.set(said(frame));
                // The handler's `recv` ends; reading on lets our confirmation go out.
                to_handler = None;
                continue;
            }
            Ok(_) => continue,
            Err(error) if to_handler.is_some() => return violation(&error),
            Err(_) => break,
        };
        if let Some(handler) = &to_handler {
            // A handler that only sends does not listen.
            let _ = pulse.hold_up(handler.send(message)).await;
        }
    }
    if to_handler.is_none() { Leaving::Closed } else { Leaving::Broken }
}

fn said(frame: Option<CloseFrame>) -> Parting {
    match frame {
        Some(frame) => {
            Parting { code: frame.code.into(), reason: frame.reason.as_str().to_owned() }
        }
        None => Parting { code: CloseCode::Status.into(), reason: String::new() },
    }
}

/// What a peer is told that sends what cannot be taken (RFC 6455, section 7.4.1).
fn violation(error: &tungstenite::Error) -> Leaving {
    match error {
        tungstenite::Error::Capacity(CapacityError::MessageTooLong { .. }) => {
            Leaving::Violated(CloseCode::Size)
        }
        tungstenite::Error::Utf8(_) => Leaving::Violated(CloseCode::Invalid),
        tungstenite::Error::Protocol(
            tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => Leaving::Broken,
        tungstenite::Error::Protocol(_) => Leaving::Violated(CloseCode::Protocol),
        _ => Leaving::Broken,
    }
}

fn reason(code: CloseCode) -> &'static str {
    match code {
        CloseCode::Size => "the message is longer than this worker takes",
        CloseCode::Invalid => "a text must be UTF-8",
        _ => "a frame breaks the protocol",
    }
}

/// Sends what the handler gives, then the close frame. Returns early if the peer is gone; after a
/// close by the handler only when the handler is done.
async fn send(
    sink: &mut SplitSink<Peer, Frame>,
    mut from_handler: mpsc::Receiver<Outgoing>,
    mut finished: oneshot::Receiver<Frame>,
    mut watch: PulseWatch<'_>,
) {
    let mut end = None;
    loop {
        let outgoing = tokio::select! {
            biased;
            outgoing = from_handler.recv() => outgoing,
            // What waits is still sent, and nothing more is taken.
            farewell = &mut finished, if end.is_none() => {
                end = farewell.ok();
                from_handler.close();
                continue;
            }
            silence = watch.silent() => {
                if silence == Silence::Gone || sink.send(Frame::Ping(Default::default())).await.is_err() {
                    return;
                }
                continue;
            }
        };
        let Some(outgoing) = outgoing else { break };
        match send_ready(sink, outgoing, &mut from_handler).await {
            Ok(false) => {}
            Ok(true) => {
                from_handler.close();
                if end.is_none() {
                    let _ = finished.await;
                }
                return;
            }
            Err(_) => return,
        }
    }
    let farewell = match end {
        Some(farewell) => farewell,
        None => match finished.await {
            Ok(farewell) => farewell,
            Err(_) => return,
        },
    };
    // A peer that is gone needs no farewell.
    let _ = sink.send(farewell).await;
}

/// Sends a message and all that wait behind it, with one write where they fit; whether the last
/// one closed.
async fn send_ready(
    sink: &mut SplitSink<Peer, Frame>,
    mut outgoing: Outgoing,
    from_handler: &mut mpsc::Receiver<Outgoing>,
) -> Result<bool, tungstenite::Error> {
    loop {
        let frame = match outgoing {
            Outgoing::Message(Message::Text(text)) => Frame::text(text),
            Outgoing::Message(Message::Binary(bytes)) => Frame::binary(bytes),
            Outgoing::Close { code, reason } => {
                sink.send(close(code, &reason)).await?;
                return Ok(true);
            }
        };
        sink.feed(frame).await?;
        match from_handler.try_recv() {
            Ok(next) => outgoing = next,
            Err(_) => {
                sink.flush().await?;
                return Ok(false);
            }
        }
    }
}

/// Throws away what the peer still sends. Closed with bytes unread, a connection is reset, and the
/// peer might never read why.
async fn drain(mut peer: Peer) {
    let rest = async {
        let mut rest = peer.get_mut().take(REST_BYTES_MAX);
        let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
    };
    let _ = tokio::time::timeout(CONFIRMATION_MAX, rest).await;
}

fn close(code: u16, reason: &str) -> Frame {
    let mut end = reason.len().min(REASON_BYTES_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    Frame::Close(Some(CloseFrame { code: code.into(), reason: reason[..end].into() }))
}
