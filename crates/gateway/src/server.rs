//! Listeners and connections: accepting, and draining.

use std::{convert::Infallible, future::Future, io, time::Duration};

use axum::response::Response;
use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Gateway,
    door::{Door, Visitors},
    internal, routes,
};

/// A client that has not sent a whole request head in this time is disconnected.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after the system refused a connection, for example because descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where connections come in.
#[derive(Debug)]
pub enum Listener {
    /// From the network.
    Tcp(TcpListener),
    /// From this machine.
    Unix(UnixListener),
}

/// Serves one of the two doors on any number of listeners.
pub struct Server {
    door: Door,
    accepting: TaskTracker,
    stop: CancellationToken,
    grace: Duration,
}

impl Server {
    /// The door for clients. Serves until `stop`, then gives open requests `grace` to end.
    pub fn public(gateway: Gateway, stop: CancellationToken, grace: Duration) -> Self {
        let router = routes::router(gateway.clone());
        Self::new(Door::new(gateway, router, Visitors::Clients), stop, grace)
    }

    /// The door for workers. It must stay open longer than the public one, because workers
    /// report while they drain.
    pub fn internal(gateway: Gateway, stop: CancellationToken, grace: Duration) -> Self {
        let router = internal::router(gateway.clone());
        Self::new(Door::new(gateway, router, Visitors::Workers), stop, grace)
    }

    fn new(door: Door, stop: CancellationToken, grace: Duration) -> Self {
        Self { door, accepting: TaskTracker::new(), stop, grace }
    }

    /// Serves on this listener, too.
    pub fn listen(&self, listener: Listener) {
        let (door, stop, grace) = (self.door.clone(), self.stop.clone(), self.grace);
        self.accepting.spawn(async move {
            match listener {
                Listener::Tcp(listener) => accept(tcp(&listener), door, stop, grace).await,
                Listener::Unix(listener) => accept(unix(&listener), door, stop, grace).await,
            }
        });
    }

    /// Waits until every listener has stopped and every open request has ended, or its grace has.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn drained(&self) {
        self.accepting.close();
        self.accepting.wait().await;
    }
}

fn tcp<'a>(
    listener: &'a TcpListener,
) -> impl FnMut() -> std::pin::Pin<Box<dyn Future<Output = io::Result<tokio::net::TcpStream>> + Send + 'a>>
{
    move || {
        Box::pin(async move {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        })
    }
}

fn unix<'a>(
    listener: &'a UnixListener,
) -> impl FnMut() -> std::pin::Pin<
    Box<dyn Future<Output = io::Result<tokio::net::UnixStream>> + Send + 'a>,
> {
    move || Box::pin(async move { listener.accept().await.map(|(stream, _)| stream) })
}

async fn accept<S, F>(
    mut next: impl FnMut() -> F,
    door: Door,
    stop: CancellationToken,
    grace: Duration,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = io::Result<S>>,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).pipeline_flush(true);
    let graceful = GracefulShutdown::new();
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = next() => accepted,
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection; trying again");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let door = door.clone();
        let service = service_fn(move |request: Request<Incoming>| answer(door.clone(), request));
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        let connection = graceful.watch(connection.into_owned());
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection ended");
            }
        });
    }
    connections.close();
    // Idle connections close at once, others after their answer.
    tokio::select! {
        () = graceful.shutdown() => {}
        () = tokio::time::sleep(grace) => tracing::warn!("some requests did not end in time"),
    }
}

fn answer(
    door: Door,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response, Infallible>> + Send {
    door.answer(request)
}
