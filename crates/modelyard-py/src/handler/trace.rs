//! What ties the log lines of one call together, for the caller as well.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use http::{HeaderMap, HeaderName, HeaderValue};

/// Where a caller tells its id, and is told the id of its call.
pub(crate) const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");

/// Longest id that is taken from a caller, in bytes; it is repeated in every log line.
const LENGTH_MAX: usize = 128;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The id that a caller sent along.
pub(crate) fn told(head: &HeaderMap) -> Option<HeaderValue> {
    head.get(TRACE_ID).filter(|id| is_good(id.as_bytes())).cloned()
}

/// An id as a header, if it can be one.
pub(crate) fn header(id: &str) -> Option<HeaderValue> {
    if is_good(id.as_bytes()) { HeaderValue::from_str(id).ok() } else { None }
}

fn is_good(id: &[u8]) -> bool {
    !id.is_empty() && id.len() <= LENGTH_MAX && id.iter().all(u8::is_ascii_graphic)
}

/// A new id: `traceid-` and eight letters or digits. No two of one process are alike before
/// 62⁸ of them were given; it is a name, not a secret.
pub(crate) fn fresh() -> HeaderValue {
    static NEXT: LazyLock<AtomicU64> =
        LazyLock::new(|| AtomicU64::new(RandomState::new().hash_one(std::process::id())));
    const ALL: u64 = 62_u64.pow(8);
    // A factor without a common divisor with 62⁸ scatters neighbours and repeats nothing.
    const SCATTER: u64 = 134_944_000_000_037;
    const { assert!(!SCATTER.is_multiple_of(2) && !SCATTER.is_multiple_of(31)) };
    let n = u128::from(NEXT.fetch_add(1, Relaxed) % ALL) * u128::from(SCATTER) % u128::from(ALL);
    let mut rest = n as u64;
    let mut id = *b"traceid-........";
    for byte in &mut id[8..] {
        *byte = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    // Letters, digits and a dash are always valid.
    HeaderValue::from_bytes(&id).unwrap_or(HeaderValue::from_static("traceid-00000000"))
}
