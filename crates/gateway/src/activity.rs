//! Whether anything goes on on a connection that can carry many requests at once.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    response::Response,
};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::{sync::watch, time};

/// Counts the requests that are being answered. Clones share it.
#[derive(Clone)]
pub(crate) struct Activity(Arc<watch::Sender<usize>>);

/// One request, until its answer is sent or dropped.
pub(crate) struct Held(Arc<watch::Sender<usize>>);

impl Activity {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    pub(crate) fn hold(&self) -> Held {
        self.0.send_modify(|open| *open += 1);
        Held(self.0.clone())
    }

    /// Waits until nothing has gone on for so long.
    pub(crate) async fn idle_for(&self, longest: Duration) {
        let mut open = self.0.subscribe();
        loop {
            let is_idle = *open.borrow_and_update() == 0;
            let changed = open.changed();
            if !is_idle {
                // It cannot fail: the sender is here.
                let _ = changed.await;
            } else if time::timeout(longest, changed).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

impl Held {
    /// The answer, whose last byte ends this.
    pub(crate) fn until_sent(self, answer: Response) -> Response {
        answer.map(|body| Body::new(Watched { body, _held: self }))
    }
}

struct Watched {
    body: Body,
    _held: Held,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_once_its_last_answer_was_sent_long_ago() {
        let activity = Activity::new();
        let idle =
            || time::timeout(Duration::from_secs(60), activity.idle_for(Duration::from_secs(10)));
        assert!(idle().await.is_ok(), "nobody ever asked");
        let answer = activity.hold().until_sent(Response::new(Body::from("hello")));
        assert!(idle().await.is_err(), "an answer is on its way");
        let sent = answer.into_body().collect().await.map(http_body_util::Collected::to_bytes);
        assert_eq!(sent.ok().as_deref(), Some(&b"hello"[..]));
        assert!(idle().await.is_ok());
    }
}
