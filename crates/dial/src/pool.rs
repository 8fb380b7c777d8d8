//! The connections to one address.

use std::{
    error::Error,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use api::{Begun, Body, BoxError, Sent, worker::Address};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use parking_lot::Mutex;
use tokio::{
    runtime::{Handle, Id},
    time::timeout,
};

use crate::{DialError, body::DrivenBody, connection::Connection};

/// Idle connections kept per address. Beyond that they are closed.
const IDLE_MAX: usize = 256;
/// Below the 60 seconds after which common servers close idle connections, so that we never send
/// into a closing one.
const IDLE_TIME_MAX: Duration = Duration::from_secs(50);
/// A server that has not accepted by then is treated as absent. Long enough for three SYNs (sent
/// at 0, 1 and 3 seconds), short enough that another replica can still be tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Requests up to this size are written at once and read at once: a server has all of one or
/// nothing. Half of the page that the thriftiest servers read, for the head is only estimated.
const AT_ONCE_BYTES_MAX: usize = 2048;

/// Sends requests to one address.
pub struct Pool {
    address: Address,
    /// A stack: the connection used last is the warmest.
    idle: Mutex<Vec<Idle>>,
}

/// A connection nobody uses, and the runtime that hears of its bytes. Used from another one, each
/// answer would wake two threads.
struct Idle {
    runtime: Id,
    since: Instant,
    connection: Connection,
}

impl Pool {
    /// A pool without connections.
    pub fn new(address: Address) -> Arc<Self> {
        Arc::new(Self { address, idle: Mutex::default() })
    }

    /// Sends a request whose URI is a path and whose headers name the host, and waits for the
    /// head of its answer. After a 101 hyper's upgrade handle is among the answer's extensions.
    ///
    /// # Errors
    /// [`DialError`] if no answer came.
    ///
    /// # Cancel safety
    /// Dropping the future, or the answer's body before its end, closes the connection: the
    /// server sees its client leave.
    pub async fn send(
        self: &Arc<Self>,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, DialError> {
        let at_once = is_sent_at_once(&request);
        loop {
            let (mut connection, reused) = self.take().await?;
            if let Some(sent) = request.extensions().get::<Sent>() {
                sent.mark();
            }
            match connection.exchange(request).await {
                Ok(response) => return Ok(self.receive(connection, response).await),
                Err(mut error) => {
                    let begun = match error.take_message() {
                        // The server closed an idle connection just when we took it.
                        Some(unsent) if reused => {
                            request = unsent;
                            continue;
                        }
                        Some(_) => Begun::No,
                        None => Begun::Maybe,
                    };
                    let (address, source) = (self.address.clone(), error.into_error());
                    // As a process that is killed does while the system clears it away.
                    let was_unread = at_once && self.was_closed_unread(&source);
                    let begun = if was_unread { Begun::No } else { begun };
                    return Err(DialError::Broken { address, begun, source });
                }
            }
        }
    }

    async fn receive(
        self: &Arc<Self>,
        connection: Connection,
        response: Response<Incoming>,
    ) -> Response<Body> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            connection.finish_upgrade().await;
            return response.map(|_| Body::empty());
        }
        let (parts, incoming) = response.into_parts();
        let body = DrivenBody::new(incoming, connection, self.clone());
        Response::from_parts(parts, body.at_hand().await)
    }

    /// A connection that can send, and whether it was used before.
    async fn take(&self) -> Result<(Connection, bool), DialError> {
        while let Some(mut connection) = self.pop() {
            if connection.ready().await {
                return Ok((connection, true));
            }
        }
        let opened = match timeout(CONNECT_TIMEOUT, Connection::open(&self.address)).await {
            Ok(opened) => opened,
            Err(late) => Err(io::Error::new(io::ErrorKind::TimedOut, late)),
        };
        let mut connection = opened.map_err(|error| self.unreachable(error))?;
        if connection.ready().await {
            return Ok((connection, false));
        }
        Err(self.unreachable("it closed the connection at once"))
    }

    fn pop(&self) -> Option<Connection> {
        let runtime = Handle::current().id();
        let mut idle = self.idle.lock();
        let at = idle.iter().rposition(|idle| idle.runtime == runtime)?;
        let found = idle.remove(at);
        if found.since.elapsed() < IDLE_TIME_MAX {
            return Some(found.connection);
        }
        // The ones below it have been idle for even longer.
        idle.retain(|idle| idle.runtime != runtime);
        None
    }

    /// Only called by who reads an answer, within the runtime that brought the connection.
    pub(crate) fn put_back(&self, connection: Connection) {
        let Ok(handle) = Handle::try_current() else { return };
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_MAX {
            idle.push(Idle { runtime: handle.id(), since: Instant::now(), connection });
        }
    }

    /// Whether the other side closed without having read what we sent. The system tells this of
    /// unix sockets, and of those only.
    fn was_closed_unread(&self, error: &hyper::Error) -> bool {
        let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
        let kind = cause.map(io::Error::kind);
        matches!(self.address, Address::Unix(_))
            && matches!(kind, Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe))
    }

    fn unreachable(&self, source: impl Into<BoxError>) -> DialError {
        DialError::Unreachable { address: self.address.clone(), source: source.into() }
    }
}

/// Whether a server that has read any of the request has read all of it.
fn is_sent_at_once(request: &Request<Body>) -> bool {
    let Body::Full(body) = request.body() else { return false };
    let field = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 4;
    let head = request.uri().path().len() + request.headers().iter().map(field).sum::<usize>();
    head + body.as_ref().map_or(0, Bytes::len) <= AT_ONCE_BYTES_MAX
}
