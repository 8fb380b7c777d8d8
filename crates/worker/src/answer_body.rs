//! The body of an answer on its way out, with the call that it belongs to.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use api::{Body, BoxError, worker::Outcome};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Sleep, sleep_until};

use crate::{
    call::{panicked, time_up},
    running::Attendance,
};

/// An answer's body. A stream holds its call until it ends; dropped before, it cancels the call.
pub(crate) struct AnswerBody {
    body: Body,
    /// `None` for bytes at hand: their call is over.
    watch: Option<Box<Watch>>,
}

/// Watches over a stream.
struct Watch {
    /// `None` once the stream has ended.
    attendance: Option<Attendance>,
    deadline: Option<Instant>,
    /// The alarm of the deadline, set when the stream first makes us wait.
    alarm: Option<Pin<Box<Sleep>>>,
    /// Bytes still to come, if the length is known.
    bytes_left: Option<u64>,
}

impl AnswerBody {
    /// Bytes that belong to no call, or to one that is over.
    pub(crate) const fn whole(body: Body) -> Self {
        Self { body, watch: None }
    }

    /// The answer of a call, which must end by `deadline`.
    pub(crate) fn new(body: Body, attendance: Attendance, deadline: Option<Instant>) -> Self {
        if body.is_end_stream() || matches!(body, Body::Full(_)) {
            attendance.answered(Outcome::Completed);
            return Self::whole(body);
        }
        let bytes_left = body.size_hint().exact();
        let watch = Watch { attendance: Some(attendance), deadline, alarm: None, bytes_left };
        Self { body, watch: Some(Box::new(watch)) }
    }

    /// Ends a stream whose time is up.
    fn cut(&mut self) -> Option<Result<Frame<Bytes>, BoxError>> {
        self.body = Body::empty();
        if let Some(attendance) = self.watch.take().and_then(|watch| watch.attendance) {
            attendance.gave_up();
        }
        Some(Err(time_up().into()))
    }
}

impl Watch {
    fn settle(&mut self, outcome: Outcome) {
        if let Some(attendance) = self.attendance.take() {
            attendance.answered(outcome);
        }
    }

    /// How the call ended, if it ended with what the stream gave. A stream of known length is not
    /// asked again after its last byte, so its end is told by counting.
    fn outcome(
        &mut self,
        frame: Option<&Result<Frame<Bytes>, BoxError>>,
        at_end: bool,
    ) -> Option<Outcome> {
        match frame {
            None => Some(Outcome::Completed),
            Some(Err(_)) => Some(Outcome::Failed),
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                self.bytes_left = self.bytes_left.map(|left| left.saturating_sub(length));
                (at_end || self.bytes_left == Some(0)).then_some(Outcome::Completed)
            }
        }
    }

    /// Ready when the time is up.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else { return Poll::Pending };
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline.into())));
        alarm.as_mut().poll(cx)
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let Some(watch) = &mut this.watch else { return Pin::new(&mut this.body).poll_frame(cx) };
        let body = AssertUnwindSafe(|| Pin::new(&mut this.body).poll_frame(cx));
        let polled = catch_unwind(body)
            .unwrap_or_else(|panic| Poll::Ready(Some(Err(panicked(&*panic).into()))));
        match polled {
            Poll::Ready(frame) => {
                if let Some(outcome) = watch.outcome(frame.as_ref(), this.body.is_end_stream()) {
                    // First the stream, which may hold the call as well.
                    this.body = Body::empty();
                    watch.settle(outcome);
                }
                Poll::Ready(frame)
            }
            Poll::Pending => {
                ready!(watch.poll_alarm(cx));
                Poll::Ready(this.cut())
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
