//! An answer that comes piece by piece, from a producer that waits for its reader.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use api::{Body, BoxError};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use tokio::{
    sync::mpsc,
    time::{Instant, Sleep, sleep},
};
use types::{ErrorCode, Fault};

/// Nobody reads the answer any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client left")]
pub struct Gone;

impl From<Gone> for Fault {
    fn from(_: Gone) -> Self {
        Self::new(ErrorCode::TaskCancelled, "the client left")
    }
}

/// What makes the pieces. It runs only while somebody reads, and ends when nobody does.
type Producer = Pin<Box<dyn Future<Output = Result<(), Fault>> + Send>>;

/// How a stream of one kind looks.
pub(crate) struct Style {
    /// Pieces that may wait for the reader.
    pub(crate) waiting_max: usize,
    /// What is sent when nothing else was sent for that long, so that nobody on the way takes the
    /// connection for dead.
    pub(crate) keep_alive: Option<(Duration, Bytes)>,
    /// The last piece of a stream that fails: the status has long been sent.
    pub(crate) fault: fn(&Fault) -> Bytes,
}

/// Sends pieces into a stream.
#[derive(Debug, Clone)]
pub(crate) struct PieceSender(mpsc::Sender<Bytes>);

impl PieceSender {
    pub(crate) async fn send(&self, piece: Bytes) -> Result<(), Gone> {
        self.0.send(piece).await.map_err(|_| Gone)
    }

    pub(crate) fn blocking_send(&self, piece: Bytes) -> Result<(), Gone> {
        self.0.blocking_send(piece).map_err(|_| Gone)
    }
}

/// A stream that others feed; it ends when every sender is gone.
pub(crate) fn channel(style: Style) -> (PieceSender, Body) {
    let (sender, pieces) = mpsc::channel(style.waiting_max.max(1));
    (PieceSender(sender), Body::stream(Feed::new(pieces, None, style)))
}

/// A stream that is fed by a future of its own; it ends when the future does.
pub(crate) fn produced<A>(style: Style, produce: impl FnOnce(PieceSender) -> A) -> Body
where
    A: Future<Output = Result<(), Fault>> + Send + 'static,
{
    let (sender, pieces) = mpsc::channel(style.waiting_max.max(1));
    let producer: Producer = Box::pin(produce(PieceSender(sender)));
    Body::stream(Feed::new(pieces, Some(producer), style))
}

struct Feed {
    pieces: mpsc::Receiver<Bytes>,
    producer: Option<Producer>,
    style: Style,
    /// The piece that tells a fault, after everything that was sent before it.
    last: Option<Bytes>,
    quiet: Option<Pin<Box<Sleep>>>,
}

impl Feed {
    const fn new(pieces: mpsc::Receiver<Bytes>, producer: Option<Producer>, style: Style) -> Self {
        Self { pieces, producer, style, last: None, quiet: None }
    }

    /// The next piece, `None` at the end.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            // What was sent goes first: the producer makes more only when all of it was read.
            if let Ok(piece) = self.pieces.try_recv() {
                return Poll::Ready(Some(piece));
            }
            match self.producer.as_mut().map(|producer| producer.as_mut().poll(cx)) {
                None | Some(Poll::Pending) => break,
                Some(Poll::Ready(end)) => {
                    self.producer = None;
                    self.last = end.err().map(|fault| (self.style.fault)(&fault));
                    self.pieces.close();
                }
            }
        }
        match self.pieces.poll_recv(cx) {
            Poll::Ready(None) if self.producer.is_none() => Poll::Ready(self.last.take()),
            Poll::Ready(None) => Poll::Pending,
            piece => piece,
        }
    }

    /// Something to send while there is nothing to say.
    fn poll_quiet(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let Some((wait, sign)) = &self.style.keep_alive else { return Poll::Pending };
        let quiet = self.quiet.get_or_insert_with(|| Box::pin(sleep(*wait)));
        std::task::ready!(quiet.as_mut().poll(cx));
        quiet.as_mut().reset(Instant::now() + *wait);
        Poll::Ready(sign.clone())
    }
}

impl HttpBody for Feed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        match this.poll_piece(cx) {
            Poll::Ready(piece) => {
                // The quiet is counted from now; its alarm is set when we next have to wait.
                this.quiet = None;
                Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
            }
            Poll::Pending => this.poll_quiet(cx).map(|sign| Some(Ok(Frame::data(sign)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn style() -> Style {
        Style {
            waiting_max: 1,
            keep_alive: Some((Duration::from_millis(5), Bytes::from_static(b"~"))),
            fault: |fault| fault.to_string().into(),
        }
    }

    async fn next(body: &mut Body) -> Option<Bytes> {
        body.frame().await.map(|frame| frame.unwrap().into_data().unwrap())
    }

    #[tokio::test]
    async fn a_quiet_stream_shows_that_it_lives() {
        let (sender, mut body) = channel(style());
        assert_eq!(next(&mut body).await.unwrap(), "~");
        assert_eq!(next(&mut body).await.unwrap(), "~");
        sender.send(Bytes::from_static(b"a")).await.unwrap();
        assert_eq!(next(&mut body).await.unwrap(), "a");
        drop(sender);
        assert_eq!(next(&mut body).await, None);
    }

    #[tokio::test]
    async fn a_producer_makes_no_more_than_is_read() {
        let (count, made) = tokio::sync::watch::channel(0);
        let mut body = produced(style(), |sender| async move {
            for n in 1..=10_u8 {
                sender.send(Bytes::from(vec![n])).await?;
                count.send_replace(n);
            }
            Ok(())
        });
        assert_eq!(*made.borrow(), 0, "nothing is made before somebody reads");
        assert_eq!(next(&mut body).await.unwrap(), [1_u8][..]);
        assert!(*made.borrow() <= 2, "{}", *made.borrow());
        while next(&mut body).await.is_some() {}
        assert_eq!(*made.borrow(), 10);
    }

    #[tokio::test]
    async fn a_fault_comes_after_everything_that_was_sent() {
        let mut body = produced(Style { waiting_max: 8, ..style() }, |sender| async move {
            sender.send(Bytes::from_static(b"a")).await?;
            sender.send(Bytes::from_static(b"b")).await?;
            Err(Fault::new(ErrorCode::HandlerFailed, "oh"))
        });
        assert_eq!(next(&mut body).await.unwrap(), "a");
        assert_eq!(next(&mut body).await.unwrap(), "b");
        assert_eq!(next(&mut body).await.unwrap(), "handler_failed: oh");
        assert_eq!(next(&mut body).await, None);
    }
}
