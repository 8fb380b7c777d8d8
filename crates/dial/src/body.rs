//! The body of an answer, read through the connection that brings it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use api::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use crate::{Pool, connection::Connection};

/// The body of an answer, which drives its connection and gives it back at the end.
pub(crate) struct DrivenBody {
    incoming: Incoming,
    /// Taken when the body ends. Dropped before that, it closes the socket.
    lease: Option<(Connection, Arc<Pool>)>,
}

impl DrivenBody {
    pub(crate) fn new(incoming: Incoming, connection: Connection, pool: Arc<Pool>) -> Self {
        let mut body = Self { incoming, lease: Some((connection, pool)) };
        body.return_if_ended();
        body
    }

    fn return_if_ended(&mut self) {
        if self.incoming.is_end_stream()
            && let Some((connection, pool)) = self.lease.take()
        {
            pool.put_back(connection);
        }
    }
}

impl From<DrivenBody> for Body {
    fn from(body: DrivenBody) -> Self {
        Self::stream(body)
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
