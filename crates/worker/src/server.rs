//! A worker that listens: accepts connections, and lets them end in good order.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    Surface, connection,
    ledger::Ledger,
    listen::{Listener, Stream},
    request_body::BodyLimits,
    routes::RouteTable,
    socket_call::SocketLimits,
    token::Token,
};

/// How long to wait when no connection can be accepted, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long connections may take to send what is left of their answers, once no call runs.
const FAREWELL_MAX: Duration = Duration::from_secs(1);

/// A timer that is always set. Each call with a deadline sets one of its own, usually for many
/// seconds; where none is set that ends earlier, tokio's timer writes to its wake-up descriptor for
/// each of them, which costs a system call and an empty poll.
const PULSE: Duration = Duration::from_millis(500);

/// What all connections of a worker share.
pub(crate) struct Server {
    pub(crate) routes: RouteTable,
    pub(crate) bodies: BodyLimits,
    /// Longest wait for the head of a request.
    pub(crate) head_wait_max: Duration,
    pub(crate) sockets: SocketLimits,
    pub(crate) ledger: Arc<Ledger>,
    /// Asked of every caller, if there is one.
    pub(crate) token: Option<Token>,
    /// The answer of `/-/describe`.
    pub(crate) description: Bytes,
    /// Warmed up.
    pub(crate) warm: AtomicBool,
    /// How it looks, if not by our contract.
    pub(crate) surface: Option<Surface>,
}

impl Server {
    pub(crate) fn is_warm(&self) -> bool {
        self.warm.load(SeqCst)
    }
}

/// Serves connections until `closing`, then lets each finish the answer that it is giving.
/// Dropping it ends them all at once.
pub(crate) async fn accept(listener: Listener, server: Arc<Server>, closing: CancellationToken) {
    let mut connections = JoinSet::new();
    let mut pulse = tokio::time::interval(PULSE);
    loop {
        tokio::select! {
            () = closing.cancelled() => break,
            _ = pulse.tick() => {}
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok(Stream::Unix(stream)) => {
                    connections.spawn(connection::serve(stream, server.clone(), closing.clone()));
                }
                Ok(Stream::Tcp(stream)) => {
                    connections.spawn(connection::serve(stream, server.clone(), closing.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let farewell = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(FAREWELL_MAX, farewell).await.is_err() {
        tracing::warn!(connections = connections.len(), "cut connections that did not end");
    }
}
