//! An answer as server-sent events, while its tokens come.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use api::{Body, BoxError};
use bytes::{Bytes, BytesMut};
use http::Response;
use http_body::{Body as HttpBody, Frame};
use tokio::time::{Instant, Sleep, sleep};
use worker::sse;

use super::reply::Reply;
use crate::generation::Tokens;

/// Quiet after which a comment is sent, so that nobody on the way takes the connection for dead
/// while a long prompt is computed; proxies give up after 30 to 60 seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const SIGN_OF_LIFE: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// The answer whose events come as the tokens do. Dropping its body aborts the sequences.
pub(super) fn respond(tokens: Tokens, mut reply: Reply) -> Response<Body> {
    let first = reply.begin();
    let quiet = Box::pin(sleep(KEEP_ALIVE));
    sse::response(Body::stream(Events { tokens: Some(tokens), reply, first, quiet }))
}

struct Events {
    /// `None` once the last event was made.
    tokens: Option<Tokens>,
    reply: Reply,
    /// What is told before the first token.
    first: Vec<Bytes>,
    quiet: Pin<Box<Sleep>>,
}

impl Events {
    /// All events that can be told now, together: a step of the engine brings one for each
    /// sequence, and one write for all of them costs as much as for one.
    fn poll_events(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut out = BytesMut::new();
        self.first.drain(..).for_each(|event| out.extend_from_slice(&event));
        while let Some(tokens) = &mut self.tokens {
            let told = match tokens.poll_next(cx) {
                Poll::Pending => break,
                Poll::Ready(Some((sequence, event))) => self.reply.take(sequence, event),
                Poll::Ready(None) => {
                    self.tokens = None;
                    self.reply.end().map(|last| vec![last])
                }
            };
            match told {
                Ok(events) => events.iter().for_each(|event| out.extend_from_slice(event)),
                Err(error) => {
                    out.extend_from_slice(&self.reply.failed(&error));
                    self.tokens = None;
                }
            }
        }
        match (out.is_empty(), &self.tokens) {
            (false, _) => Poll::Ready(Some(out.freeze())),
            (true, Some(_)) => Poll::Pending,
            (true, None) => Poll::Ready(None),
        }
    }
}

impl HttpBody for Events {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let piece = match this.poll_events(cx) {
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(piece)) => piece,
            Poll::Pending => {
                std::task::ready!(this.quiet.as_mut().poll(cx));
                SIGN_OF_LIFE
            }
        };
        this.quiet.as_mut().reset(Instant::now() + KEEP_ALIVE);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.tokens.is_none() && self.first.is_empty()
    }
}
