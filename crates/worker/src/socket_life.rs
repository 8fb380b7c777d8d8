//! The life of a WebSocket: messages in and out between the peer and the handler, and the end.

use std::{
    panic::AssertUnwindSafe,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use api::worker::Outcome;
use futures_util::{
    FutureExt, SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message as Frame,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};
use types::Fault;

use crate::{
    Incoming, Message, Socket, SocketHandler, SocketSender,
    call::{panicked, until},
    running::Attendance,
    socket::{MESSAGES_WAITING_MAX, Outgoing},
};

/// How long a handler may go on after its peer has closed.
const AFTER_CLOSE_MAX: Duration = Duration::from_secs(5);

/// How long the peer may take to confirm our close.
const CONFIRMATION_MAX: Duration = Duration::from_secs(1);

/// Longest reason of a close frame, in bytes (RFC 6455, section 5.5).
const REASON_BYTES_MAX: usize = 123;

type Peer = WebSocketStream<TokioIo<Upgraded>>;

/// A call that becomes a socket.
pub(crate) struct SocketCall {
    pub(crate) handler: Arc<dyn SocketHandler>,
    pub(crate) incoming: Incoming,
    pub(crate) attendance: Attendance,
    pub(crate) message_bytes_max: usize,
}

/// How a peer left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parting {
    /// With a close frame.
    Closed,
    /// Without one.
    Broken,
}

impl SocketCall {
    /// Lives with the socket, once the connection has switched to it.
    pub(crate) async fn live(self, upgrade: OnUpgrade) {
        let Self { handler, incoming, attendance, message_bytes_max } = self;
        // An upgrade that fails leaves nobody to talk to; dropping the attendance says so.
        let Ok(upgraded) = upgrade.await else { return };
        let config = WebSocketConfig::default().max_message_size(Some(message_bytes_max));
        let io = TokioIo::new(upgraded);
        let peer = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;

        let (to_handler, inbox) = mpsc::channel(MESSAGES_WAITING_MAX);
        let (outbox, from_handler) = mpsc::channel(MESSAGES_WAITING_MAX);
        let socket = Socket::new(inbox, SocketSender::new(outbox));
        let life = async move { handler.call(incoming, socket).await };
        let (sink, stream) = peer.split();
        let ended = converse(life, receive(stream, to_handler), sink, from_handler).await;
        match ended {
            Some(Ok(())) => attendance.answered(Outcome::Completed),
            Some(Err(_)) => attendance.answered(Outcome::Failed),
            None => drop(attendance),
        }
    }
}

/// Runs the handler beside both directions. `None` if the peer left before the handler was done.
async fn converse(
    life: impl Future<Output = Result<(), Fault>>,
    inward: impl Future<Output = Parting>,
    sink: SplitSink<Peer, Frame>,
    from_handler: mpsc::Receiver<Outgoing>,
) -> Option<Result<(), Fault>> {
    let (finish, finished) = oneshot::channel();
    let mut inward = pin!(inward);
    let mut outward = pin!(send(sink, from_handler, finished));
    let (mut received, mut patience) = (false, None);
    let result = {
        let mut life = pin!(AssertUnwindSafe(life).catch_unwind());
        loop {
            tokio::select! {
                biased;
                result = &mut life => {
                    break result.unwrap_or_else(|panic| Err(panicked(&*panic)));
                }
                // The peer does not read any more.
                () = &mut outward => return None,
                parting = &mut inward, if !received => {
                    if parting == Parting::Broken {
                        return None;
                    }
                    received = true;
                    patience = Instant::now().checked_add(AFTER_CLOSE_MAX);
                }
                () = until(patience) => return None,
            }
        }
    };
    // The other half is polled in this very function, so it is still there.
    let _ = finish.send(result.as_ref().err().map(|fault| fault.detail.to_string()));
    let farewell = async {
        outward.await;
        if !received {
            inward.await;
        }
    };
    let _ = tokio::time::timeout(CONFIRMATION_MAX, farewell).await;
    Some(result)
}

/// Gives what the peer sends to the handler, as fast as the handler takes it.
async fn receive(mut stream: SplitStream<Peer>, to_handler: mpsc::Sender<Message>) -> Parting {
    let mut to_handler = Some(to_handler);
    while let Some(frame) = stream.next().await {
        let message = match frame {
            Ok(Frame::Text(text)) => Message::Text(text.as_str().to_owned()),
            Ok(Frame::Binary(bytes)) => Message::Binary(bytes),
            Ok(Frame::Close(_)) => {
                // The handler's `recv` ends; reading on lets our confirmation go out.
                to_handler = None;
                continue;
            }
            Ok(_) => continue,
            Err(_) => break,
        };
        if let Some(handler) = &to_handler {
            // A handler that only sends does not listen.
            let _ = handler.send(message).await;
        }
    }
    if to_handler.is_none() { Parting::Closed } else { Parting::Broken }
}

/// Sends what the handler gives, then the close frame. Returns early if the peer is gone; after a
/// close by the handler only when the handler is done.
async fn send(
    mut sink: SplitSink<Peer, Frame>,
    mut from_handler: mpsc::Receiver<Outgoing>,
    mut finished: oneshot::Receiver<Option<String>>,
) {
    let mut end = None;
    loop {
        let outgoing = tokio::select! {
            biased;
            outgoing = from_handler.recv() => outgoing,
            // What waits is still sent, and nothing more is taken.
            error = &mut finished, if end.is_none() => {
                end = Some(error.unwrap_or_default());
                from_handler.close();
                continue;
            }
        };
        let frame = match outgoing {
            Some(Outgoing::Message(Message::Text(text))) => Frame::text(text),
            Some(Outgoing::Message(Message::Binary(bytes))) => Frame::binary(bytes),
            Some(Outgoing::Close { code, reason }) => {
                from_handler.close();
                if sink.send(close(code, &reason)).await.is_ok() && end.is_none() {
                    let _ = finished.await;
                }
                return;
            }
            None => break,
        };
        if sink.send(frame).await.is_err() {
            return;
        }
    }
    let end = match end {
        Some(end) => end,
        None => finished.await.unwrap_or_default(),
    };
    let frame = match end {
        None => close(CloseCode::Normal.into(), ""),
        Some(error) => close(CloseCode::Error.into(), &error),
    };
    // A peer that is gone needs no farewell.
    let _ = sink.send(frame).await;
}

fn close(code: u16, reason: &str) -> Frame {
    let mut end = reason.len().min(REASON_BYTES_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    Frame::Close(Some(CloseFrame { code: code.into(), reason: reason[..end].into() }))
}
