//! WebSockets, as handlers see them.

use bytes::Bytes;
use tokio::sync::mpsc;

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

/// What goes out.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Message(Message),
    Close { code: u16, reason: String },
}

/// A WebSocket. Pings are answered by the server.
#[derive(Debug)]
pub struct Socket {
    inbox: mpsc::Receiver<Message>,
    sender: SocketSender,
}

impl Socket {
    pub(crate) const fn new(inbox: mpsc::Receiver<Message>, sender: SocketSender) -> Self {
        Self { inbox, sender }
    }

    /// The next message; `None` once the peer has closed.
    ///
    /// # Cancel safety
    /// Dropping it loses no message.
    pub async fn recv(&mut self) -> Option<Message> {
        self.inbox.recv().await
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
