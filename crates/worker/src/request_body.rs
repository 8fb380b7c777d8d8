//! The body of a call, as handlers get it.

use std::time::Duration;

use api::{Body, BoxError};
use bytes::{Bytes, BytesMut};
use http_body::Body as HttpBody;
use http_body_util::{BodyExt, Limited};
use types::{ErrorCode, Fault};

use crate::handler::too_large;

/// Bodies up to this length are read before the handler is called, 1 MiB. Not only is that
/// simpler for the handler: while a body waits to be read, a client that leaves goes unnoticed.
const AT_HAND_BYTES_MAX: u64 = 1024 * 1024;

/// Most that is read of a body that nobody wants, and for how long.
const HEARD_OUT_BYTES_MAX: usize = 64 * 1024;
const HEARD_OUT_MAX: Duration = Duration::from_millis(500);

/// Takes a body of at most `bytes_max` bytes: whole if it is short and says so, else as a stream
/// that fails beyond the limit.
pub(crate) async fn take<B>(body: B, bytes_max: usize) -> Result<Body, Fault>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    if body.is_end_stream() {
        return Ok(Body::empty());
    }
    let length = body.size_hint();
    if length.lower() > bytes_max as u64 {
        hear_out(body).await;
        return Err(too_large());
    }
    match length.exact() {
        Some(bytes) if bytes <= AT_HAND_BYTES_MAX => {
            read(body, bytes as usize).await.map(Body::full)
        }
        _ => Ok(Body::stream(Limited::new(body, bytes_max))),
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
    Fault::new(ErrorCode::InvalidRequest, "the body broke off").caused_by(error)
}
