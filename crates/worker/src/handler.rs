//! What serves a route, and what it is given.

use std::{future::Future, pin::Pin, sync::Arc, time::Instant};

use api::{Body, headers};
use bytes::Bytes;
use http::{HeaderName, Request, Response};
use http_body_util::{BodyExt, LengthLimitError};
use types::{CallId, ErrorCode, Fault};

use crate::{PathParam, Running, Socket, path_template::PathParams, request_body::broke_off};

/// An answer in the making. Dropping it cancels the call.
pub type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Fault>> + Send>>;

/// The life of a socket. Dropping it cancels the call.
pub type SocketLife = Pin<Box<dyn Future<Output = Result<(), Fault>> + Send>>;

/// What serves a route.
pub trait Handler: Send + Sync + 'static {
    /// Begins an answer. Must not block; a panic here or in the answer is answered with 500.
    fn call(&self, incoming: Incoming) -> Answer;

    /// Whether calls may wait here before their code starts. Such a handler says
    /// [`Running::begin`] when the code of a call starts; until then the server may take the call
    /// back and leave it to another worker. Calls of other handlers have begun when they arrive.
    fn queues(&self) -> bool {
        false
    }
}

/// A plain asynchronous function serves a route.
impl<F, A> Handler for F
where
    F: Fn(Incoming) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Response<Body>, Fault>> + Send + 'static,
{
    fn call(&self, incoming: Incoming) -> Answer {
        Box::pin(self(incoming))
    }
}

/// What serves a WebSocket route.
pub trait SocketHandler: Send + Sync + 'static {
    /// Lives with one socket. When it returns, the socket is closed: with 1000 if it went well,
    /// with 1011 and the detail of the fault otherwise.
    fn call(&self, incoming: Incoming, socket: Socket) -> SocketLife;

    /// Whether it decides by itself if the client gets a socket, with [`Socket::accept`] or
    /// [`Socket::refuse`]. Other sockets are open when the handler begins.
    fn accepts_itself(&self) -> bool {
        false
    }
}

/// A plain asynchronous function serves a WebSocket route.
impl<F, A> SocketHandler for F
where
    F: Fn(Incoming, Socket) -> A + Send + Sync + 'static,
    A: Future<Output = Result<(), Fault>> + Send + 'static,
{
    fn call(&self, incoming: Incoming, socket: Socket) -> SocketLife {
        Box::pin(self(incoming, socket))
    }
}

/// What stands behind a route.
#[derive(Clone)]
pub(crate) enum Service {
    Http(Arc<dyn Handler>),
    Socket(Arc<dyn SocketHandler>),
}

/// A call as a handler gets it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Incoming {
    /// The attempt that this call is; fresh if the caller named none.
    pub call_id: CallId,
    /// Method, path and query as received, headers, and a body that is limited in length. Short
    /// bodies are at hand ([`Body::Full`]).
    pub request: Request<Body>,
    /// When the caller stops waiting. The server itself cancels the call then.
    pub deadline: Option<Instant>,
    /// The hold on the call.
    pub running: Running,
}

impl Incoming {
    /// Reads the whole body; empty if it was read before.
    ///
    /// # Errors
    /// `body_too_large` beyond the limit of the worker, `invalid_request` if the body broke off.
    ///
    /// # Cancel safety
    /// Dropping it loses what was read; the call cannot go on without it.
    pub async fn read_body(&mut self) -> Result<Bytes, Fault> {
        match std::mem::take(self.request.body_mut()) {
            Body::Full(bytes) => Ok(bytes.unwrap_or_default()),
            Body::Stream(stream) => match stream.collect().await {
                Ok(body) => Ok(body.to_bytes()),
                Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
                Err(error) => Err(broke_off(error)),
            },
        }
    }

    /// What the holes of the route's path took, in their order.
    pub fn path_params(&self) -> &[PathParam] {
        self.request.extensions().get().map_or(&[], |PathParams(params)| params)
    }

    /// The text of a header; `None` if it is absent or not text.
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.request.headers().get(name)?.to_str().ok()
    }

    /// What ties the log lines of this request together.
    pub fn request_id(&self) -> Option<&str> {
        self.header(&headers::REQUEST_ID)
    }
}

/// The fault of a body beyond the limit of the worker.
pub(crate) fn too_large() -> Fault {
    Fault::new(
        ErrorCode::BodyTooLarge,
        "the body is longer than this worker takes; send less, or raise its limit",
    )
}
