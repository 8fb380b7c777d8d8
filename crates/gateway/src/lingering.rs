//! Clients that are refused in the middle of their body.
//!
//! A connection that is closed while bytes on it wait unread is reset, and its client may lose the
//! answer that says why. So what is left of a refused body is read for a while, and thrown away.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::{sync::oneshot, time::timeout};

/// A body of this size has most likely arrived with its head, and then nothing waits unread.
const AT_HAND_BYTES_MAX: u64 = 64 * 1024;
/// Enough for all but large bodies on slow lines; a client that never ends must not be waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// What may be left of a body when its request was answered.
pub(crate) struct Rest<B>(oneshot::Receiver<B>);

/// Watches the body of a request, if it is large enough to be left unread.
pub(crate) fn watched<B>(request: Request<B>) -> (Request<axum::body::Body>, Option<Rest<B>>)
where
    B: HttpBody<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<api::BoxError>,
{
    let size = request.body().size_hint();
    if size.upper().is_some_and(|bytes| bytes <= AT_HAND_BYTES_MAX) {
        return (request.map(axum::body::Body::new), None);
    }
    // Such a client sends nothing before the body is asked for.
    let is_under_way = !request.headers().contains_key(header::EXPECT);
    let (leave, left) = oneshot::channel();
    let request = request.map(|body| {
        let watched = Watched { body: Some(body), leave: Some(leave), is_under_way };
        axum::body::Body::new(watched)
    });
    (request, Some(Rest(left)))
}

impl<B: HttpBody + Unpin> Rest<B> {
    /// Reads what was left, for as long as patience lasts.
    pub(crate) async fn read(mut self) {
        let Ok(mut body) = self.0.try_recv() else { return };
        let read = async { while let Some(Ok(_)) = body.frame().await {} };
        // A client that is not done by then has to find out by the end of its connection.
        let _ = timeout(PATIENCE, read).await;
    }
}

/// A body that is handed on when nobody reads it any more.
struct Watched<B: HttpBody> {
    body: Option<B>,
    leave: Option<oneshot::Sender<B>>,
    is_under_way: bool,
}

impl<B: HttpBody + Unpin> HttpBody for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let watched = self.get_mut();
        watched.is_under_way = true;
        match &mut watched.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl<B: HttpBody> Drop for Watched<B> {
    fn drop(&mut self) {
        let unread = self.body.take().filter(|body| self.is_under_way && !body.is_end_stream());
        if let (Some(body), Some(leave)) = (unread, self.leave.take()) {
            // Nobody wants it if the request was given up as a whole.
            drop(leave.send(body));
        }
    }
}
