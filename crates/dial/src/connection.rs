//! One HTTP/1.1 connection to a worker, driven by whoever waits for its answer.
//!
//! hyper's connection is a future that somebody must poll. A task of its own would cost two
//! wake-ups per request, often on another thread; here the task that waits for the answer, or
//! reads its body, drives the connection. Dropping a connection closes its socket, which is how a
//! call is cancelled.

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use api::{Body, worker::Address};
use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{self, SendRequest},
    },
};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};
use tokio_util::either::Either;

/// A connection and the future that moves its bytes.
pub(crate) struct Connection {
    sender: SendRequest<Body>,
    driver: Driver,
}

/// `None` once the connection has ended.
struct Driver(Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>);

impl Driver {
    /// Moves bytes; returns whether the connection has ended.
    fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(connection) = &mut self.0
            && connection.as_mut().poll(cx).is_ready()
        {
            // How it ended is told by the answer that waits for it.
            self.0 = None;
        }
        self.0.is_none()
    }
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: &Address) -> io::Result<Self> {
        let socket = match address {
            Address::Unix(path) => Either::Left(UnixStream::connect(path).await?),
            Address::Tcp(host) => {
                let stream = TcpStream::connect(host).await?;
                stream.set_nodelay(true)?;
                Either::Right(stream)
            }
        };
        let (sender, connection) =
            http1::handshake(TokioIo::new(socket)).await.map_err(io::Error::other)?;
        Ok(Self { sender, driver: Driver(Some(Box::pin(connection.with_upgrades()))) })
    }

    /// Waits until a request can be sent; `false` if the other side has closed.
    pub(crate) async fn ready(&mut self) -> bool {
        poll_fn(|cx| {
            if self.driver.drive(cx) {
                return Poll::Ready(false);
            }
            Poll::Ready(ready!(self.sender.poll_ready(cx)).is_ok())
        })
        .await
    }

    /// Sends a request and waits for the head of its answer.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Body>>> {
        let Self { sender, driver } = self;
        let mut answer = pin!(sender.try_send_request(request));
        poll_fn(|cx| {
            driver.drive(cx);
            answer.as_mut().poll(cx)
        })
        .await
    }

    /// After a 101: hands the socket over to the upgrade that waits for it.
    pub(crate) async fn finish_upgrade(mut self) {
        poll_fn(|cx| if self.driver.drive(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// Moves bytes for the body of an answer.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        self.driver.drive(cx);
    }
}
