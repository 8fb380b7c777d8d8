//! The body of an answer, read through the connection that brings it.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use api::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use crate::{Pool, connection::Connection};

/// What a poll of a body gives.
type Polled = Option<Result<Frame<Bytes>, hyper::Error>>;

/// The body of an answer, which drives its connection and gives it back at the end.
pub(crate) struct DrivenBody {
    /// What came together with the head.
    first: Polled,
    incoming: Incoming,
    /// Taken when the body ends. Dropped before that, it closes the socket.
    lease: Option<(Connection, Arc<Pool>)>,
}

impl DrivenBody {
    pub(crate) fn new(incoming: Incoming, connection: Connection, pool: Arc<Pool>) -> Self {
        let mut body = Self { first: None, incoming, lease: Some((connection, pool)) };
        body.return_if_ended();
        body
    }

    /// The body as far as it has come. Most answers come whole with their head: they are bytes at
    /// hand then, which nobody has to wait for or watch over.
    pub(crate) async fn at_hand(mut self) -> Body {
        self.first = poll_fn(|cx| match Pin::new(&mut self).poll_frame(cx) {
            Poll::Ready(first) => Poll::Ready(first),
            Poll::Pending => Poll::Ready(None),
        })
        .await;
        match self.first.take() {
            Some(Ok(frame)) if self.incoming.is_end_stream() => Body::Full(frame.into_data().ok()),
            first => Body::stream(Self { first, ..self }),
        }
    }

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

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Polled> {
        let body = self.get_mut();
        if body.first.is_some() {
            return Poll::Ready(body.first.take());
        }
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
        self.first.is_none() && self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.incoming.size_hint();
        if let Some(Ok(frame)) = &self.first {
            let first = frame.data_ref().map_or(0, Bytes::len) as u64;
            if let Some(upper) = hint.upper() {
                hint.set_upper(upper + first);
            }
            hint.set_lower(hint.lower() + first);
        }
        hint
    }
}
