//! Reading bodies to an end that is known beforehand.

use api::{Body, BoxError, EndpointError};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Limited};
use types::{ErrorCode, Fault};

/// What a failed call repeats of the provider's body, in characters.
const EXCERPT_CHARS: usize = 500;
/// An answer that we must understand ourselves. Providers send links, not images, so this is
/// far more than any of them needs.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// All of a request's body. Its size was limited at our own door.
///
/// # Errors
/// `invalid_request` if the body broke off.
pub(crate) async fn request(body: Body) -> Result<Bytes, EndpointError> {
    match body {
        Body::Full(bytes) => Ok(bytes.unwrap_or_default()),
        stream @ Body::Stream(_) => match stream.collect().await {
            Ok(all) => Ok(all.to_bytes()),
            Err(cause) => Err(EndpointError::maybe_begun(
                Fault::new(ErrorCode::InvalidRequest, "the body broke off").caused_by(cause),
            )),
        },
    }
}

/// All of an answer, if it is not absurdly large.
///
/// # Errors
/// The connection broke, the time was up, or the answer is larger than 16 MiB.
pub(crate) async fn answer(body: Body) -> Result<Bytes, BoxError> {
    Ok(Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes())
}

/// The beginning of an answer as text, for a message; an answer that breaks off is cut there.
pub(crate) async fn excerpt(mut body: Body) -> String {
    let mut begin = BytesMut::new();
    // A character takes four bytes at most.
    while begin.len() < 4 * EXCERPT_CHARS {
        match body.frame().await {
            Some(Ok(frame)) => begin.extend(frame.into_data()),
            Some(Err(_)) | None => break,
        }
    }
    excerpt_of(&begin)
}

/// The first 500 characters of what came.
pub(crate) fn excerpt_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().chars().take(EXCERPT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_counts_characters_not_bytes() {
        assert_eq!(excerpt_of(b" short \n"), "short");
        let long = "图".repeat(600);
        assert_eq!(excerpt_of(long.as_bytes()), "图".repeat(500));
    }
}
