//! The connections of one thread: HTTP/1.1 on each, until the client leaves or we drain.

use std::{pin::pin, sync::Arc, time::Duration};

use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::door::Door;

/// A client that has not sent its next request in this time is disconnected; also one that sends
/// its head too slowly. Longer than the 60 s for which usual proxies and clients keep connections.
const IDLE_MAX: Duration = Duration::from_secs(75);

/// Serves connections, and waits for them in the end.
pub(crate) struct Connections {
    door: Arc<Door>,
    protocol: http1::Builder,
    open: TaskTracker,
    closing: CancellationToken,
    grace: Duration,
}

impl Connections {
    pub(crate) fn new(door: Door, grace: Duration) -> Self {
        let mut protocol = http1::Builder::new();
        protocol.timer(TokioTimer::new()).header_read_timeout(IDLE_MAX).pipeline_flush(true);
        Self {
            door: Arc::new(door),
            protocol,
            open: TaskTracker::new(),
            closing: CancellationToken::new(),
            grace,
        }
    }

    /// Serves one more.
    pub(crate) fn serve(&mut self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let door = self.door.clone();
        let counted = door.metrics().http_connections().hold();
        let service = service_fn(move |request: Request<Incoming>| {
            let door = door.clone();
            async move { door.answer(request).await }
        });
        let connection = self.protocol.serve_connection(TokioIo::new(stream), service);
        let closing = self.closing.clone();
        self.open.spawn(async move {
            let _counted = counted;
            let mut connection = pin!(connection.with_upgrades());
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = closing.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended");
            }
        });
    }

    /// Closes idle connections at once and others after their answer; tunnels may go on. All of
    /// it within the grace.
    pub(crate) async fn drain(self) {
        let tunnels = self.door.tunnels().clone();
        let ended = async {
            self.closing.cancel();
            self.open.close();
            self.open.wait().await;
            tunnels.wait().await;
        };
        if tokio::time::timeout(self.grace, ended).await.is_err() && !self.grace.is_zero() {
            tracing::warn!("some requests did not end in time and are cut off");
        }
    }
}
