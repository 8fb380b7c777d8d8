//! Which headers cross the line between us and an external API.

use std::time::{Duration, SystemTime};

use api::headers as ours;
use http::{
    HeaderMap, HeaderName,
    header::{
        ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, FORWARDED, HOST,
        PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, RETRY_AFTER, SET_COOKIE,
        STRICT_TRANSPORT_SECURITY, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
};

/// Valid for one connection only (RFC 9110, 7.6.1).
static HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What a caller tells us and a stranger need not know: credentials for our door, where the
/// caller sits, and our own bookkeeping. `accept-encoding` goes too, so that the gateway can read
/// the usage in the answer; the lengths are set anew by the client.
static PRIVATE: [HeaderName; 19] = [
    HOST,
    CONTENT_LENGTH,
    ACCEPT_ENCODING,
    AUTHORIZATION,
    COOKIE,
    FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("expect"),
    ours::DEADLINE_MS,
    ours::TENANT,
    ours::PRIORITY,
    ours::ATTEMPT,
    ours::CALL_ID,
    ours::TASK_ID,
];

/// What a stranger must not tell our callers: things about its own site, and words of the worker
/// contract that only our workers may say.
static FOREIGN: [HeaderName; 6] = [
    CONTENT_LENGTH,
    SET_COOKIE,
    STRICT_TRANSPORT_SECURITY,
    HeaderName::from_static("alt-svc"),
    ours::NOT_BEGUN,
    ours::ERROR_CODE,
];

/// The caller's headers as an external server may see them.
pub(crate) fn outbound(mut headers: HeaderMap) -> HeaderMap {
    remove(&mut headers, &PRIVATE);
    headers
}

/// An external server's headers as our callers may see them.
pub(crate) fn inbound(headers: &mut HeaderMap) {
    remove(headers, &FOREIGN);
}

/// Removes these, and what is for one connection only.
fn remove(headers: &mut HeaderMap, names: &[HeaderName]) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    ours::remove_where(headers, |name| {
        names.contains(name) || HOP_BY_HOP.contains(name) || named.contains(name)
    });
}

/// How long an answer asks us to wait, in either spelling of `Retry-After`.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let at = httpdate::parse_http_date(text).ok()?;
            Some(at.duration_since(now).unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn strangers_see_what_the_call_is_about_and_nothing_else() {
        let seen = outbound(map(&[
            ("content-type", "application/json"),
            ("openai-beta", "assistants=v2"),
            ("authorization", "Bearer for-our-door"),
            ("connection", "x-private, close"),
            ("x-private", "1"),
            ("x-tenant", "acme"),
            ("x-deadline-ms", "1000"),
            ("cookie", "session=1"),
        ]));
        assert_eq!(
            seen,
            map(&[("content-type", "application/json"), ("openai-beta", "assistants=v2")])
        );
    }

    #[test]
    fn a_stranger_cannot_speak_as_one_of_our_workers() {
        let mut answer = map(&[
            ("content-type", "text/plain"),
            ("x-not-begun", "1"),
            ("x-error-code", "internal_error"),
            ("set-cookie", "a=b"),
            ("transfer-encoding", "chunked"),
        ]);
        inbound(&mut answer);
        assert_eq!(answer, map(&[("content-type", "text/plain")]));
    }

    #[test]
    fn both_spellings_of_retry_after_are_read() {
        let now = httpdate::parse_http_date("Fri, 20 Nov 2026 08:00:00 GMT").unwrap();
        let check = |value| retry_after(&map(&[("retry-after", value)]), now);
        assert_eq!(check("7"), Some(Duration::from_secs(7)));
        assert_eq!(check("Fri, 20 Nov 2026 08:00:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(check("Fri, 20 Nov 2026 07:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(check("soon"), None);
    }
}
