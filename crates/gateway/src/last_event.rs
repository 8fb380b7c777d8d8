//! Streams of events whose worker breaks off end with an event that says why.
//!
//! The head of such an answer is long gone when the worker dies, so its status cannot tell any
//! more. Without a last event a client only sees a connection that closes, as if by the network.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use api::{BoxError, broken_off};
use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use http_body::{Body as HttpBody, Frame};

use crate::failure::{Family, last_event};

/// Makes an answer that is a stream of events tell in its last one why it ends early.
pub(crate) fn watch(response: Response, family: Family, request_id: &str) -> Response {
    if !takes_another_event(response.headers()) {
        return response;
    }
    let request_id = request_id.to_owned();
    response.map(|body| Body::new(Watched { body, family, request_id, end: End::default() }))
}

/// Whether an event of ours may follow those of the worker.
fn takes_another_event(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.is_some_and(|kind| kind.starts_with(b"text/event-stream"))
        && !headers.contains_key(header::CONTENT_LENGTH)
        && !headers.contains_key(header::CONTENT_ENCODING)
}

/// A stream of events on its way to the client.
struct Watched {
    body: Body,
    family: Family,
    request_id: String,
    end: End,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let frame = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
            Some(Err(error)) => this.told(error.into_inner()),
            Some(Ok(frame)) => {
                if let Some(piece) = frame.data_ref() {
                    this.end.push(piece);
                }
                frame
            }
            None => return Poll::Ready(None),
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

impl Watched {
    /// The event that tells why nothing follows.
    fn told(&mut self, error: BoxError) -> Frame<Bytes> {
        // Drops the worker's stream; the next poll finds the end.
        self.body = Body::empty();
        let mut event = Vec::new();
        if mem::take(&mut self.end).is_within_event() {
            // What was begun must end first, or the client would take both for one event.
            event.extend_from_slice(b"\n\n");
        }
        event.extend(last_event(&broken_off(error), self.family, &self.request_id));
        Frame::data(event.into())
    }
}

/// The last bytes of a stream, as far as they tell whether an event is complete.
#[derive(Debug, Default)]
struct End {
    /// At most [`End::LENGTH`] bytes.
    last: Vec<u8>,
}

impl End {
    /// Two line ends of two bytes.
    const LENGTH: usize = 4;

    fn push(&mut self, piece: &[u8]) {
        let tail = &piece[piece.len().saturating_sub(Self::LENGTH)..];
        self.last.extend_from_slice(tail);
        let surplus = self.last.len().saturating_sub(Self::LENGTH);
        self.last.drain(..surplus);
    }

    /// Whether a part of an event was sent, but not its end, which is an empty line.
    fn is_within_event(&self) -> bool {
        let ends = [&b"\n\n"[..], b"\r\r", b"\n\r\n"];
        !self.last.is_empty() && !ends.iter().any(|end| self.last.ends_with(end))
    }
}

#[cfg(test)]
mod tests {
    use api::Body as Answer;
    use futures_util::stream;
    use http_body_util::{BodyExt, StreamBody};
    use types::{ErrorCode, Fault};

    use super::*;

    /// What a client gets of an answer whose worker dies after these pieces.
    async fn cut_off(head: &[(&'static str, &'static str)], pieces: &[&'static str]) -> Told {
        let frames: Vec<Result<Frame<Bytes>, BoxError>> = pieces
            .iter()
            .map(|&piece| Ok(Frame::data(Bytes::from(piece))))
            .chain([Err("connection reset".into())])
            .collect();
        told(head, frames, Family::OpenAi).await
    }

    /// What came, and whether the end looked like one.
    type Told = (String, bool);

    async fn told(
        head: &[(&'static str, &'static str)],
        frames: Vec<Result<Frame<Bytes>, BoxError>>,
        family: Family,
    ) -> Told {
        let body = Answer::stream(StreamBody::new(stream::iter(frames)));
        let mut answer = Response::builder();
        for &(name, value) in head {
            answer = answer.header(name, value);
        }
        let answer = watch(answer.body(Body::new(body)).unwrap(), family, "r-1");
        let (mut body, mut text) = (answer.into_body(), String::new());
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => text += std::str::from_utf8(frame.data_ref().unwrap()).unwrap(),
                Err(_) => return (text, false),
            }
        }
        (text, true)
    }

    const EVENTS: &[(&str, &str)] = &[("content-type", "text/event-stream")];
    const LAST: &str = "data: {\"error\":{\"message\":\"the worker broke off in the middle of its \
        answer\",\"type\":\"server_error\",\"param\":null,\"code\":\"worker_failed\"}}\n\n";

    #[tokio::test]
    async fn a_stream_whose_worker_dies_ends_with_the_error() {
        let (text, ends) = cut_off(EVENTS, &["data: 1\n\n", "data: 2\n", "\n"]).await;
        assert_eq!(text, format!("data: 1\n\ndata: 2\n\n{LAST}"));
        assert!(ends);
        assert_eq!(cut_off(EVENTS, &[]).await, (LAST.to_owned(), true));
    }

    #[tokio::test]
    async fn an_event_that_was_cut_in_two_is_ended_first() {
        for cut in ["data: 1\n\ndata: 2", "data: 1\n\ndata: 2\n", "data: 1\r\n"] {
            assert_eq!(cut_off(EVENTS, &[cut]).await.0, format!("{cut}\n\n{LAST}"));
        }
        for whole in ["data: 1\r\n\r\n", "data: 1\r\r"] {
            assert_eq!(cut_off(EVENTS, &[whole]).await.0, format!("{whole}{LAST}"));
        }
    }

    #[tokio::test]
    async fn a_native_stream_tells_the_fault_in_an_event_of_its_own_kind() {
        let late = Fault::new(ErrorCode::DeadlineExceeded, "the time is up");
        let (text, ends) = told(EVENTS, vec![Err(late.into())], Family::Native).await;
        let data = text.strip_prefix("event: error\ndata: ").unwrap();
        let problem: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(
            (problem["code"].as_str(), problem["request_id"].as_str(), ends),
            (Some("deadline_exceeded"), Some("r-1"), true)
        );
    }

    #[tokio::test]
    async fn an_answer_to_which_nothing_can_be_added_breaks_off() {
        for head in [
            &[("content-type", "application/x-ndjson")][..],
            &[("content-type", "text/event-stream"), ("content-length", "99")],
            &[("content-type", "text/event-stream"), ("content-encoding", "gzip")],
        ] {
            assert_eq!(cut_off(head, &["data: 1\n\n"]).await, ("data: 1\n\n".to_owned(), false));
        }
    }

    #[tokio::test]
    async fn a_stream_that_ends_as_it_should_is_left_alone() {
        let frames = vec![Ok(Frame::data(Bytes::from("data: 1\n\n")))];
        assert_eq!(told(EVENTS, frames, Family::Native).await, ("data: 1\n\n".into(), true));
    }
}
