//! The body of a call, as handlers get it.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use api::{Body, BoxError};
use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use tokio::time::Sleep;
use types::{ErrorCode, Fault};

use crate::handler::too_large;

/// Bodies up to this length are read before the handler is called, 1 MiB. Not only is that
/// simpler for the handler: while a body waits to be read, a client that leaves goes unnoticed.
const AT_HAND_BYTES_MAX: u64 = 1024 * 1024;

/// Most that is read of a body that nobody wants, and for how long.
const HEARD_OUT_BYTES_MAX: usize = 64 * 1024;
const HEARD_OUT_MAX: Duration = Duration::from_millis(500);

/// What every body of a worker keeps to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    pub(crate) bytes_max: usize,
    /// Longest wait for the next piece, while somebody wants it.
    pub(crate) silence_max: Duration,
}

/// Takes a body within the limits: whole if it is short and says so, else as a stream that fails
/// beyond them.
pub(crate) async fn take<B>(body: B, limits: BodyLimits) -> Result<Body, Fault>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    if body.is_end_stream() {
        return Ok(Body::empty());
    }
    let length = body.size_hint();
    let body = Impatient::new(body, limits.silence_max);
    if length.lower() > limits.bytes_max as u64 {
        hear_out(body).await;
        return Err(too_large());
    }
    match length.exact() {
        Some(bytes) if bytes <= AT_HAND_BYTES_MAX => {
            read(body, bytes as usize).await.map(Body::full)
        }
        _ => Ok(Body::stream(Limited::new(body, limits.bytes_max))),
    }
}

/// Reads what is left of a short body before it is refused: a client that still writes when we close
/// may see a broken connection instead of the answer.
pub(crate) async fn hear_out<B>(body: B)
where
    B: HttpBody<Data = Bytes>,
{
    let mut body = std::pin::pin!(body);
    let reading = async {
        let mut left = HEARD_OUT_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(length) else { return };
            left = rest;
        }
    };
    // Whoever takes longer has to live with a broken connection.
    let _ = tokio::time::timeout(HEARD_OUT_MAX, reading).await;
}

async fn read<B>(body: B, bytes: usize) -> Result<Bytes, Fault>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let mut body = std::pin::pin!(body);
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(broke_off)?;
        let Ok(piece) = frame.into_data() else { continue };
        // Nearly always all of it comes at once, and nothing need be copied.
        if whole.is_empty() && piece.len() == bytes {
            return Ok(piece);
        }
        whole.reserve(bytes.saturating_sub(whole.len()));
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// The fault of a body that ended before its end.
pub(crate) fn broke_off(error: impl Into<BoxError>) -> Fault {
    let error = error.into();
    let detail = match error.downcast_ref::<Silent>() {
        Some(silent) => silent.to_string(),
        None => "the body broke off".into(),
    };
    Fault::new(ErrorCode::InvalidRequest, detail).caused_by(error)
}

/// A body of which nothing came for so long.
#[derive(Debug, thiserror::Error)]
#[error("nothing more of the body came for {0:?}; send it without such pauses")]
struct Silent(Duration);

/// A body that fails when nothing of it comes for long. A reader that takes its time is not held
/// against the sender: the wait begins when the reader finds nothing.
struct Impatient<B> {
    body: Pin<Box<B>>,
    silence_max: Duration,
    /// Since the reader waits.
    silence: Option<Pin<Box<Sleep>>>,
}

impl<B> Impatient<B> {
    fn new(body: B, silence_max: Duration) -> Self {
        Self { body: Box::pin(body), silence_max, silence: None }
    }
}

impl<B> HttpBody for Impatient<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = this.body.as_mut().poll_frame(context) {
            this.silence = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let silence_max = this.silence_max;
        let silence = this.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(silence_max)));
        ready!(silence.as_mut().poll(context));
        Poll::Ready(Some(Err(Silent(silence_max).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
