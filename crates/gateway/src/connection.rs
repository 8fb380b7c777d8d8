//! The connections of one thread: HTTP on each, until the client leaves or we drain.

use std::{
    convert::Infallible,
    fmt,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use axum::response::Response;
use http::Request;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::server::TlsStream;
use tokio_util::{either::Either, sync::CancellationToken, task::TaskTracker};

use crate::{
    activity::Activity,
    door::Door,
    health,
    tls::{self, Spoken, Tls},
};

/// A client that has not sent its next request in this time is disconnected; also one that sends
/// its head too slowly. Longer than the 60 s for which usual proxies and clients keep connections.
const IDLE_MAX: Duration = Duration::from_secs(75);
/// A client of HTTP/2 that went away silently is found by pings in this rhythm.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// Requests that one connection of HTTP/2 may have open.
const STREAMS_MAX: u32 = 256;

/// Serves connections, and waits for them in the end.
pub(crate) struct Connections {
    manner: Arc<Manner>,
    open: TaskTracker,
    grace: Duration,
}

impl Connections {
    pub(crate) fn new(door: Door, tls: Option<Tls>, grace: Duration) -> Self {
        Self { manner: Arc::new(Manner::new(door, tls)), open: TaskTracker::new(), grace }
    }

    /// Serves one more.
    pub(crate) fn serve(&mut self, stream: Either<TcpStream, UnixStream>) {
        let manner = self.manner.clone();
        let counted = manner.door.metrics().http_connections().hold();
        self.open.spawn(async move {
            let _counted = counted;
            match (stream, &manner.tls) {
                (Either::Left(stream), Some(tls)) => manner.guarded(stream, tls).await,
                (stream, _) => manner.plain(stream).await,
            }
        });
    }

    /// Closes idle connections at once and others after their answer; tunnels may go on. All of
    /// it within the grace.
    pub(crate) async fn drain(self) {
        let tunnels = self.manner.door.tunnels().clone();
        let ended = async {
            self.manner.closing.cancel();
            self.open.close();
            self.open.wait().await;
            tunnels.wait().await;
        };
        if tokio::time::timeout(self.grace, ended).await.is_err() && !self.grace.is_zero() {
            tracing::warn!("some requests did not end in time and are cut off");
        }
    }
}

/// How connections are served.
struct Manner {
    door: Door,
    tls: Option<Tls>,
    plain: http1::Builder,
    secured: http2::Builder<TokioExecutor>,
    closing: CancellationToken,
}

impl Manner {
    fn new(door: Door, tls: Option<Tls>) -> Self {
        let mut plain = http1::Builder::new();
        plain.timer(TokioTimer::new()).header_read_timeout(IDLE_MAX).pipeline_flush(true);
        let mut secured = http2::Builder::new(TokioExecutor::new());
        secured
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .max_concurrent_streams(STREAMS_MAX);
        Self { door, tls, plain, secured, closing: CancellationToken::new() }
    }

    /// A connection that may begin with a handshake.
    async fn guarded(&self, stream: TcpStream, tls: &Tls) {
        let heard = tokio::select! {
            heard = tls.hear(stream) => heard,
            () = self.closing.cancelled() => return,
        };
        match heard {
            Ok(Spoken::Secured(stream)) if tls::speaks_http_2(&stream) => {
                self.multiplexed(*stream).await;
            }
            Ok(Spoken::Secured(stream)) => self.plain(*stream).await,
            Ok(Spoken::Plain(stream)) => self.plain(stream).await,
            Ok(Spoken::Redirected(stream, port)) => {
                let answer = |request| self.redirected(request, port);
                let (stream, service) = (TokioIo::new(stream), service_fn(answer));
                let connection = self.plain.serve_connection(stream, service).with_upgrades();
                self.drive(connection, http1::UpgradeableConnection::graceful_shutdown).await;
            }
            Err(error) => tracing::debug!(%error, "a connection ended before it began"),
        }
    }

    /// HTTP/2: many requests at once, each on a task of its own.
    async fn multiplexed(&self, stream: TlsStream<TcpStream>) {
        let (door, activity) = (self.door.clone(), Activity::new());
        let streams = activity.clone();
        let answer = move |request| {
            let (door, held) = (door.clone(), streams.hold());
            async move { door.answer(request).await.map(|answer| held.until_sent(answer)) }
        };
        let connection = self.secured.serve_connection(TokioIo::new(stream), service_fn(answer));
        tokio::select! {
            () = self.drive(connection, http2::Connection::graceful_shutdown) => {}
            () = activity.idle_for(IDLE_MAX) => tracing::debug!("a connection was idle for too long"),
        }
    }

    async fn plain(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let answer = |request| self.door.answer(request);
        let (stream, service) = (TokioIo::new(stream), service_fn(answer));
        let connection = self.plain.serve_connection(stream, service).with_upgrades();
        self.drive(connection, http1::UpgradeableConnection::graceful_shutdown).await;
    }

    /// Who asks how the server is gets an answer; load balancers follow no redirects.
    async fn redirected(
        &self,
        request: Request<Incoming>,
        port: u16,
    ) -> Result<Response, Infallible> {
        if health::PATHS.contains(&request.uri().path()) {
            return self.door.answer(request).await;
        }
        Ok(tls::redirect(&request, port))
    }

    /// Until the client leaves; once we drain, until its answers are sent.
    async fn drive<C, E>(&self, connection: C, finish: impl FnOnce(Pin<&mut C>) + Send)
    where
        C: Future<Output = Result<(), E>> + Send,
        E: fmt::Display,
    {
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.closing.cancelled() => {
                finish(connection.as_mut());
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended");
        }
    }
}
