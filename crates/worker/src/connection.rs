//! One connection: its requests in turn, and the socket that it may become.

use std::{
    collections::BTreeMap, convert::Infallible, future::Future, pin::Pin, pin::pin, sync::Arc,
};

use api::worker::Report;
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use crate::{call::CallHead, door, last_word::LastWord, server::Server};

/// The life of a socket, which begins when the connection has given up HTTP.
type Afterlife = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the requests of one connection share.
pub(crate) struct Connection {
    pub(crate) server: Arc<Server>,
    pub(crate) last_word: LastWord,
    afterlife: Mutex<Option<Afterlife>>,
}

impl Connection {
    /// Says what becomes of the connection after its switch of protocols.
    pub(crate) fn becomes(&self, afterlife: Afterlife) {
        *self.afterlife.lock() = Some(afterlife);
    }
}

/// Serves one connection. Hyper drops the answer in the making as soon as the peer is gone, and
/// with it the call is cancelled.
pub(crate) async fn serve<S>(stream: S, server: Arc<Server>, closing: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (last_word, afterlife) = (LastWord::default(), Mutex::new(None));
    let head_wait_max = server.head_wait_max;
    let connection = Arc::new(Connection { server, last_word, afterlife });
    let service = service_fn(|request: Request<Incoming>| {
        let connection = Arc::clone(&connection);
        // At once: a future is never polled whose client has left already.
        connection.last_word.came(CallHead::call_id(request.headers()));
        async move { Ok::<_, Infallible>(door::answer(&connection, request).await) }
    });
    // Whoever connects and says nothing must not hold the connection for ever.
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_wait_max)
        .serve_connection(TokioIo::new(stream), service);
    let mut http = pin!(http.with_upgrades());
    let ended = tokio::select! {
        biased;
        ended = http.as_mut() => ended,
        () = closing.cancelled() => {
            http.as_mut().graceful_shutdown();
            http.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
    if let Some((call_id, outcome)) = connection.last_word.take() {
        let usage = BTreeMap::new();
        connection.server.ledger.report(Report::Ended { call_id, outcome, usage });
    }
    let afterlife = connection.afterlife.lock().take();
    if let Some(afterlife) = afterlife {
        afterlife.await;
    }
}
