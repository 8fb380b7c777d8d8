//! How long a call may take, and bodies that keep to it.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use api::{Body, BoxError, headers::DEADLINE_MS};
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// The moment by which a call must have ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    /// When.
    pub(crate) at: Instant,
    /// What the call had when it came.
    pub(crate) total: Duration,
}

impl Deadline {
    /// `total` from now.
    pub(crate) fn after(total: Duration) -> Self {
        Self { at: Instant::now() + total, total }
    }

    /// The time that the caller has left, or the model's own limit where the caller names none.
    pub(crate) fn of(headers: &HeaderMap, timeout: Duration) -> Self {
        Self::after(asked(headers).unwrap_or(timeout))
    }

    /// The shorter of the caller's time and the model's own limit.
    pub(crate) fn within(headers: &HeaderMap, timeout: Duration) -> Self {
        Self::after(asked(headers).map_or(timeout, |asked| asked.min(timeout)))
    }

    /// What remains.
    pub(crate) fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }
}

fn asked(headers: &HeaderMap) -> Option<Duration> {
    headers.get(DEADLINE_MS)?.to_str().ok()?.parse().ok().map(Duration::from_millis)
}

/// A duration as a person reads it: `90s`, or `0.3s` where a second is too coarse.
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        if seconds < 1.0 { write!(f, "{seconds:.1}s") } else { write!(f, "{seconds:.0}s") }
    }
}

/// The answer did not end in time.
#[derive(Debug, thiserror::Error)]
#[error("the answer of the external service did not end within {}", Seconds(*total))]
struct Late {
    total: Duration,
}

/// A body that breaks off, and lets go of its connection, when its time is up.
struct Timed {
    /// Gone once the time is up.
    body: Option<Body>,
    deadline: Deadline,
    /// Set when there is something to wait for; most answers are there at once.
    end: Option<Pin<Box<Sleep>>>,
}

/// Makes an answer keep to a deadline.
pub(crate) fn timed(body: Body, deadline: Deadline) -> Body {
    match body {
        Body::Full(_) => body,
        Body::Stream(_) if body.is_end_stream() => Body::empty(),
        Body::Stream(_) => Body::stream(Timed { body: Some(body), deadline, end: None }),
    }
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        // What has come is handed on before the clock is asked: it may be the end.
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let deadline = self.deadline;
        let end = self.end.get_or_insert_with(|| Box::pin(sleep_until(deadline.at)));
        if end.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.body = None;
        Poll::Ready(Some(Err(Late { total: deadline.total }.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_like_the_settings_they_come_from() {
        for (millis, text) in
            [(90_000, "90s"), (89_990, "90s"), (1_000, "1s"), (300, "0.3s"), (40, "0.0s")]
        {
            assert_eq!(Seconds(Duration::from_millis(millis)).to_string(), text);
        }
    }
}
