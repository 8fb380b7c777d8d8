//! The end of a stream that takes too long, whether its code is silent or never stops.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use tokio::time::{Sleep, sleep_until};

/// When a stream is cut, and what its reader is told then.
pub(crate) struct StreamLimit {
    deadline: Instant,
    last: Bytes,
    /// Set when the stream first makes its reader wait.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl StreamLimit {
    /// A limit that ends a stream with `last`.
    pub(crate) const fn new(deadline: Instant, last: Bytes) -> Self {
        Self { deadline, last, alarm: None }
    }

    /// The end of the stream, once its time is up. A stream that has something to say is only
    /// asked for the time; one that is silent is woken.
    pub(crate) fn poll(&mut self, silent: Option<&mut Context<'_>>) -> Poll<Bytes> {
        let is_up = match silent {
            None => Instant::now() >= self.deadline,
            Some(cx) => {
                let deadline = self.deadline.into();
                let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
                alarm.as_mut().poll(cx).is_ready()
            }
        };
        if is_up { Poll::Ready(std::mem::take(&mut self.last)) } else { Poll::Pending }
    }
}
