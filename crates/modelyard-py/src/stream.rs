//! An answer that comes piece by piece, between the Python code that makes it and the connection.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use api::BoxError;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use parking_lot::Mutex;
use tokio::{
    task::JoinHandle,
    time::{Sleep, sleep_until},
};

use crate::{
    handler::StreamLimit,
    inbox::{CallKey, Inbox},
};

/// Bytes that wait for a slow reader before its stream is parked: a few network buffers, so that a
/// fast reader never waits for Python.
const BYTES_WAITING_MAX: usize = 64 * 1024;

/// How long a reader that has just got a piece lets others gather: too short to be seen, long enough
/// that a fast stream is not one system call per item. The first piece after a pause goes at once.
const GATHERING: Duration = Duration::from_millis(1);

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
    /// The reader looks again by itself, and need not be woken for a piece.
    gathering: bool,
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
        let mut state = self.state.lock();
        if state.gone {
            return Sent::Gone;
        }
        state.waiting.extend_from_slice(piece);
        let is_full = state.waiting.len() >= BYTES_WAITING_MAX;
        state.parked |= is_full;
        let reader = if state.gathering && !is_full { None } else { state.reader.take() };
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        if is_full {
            return Sent::Parked;
        }
        // On a thread, streams and calls take turns; an event loop sees to that itself.
        if self.inbox.serves_threads() && self.inbox.others_wait(self.lane) {
            self.inbox.resume(self.lane, self.key);
            return Sent::Parked;
        }
        Sent::Room
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.state.lock().gone
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
        // One that has expired ended well, whatever its code says then.
        state.end.get_or_insert(end);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Its time is up: the reader gets what waits and `last`, and the code is told to stop.
    pub(crate) fn expire(&self, last: &[u8]) {
        let mut state = self.state.lock();
        if state.gone || state.end.is_some() {
            return;
        }
        state.waiting.extend_from_slice(last);
        state.end = Some(End::Complete);
        state.gone = true;
        let was_parked = std::mem::take(&mut state.parked);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        self.tell_gone(was_parked);
    }

    fn lose_reader(&self) {
        let (was_parked, ended) = {
            let mut state = self.state.lock();
            state.gone = true;
            (std::mem::take(&mut state.parked), state.end.is_some())
        };
        if !ended {
            self.tell_gone(was_parked);
        }
    }

    /// Tells the code that nobody reads any more.
    fn tell_gone(&self, was_parked: bool) {
        self.inbox.left(self.key);
        if was_parked {
            self.inbox.resume(self.lane, self.key);
        }
    }
}

/// The reading half. Dropping it before the end stops the code.
pub(crate) struct StreamBody {
    stream: Arc<Stream>,
    /// `None` for a stream without one, and once it is kept.
    limit: Option<StreamLimit>,
    keeper: Option<JoinHandle<()>>,
    /// Until when pieces gather.
    gathering: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl StreamBody {
    /// What is sent into the stream, as long as `limit` allows.
    pub(crate) const fn new(stream: Arc<Stream>, limit: Option<StreamLimit>) -> Self {
        Self { stream, limit, keeper: None, gathering: None, alarm: None }
    }

    /// Has the reader look again once pieces had their time to gather.
    fn look_again(&mut self, until: Instant, cx: &mut Context<'_>) {
        let until = until.into();
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if alarm.deadline() != until {
            alarm.as_mut().reset(until);
        }
        if alarm.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Some(limit) = this.limit.take() {
            // Of its own: a reader that is slow does not ask for more.
            this.keeper = Some(tokio::spawn(limit.keep(Arc::downgrade(&this.stream))));
        }
        let mut state = this.stream.state.lock();
        if state.waiting.is_empty() {
            match state.end {
                Some(End::Complete) => return Poll::Ready(None),
                Some(End::Broken) => {
                    return Poll::Ready(Some(Err("the handler broke off".into())));
                }
                None => state.reader = Some(cx.waker().clone()),
            }
            let until = this.gathering.filter(|until| *until > Instant::now());
            state.gathering = until.is_some();
            drop(state);
            if let Some(until) = until {
                this.look_again(until, cx);
            }
            return Poll::Pending;
        }
        let piece = std::mem::take(&mut state.waiting).freeze();
        let was_parked = std::mem::take(&mut state.parked);
        drop(state);
        this.gathering = Instant::now().checked_add(GATHERING);
        if was_parked {
            this.stream.inbox.resume(this.stream.lane, this.stream.key);
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        if let Some(keeper) = &self.keeper {
            keeper.abort();
        }
        self.stream.lose_reader();
    }
}
