//! An answer that comes piece by piece, between the Python code that makes it and the connection.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use api::BoxError;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use parking_lot::Mutex;

use crate::inbox::{CallKey, Inbox};

/// Bytes that wait for a slow reader before its stream is parked: a few network buffers, so that a
/// fast reader never waits for Python.
const BYTES_WAITING_MAX: usize = 64 * 1024;

/// What became of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Go on.
    Room,
    /// It was taken; go on when the inbox says so.
    Parked,
    /// Nobody reads any more.
    Gone,
}

#[derive(Default)]
struct State {
    /// All that waits, in one piece: a reader that fell behind gets it in one frame.
    waiting: BytesMut,
    reader: Option<Waker>,
    parked: bool,
    end: Option<End>,
    gone: bool,
}

#[derive(Clone, Copy)]
enum End {
    Complete,
    Broken,
}

/// The writing half.
pub(crate) struct Stream {
    state: Mutex<State>,
    inbox: Arc<Inbox>,
    lane: usize,
    key: CallKey,
}

impl Stream {
    /// A stream whose code runs in this lane.
    pub(crate) fn new(inbox: Arc<Inbox>, lane: usize, key: CallKey) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), inbox, lane, key })
    }

    /// Sends a piece.
    pub(crate) fn send(&self, piece: &[u8]) -> Sent {
        {
            let mut state = self.state.lock();
            if state.gone {
                return Sent::Gone;
            }
            state.waiting.extend_from_slice(piece);
            if let Some(reader) = state.reader.take() {
                reader.wake();
            }
            if state.waiting.len() >= BYTES_WAITING_MAX {
                state.parked = true;
                return Sent::Parked;
            }
        }
        // On a thread, streams and calls take turns; an event loop sees to that itself.
        if self.inbox.serves_threads() && self.inbox.others_wait(self.lane) {
            self.inbox.resume(self.lane, self.key);
            return Sent::Parked;
        }
        Sent::Room
    }

    /// All was sent.
    pub(crate) fn complete(&self) {
        self.end(End::Complete);
    }

    /// It breaks off; the reader sees that something is missing.
    pub(crate) fn break_off(&self) {
        self.end(End::Broken);
    }

    fn end(&self, end: End) {
        let mut state = self.state.lock();
        state.end = Some(end);
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    fn lose_reader(&self) {
        let (was_parked, ended) = {
            let mut state = self.state.lock();
            state.gone = true;
            (std::mem::take(&mut state.parked), state.end.is_some())
        };
        if ended {
            return;
        }
        self.inbox.left(self.key);
        if was_parked {
            self.inbox.resume(self.lane, self.key);
        }
    }
}

/// The reading half. Dropping it before the end stops the code.
pub(crate) struct StreamBody(pub(crate) Arc<Stream>);

impl Body for StreamBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let stream = &self.0;
        let mut state = stream.state.lock();
        if state.waiting.is_empty() {
            return match state.end {
                Some(End::Complete) => Poll::Ready(None),
                Some(End::Broken) => Poll::Ready(Some(Err("the handler broke off".into()))),
                None => {
                    state.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
            };
        }
        let piece = std::mem::take(&mut state.waiting).freeze();
        let was_parked = std::mem::take(&mut state.parked);
        drop(state);
        if was_parked {
            stream.inbox.resume(stream.lane, stream.key);
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        self.0.lose_reader();
    }
}
