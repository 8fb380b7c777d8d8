//! WebSockets, as handlers see them.

use std::sync::{Arc, OnceLock};

use api::Body;
use bytes::Bytes;
use http::{HeaderMap, Response};
use tokio::sync::{mpsc, oneshot};

/// Messages that wait in each direction of a socket. A peer, or a handler, that is slower than the
/// other side by more than this stops the other side.
pub(crate) const MESSAGES_WAITING_MAX: usize = 16;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

/// The peer is gone, or the socket was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the socket is closed")]
pub struct Closed;

/// What a peer said when it closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parting {
    /// Code of its close frame (RFC 6455, section 7.4); 1005 if it named none.
    pub code: u16,
    /// Its reason; often empty.
    pub reason: String,
}

/// What goes out.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Message(Message),
    Close { code: u16, reason: String },
}

/// How a handler accepts a socket that it accepts itself.
#[derive(Debug, Default)]
pub struct Acceptance {
    /// The one of the client's subprotocols that will be spoken.
    pub subprotocol: Option<String>,
    /// More headers for the answer that switches the protocol.
    pub headers: HeaderMap,
}

/// What a handler that accepts itself decides.
#[derive(Debug)]
pub(crate) enum Decision {
    Accept(Acceptance),
    Refuse(Response<Body>),
}

/// A WebSocket. Pings are answered by the server.
#[derive(Debug)]
pub struct Socket {
    inbox: mpsc::Receiver<Message>,
    sender: SocketSender,
    /// Said once by whoever reads from the peer.
    parting: Arc<OnceLock<Parting>>,
    /// `None` once it is decided.
    decide: Option<oneshot::Sender<Decision>>,
}

impl Socket {
    pub(crate) const fn new(
        inbox: mpsc::Receiver<Message>,
        sender: SocketSender,
        parting: Arc<OnceLock<Parting>>,
        decide: Option<oneshot::Sender<Decision>>,
    ) -> Self {
        Self { inbox, sender, parting, decide }
    }

    /// Accepts the socket. Only for handlers that accept themselves
    /// ([`SocketHandler::accepts_itself`](crate::SocketHandler::accepts_itself)); it does nothing
    /// for others.
    ///
    /// # Errors
    /// [`Closed`] if the client did not wait.
    pub fn accept(&mut self, acceptance: Acceptance) -> Result<(), Closed> {
        self.decide(Decision::Accept(acceptance))
    }

    /// Answers the client's wish for a socket with something else. A handler that returns without
    /// having decided has refused with 403.
    ///
    /// # Errors
    /// [`Closed`] if the client did not wait.
    pub fn refuse(&mut self, answer: Response<Body>) -> Result<(), Closed> {
        self.decide(Decision::Refuse(answer))
    }

    fn decide(&mut self, decision: Decision) -> Result<(), Closed> {
        match self.decide.take() {
            Some(decide) => decide.send(decision).map_err(|_| Closed),
            None => Ok(()),
        }
    }

    /// The next message; `None` once the peer has closed: see [`Self::parting`].
    ///
    /// # Cancel safety
    /// Dropping it loses no message.
    pub async fn recv(&mut self) -> Option<Message> {
        self.inbox.recv().await
    }

    /// What the peer said when it closed; `None` before. Messages of it may still wait.
    pub fn parting(&self) -> Option<&Parting> {
        self.parting.get()
    }

    /// Sends a message; waits while the peer does not read.
    ///
    /// # Errors
    /// [`Closed`] if nobody can get it.
    ///
    /// # Cancel safety
    /// Dropping it before it is done sends nothing.
    pub async fn send(&self, message: Message) -> Result<(), Closed> {
        self.sender.send(message).await
    }

    /// Sends what waits, then a close frame with that code (RFC 6455, section 7.4) and reason.
    ///
    /// # Errors
    /// [`Closed`] if it is closed already.
    ///
    /// # Cancel safety
    /// Dropping it before it is done sends nothing.
    pub async fn close(&self, code: u16, reason: impl Into<String>) -> Result<(), Closed> {
        self.sender.close(code, reason).await
    }

    /// A hold for sending that can go to other tasks and threads.
    pub fn sender(&self) -> SocketSender {
        self.sender.clone()
    }
}

/// The sending half of a [`Socket`].
#[derive(Debug, Clone)]
pub struct SocketSender(mpsc::Sender<Outgoing>);

impl SocketSender {
    pub(crate) const fn new(outbox: mpsc::Sender<Outgoing>) -> Self {
        Self(outbox)
    }

    /// As [`Socket::send`].
    ///
    /// # Errors
    /// [`Closed`] if nobody can get it.
    ///
    /// # Cancel safety
    /// Dropping it before it is done sends nothing.
    pub async fn send(&self, message: Message) -> Result<(), Closed> {
        self.0.send(Outgoing::Message(message)).await.map_err(|_| Closed)
    }

    /// As [`Self::send`], for a thread that may block; not for asynchronous code.
    ///
    /// # Errors
    /// [`Closed`] if nobody can get it.
    pub fn blocking_send(&self, message: Message) -> Result<(), Closed> {
        self.0.blocking_send(Outgoing::Message(message)).map_err(|_| Closed)
    }

    /// As [`Socket::close`].
    ///
    /// # Errors
    /// [`Closed`] if it is closed already.
    ///
    /// # Cancel safety
    /// Dropping it before it is done sends nothing.
    pub async fn close(&self, code: u16, reason: impl Into<String>) -> Result<(), Closed> {
        let close = Outgoing::Close { code, reason: reason.into() };
        self.0.send(close).await.map_err(|_| Closed)
    }
}
