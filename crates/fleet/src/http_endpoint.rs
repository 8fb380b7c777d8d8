//! A worker, or any program that serves HTTP/1.1, as an endpoint.

use std::{
    error::Error,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use api::{Body, BoxError, Endpoint, EndpointError, endpoint::Answer, worker::Address};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use parking_lot::Mutex;
use tokio::runtime::{Handle, Id};
use types::{ErrorCode, Fault};

use crate::connection::Connection;

/// Idle connections kept per endpoint. Beyond that they are closed; a worker's capacity bounds
/// how many can be of use.
const IDLE_MAX: usize = 256;

/// Calls one address over pooled connections.
pub struct HttpEndpoint {
    pool: Arc<Pool>,
    authorization: Option<HeaderValue>,
}

struct Pool {
    address: Address,
    /// A stack: the connection used last is the warmest.
    idle: Mutex<Vec<Idle>>,
}

/// A connection nobody uses, and the runtime that hears of its bytes. Used from another one, each
/// answer would wake two threads.
struct Idle {
    runtime: Id,
    connection: Connection,
}

impl HttpEndpoint {
    /// An endpoint at `address`; `token` is sent as a bearer token.
    pub fn new(address: Address, token: Option<String>) -> Self {
        let authorization = token
            .and_then(|token| HeaderValue::try_from(format!("Bearer {token}")).ok())
            .map(|mut value| {
                value.set_sensitive(true);
                value
            });
        Self { pool: Arc::new(Pool { address, idle: Mutex::default() }), authorization }
    }

    async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, EndpointError> {
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(header::AUTHORIZATION, authorization.clone());
        }
        // HTTP/1.1 demands a host; a unix socket has none.
        request
            .headers_mut()
            .entry(header::HOST)
            .or_insert(const { HeaderValue::from_static("localhost") });
        loop {
            let (mut connection, reused) = self.pool.take().await?;
            match connection.exchange(request).await {
                Ok(response) => return Ok(self.receive(connection, response).await),
                Err(mut error) => match error.take_message() {
                    // The worker closed an idle connection just when we took it.
                    Some(unsent) if reused => request = unsent,
                    Some(_) => return Err(EndpointError::not_begun(broken(error.into_error()))),
                    None => return Err(EndpointError::maybe_begun(broken(error.into_error()))),
                },
            }
        }
    }

    async fn receive(
        &self,
        connection: Connection,
        response: Response<Incoming>,
    ) -> Response<Body> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            connection.finish_upgrade().await;
            return response.map(|_| Body::empty());
        }
        response.map(|incoming| {
            let mut body = DrivenBody { incoming, lease: Some((connection, self.pool.clone())) };
            body.return_if_ended();
            Body::stream(body)
        })
    }
}

impl Endpoint for HttpEndpoint {
    fn call(&self, request: Request<Body>) -> Answer<'_> {
        Box::pin(self.send(request))
    }
}

impl Pool {
    /// A connection that can send, and whether it was used before.
    async fn take(&self) -> Result<(Connection, bool), EndpointError> {
        while let Some(mut connection) = self.pop() {
            if connection.ready().await {
                return Ok((connection, true));
            }
        }
        let mut connection =
            Connection::open(&self.address).await.map_err(|error| self.unreachable(error))?;
        if connection.ready().await {
            return Ok((connection, false));
        }
        Err(self.unreachable("it closed the connection at once"))
    }

    fn pop(&self) -> Option<Connection> {
        let runtime = Handle::current().id();
        let mut idle = self.idle.lock();
        let at = idle.iter().rposition(|idle| idle.runtime == runtime)?;
        Some(idle.remove(at).connection)
    }

    /// Only called by who reads an answer, within the runtime that brought the connection.
    fn put_back(&self, connection: Connection) {
        let Ok(handle) = Handle::try_current() else { return };
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_MAX {
            idle.push(Idle { runtime: handle.id(), connection });
        }
    }

    fn unreachable(&self, cause: impl Into<BoxError>) -> EndpointError {
        let detail = "the worker cannot be reached";
        tracing::debug!(address = %self.address, "{detail}");
        EndpointError::not_begun(Fault::new(ErrorCode::WorkerFailed, detail).caused_by(cause))
    }
}

fn broken(error: hyper::Error) -> Fault {
    // The body of the request was refused while it was sent on; that is not the worker's fault.
    if let Some(refusal) = error.source().and_then(|cause| cause.downcast_ref::<Fault>()) {
        return Fault::new(refusal.code, refusal.detail.clone());
    }
    let detail = if error.is_parse() {
        "the worker answered something that is not HTTP"
    } else {
        "the worker closed the connection before it answered"
    };
    Fault::new(ErrorCode::WorkerFailed, detail).caused_by(error)
}

/// The body of an answer, which drives its connection and gives it back at the end.
struct DrivenBody {
    incoming: Incoming,
    /// Taken when the body ends. Dropped before that, it closes the socket.
    lease: Option<(Connection, Arc<Pool>)>,
}

impl DrivenBody {
    fn return_if_ended(&mut self) {
        if self.incoming.is_end_stream()
            && let Some((connection, pool)) = self.lease.take()
        {
            pool.put_back(connection);
        }
    }
}

impl HttpBody for DrivenBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let body = self.get_mut();
        let mut polled = Pin::new(&mut body.incoming).poll_frame(cx);
        if polled.is_pending()
            && let Some((connection, _)) = &mut body.lease
        {
            // The first poll asked for bytes; now the connection may fetch them.
            connection.drive(cx);
            polled = Pin::new(&mut body.incoming).poll_frame(cx);
        }
        match &polled {
            Poll::Ready(Some(Ok(_))) => body.return_if_ended(),
            Poll::Ready(None) => {
                if let Some((connection, pool)) = body.lease.take() {
                    pool.put_back(connection);
                }
            }
            Poll::Ready(Some(Err(_))) => body.lease = None,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
