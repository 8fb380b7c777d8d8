//! Bodies, read once and within bounds.

use api::Body;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::IgnoredAny;
use types::ErrorCode;

use crate::failure::Failure;

/// Bodies up to this size are read before they are sent on, so that the call can be tried again
/// on another replica; larger ones are streamed.
const REPEATABLE_BYTES_MAX: u64 = 256 * 1024;

/// Reads a whole body of at most `bytes_max`.
pub(crate) async fn read(body: axum::body::Body, bytes_max: usize) -> Result<Bytes, Failure> {
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large(bytes_max));
    }
    match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(bytes_max)),
        Err(error) => Err(Failure(
            types::Fault::new(ErrorCode::InvalidRequest, "the body broke off before its end")
                .caused_by(error),
        )),
    }
}

/// Takes a body for a route that gets it verbatim: small ones are read, others streamed.
pub(crate) async fn take(body: axum::body::Body, bytes_max: usize) -> Result<Body, Failure> {
    let size = body.size_hint();
    if size.lower() > bytes_max as u64 {
        return Err(too_large(bytes_max));
    }
    match size.exact() {
        Some(length) if length <= REPEATABLE_BYTES_MAX => {
            Ok(Body::full(read(body, bytes_max).await?))
        }
        _ => {
            let limited = Limited::new(body, bytes_max);
            // Whoever sends it on meets the refusal in the middle.
            let refusal = move |error: api::BoxError| match error.is::<LengthLimitError>() {
                true => too_large(bytes_max).0.into(),
                false => error,
            };
            Ok(Body::stream(limited.map_err(refusal)))
        }
    }
}

/// Whether the body claims to be JSON; one without a type is taken for JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return true };
    let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    let essence = essence.trim_ascii();
    let ends_with_json =
        essence.len() >= 5 && essence[essence.len() - 5..].eq_ignore_ascii_case(b"+json");
    essence.eq_ignore_ascii_case(b"application/json") || ends_with_json
}

/// Checks that the bytes are one JSON value.
pub(crate) fn check_json(bytes: &[u8]) -> Result<(), Failure> {
    match serde_json::from_slice::<IgnoredAny>(bytes) {
        Ok(_) => Ok(()),
        Err(_) if bytes.is_empty() => Err(Failure::new(
            ErrorCode::InvalidJson,
            "the body is empty; send a JSON value, for example {}",
        )),
        Err(error) => Err(Failure::new(
            ErrorCode::InvalidJson,
            format!("the body is not valid JSON: {error}"),
        )),
    }
}

fn too_large(bytes_max: usize) -> Failure {
    let detail = format!("the body is larger than {bytes_max} bytes (server.body_mb_max)");
    Failure::new(ErrorCode::BodyTooLarge, detail)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn json_is_recognised_by_its_type() {
        let table = [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/problem+json", true),
            ("text/plain", false),
            ("application/jsonl", false),
            ("", false),
        ];
        for (text, expected) in table {
            let headers =
                HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(text))]);
            assert_eq!(is_json(&headers), expected, "{text}");
        }
        assert!(is_json(&HeaderMap::new()));
    }

    #[test]
    fn broken_json_says_where() {
        let Failure(fault) = check_json(b"{\"a\": }").err().unwrap();
        assert_eq!(fault.code, ErrorCode::InvalidJson);
        assert!(fault.detail.contains("line 1 column 7"), "{fault}");
    }
}
