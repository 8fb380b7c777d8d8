//! Bodies inside JSON: JSON as it is, text as a string, everything else with its type.

use bytes::Bytes;
use data_encoding::BASE64;
use serde_json::{json, value::RawValue};

/// Whether a body of this media type is JSON; a body without a type is taken for JSON.
pub(crate) fn is_json(content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type else { return true };
    let essence = essence(content_type);
    essence.eq_ignore_ascii_case("application/json")
        || essence.len() >= 5
            && essence.is_char_boundary(essence.len() - 5)
            && essence[essence.len() - 5..].eq_ignore_ascii_case("+json")
}

/// The bytes as one JSON value, verbatim; `None` if they are not.
pub(crate) fn raw(body: &Bytes) -> Option<Box<RawValue>> {
    let text = std::str::from_utf8(body).ok()?;
    RawValue::from_string(text.trim().to_owned()).ok()
}

/// A body as a part of a JSON answer; `None` if it is empty.
///
/// JSON stands there verbatim, text as a string, anything else as
/// `{"content_type", "bytes", "base64"}`.
pub(crate) fn embed(content_type: Option<&str>, body: &Bytes) -> Option<Box<RawValue>> {
    if body.is_empty() {
        return None;
    }
    if is_json(content_type)
        && let Some(raw) = raw(body)
    {
        return Some(raw);
    }
    let is_text = content_type.is_some_and(|given| essence(given).starts_with("text/"));
    let value = match std::str::from_utf8(body) {
        Ok(text) if is_text => json!(text),
        _ => json!({
            "content_type": content_type,
            "bytes": body.len(),
            "base64": BASE64.encode(body),
        }),
    };
    serde_json::value::to_raw_value(&value).ok()
}

/// `{"error": …}`, the result of a task that failed.
pub(crate) fn error(detail: &str) -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(&json!({ "error": detail })).ok()
}

fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content_type: Option<&str>, body: &'static [u8], expected: Option<&str>) {
        let embedded = embed(content_type, &Bytes::from_static(body));
        assert_eq!(embedded.as_ref().map(|raw| raw.get()), expected);
    }

    #[test]
    fn a_body_keeps_its_form_where_json_can_show_it() {
        check(None, br#"{"b":1.50,  "a":[]}"#, Some(r#"{"b":1.50,  "a":[]}"#));
        check(Some("application/json; charset=utf-8"), b" 7\n", Some("7"));
        check(Some("application/problem+JSON"), b"{}", Some("{}"));
        check(Some("text/plain"), b"say \"7\"", Some(r#""say \"7\"""#));
        check(None, b"", None);
    }

    #[test]
    fn other_bodies_come_with_their_type() {
        let png = r#"{"content_type":"image/png","bytes":4,"base64":"iVBORw=="}"#;
        check(Some("image/png"), b"\x89PNG", Some(png));
        let broken = r#"{"content_type":"application/json","bytes":1,"base64":"ew=="}"#;
        check(Some("application/json"), b"{", Some(broken));
        let latin = r#"{"content_type":"text/plain","bytes":1,"base64":"/w=="}"#;
        check(Some("text/plain"), b"\xff", Some(latin));
    }
}
