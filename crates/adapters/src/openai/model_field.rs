//! Changing the model's name inside a request, and nothing else.

use api::EndpointError;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use types::ErrorCode;

use crate::refusal::refuse;

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    model: Option<&'a RawValue>,
}

/// A `null` is there too: only a missing field is `None`.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(value: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

/// Sets the top-level field `model` of the JSON object in `body`. Every other byte stays as it
/// is: numbers keep their digits, fields their order.
///
/// # Errors
/// `invalid_json`, or `invalid_input` if the body is no object or names its model twice.
pub(super) fn replace(body: &[u8], model: &str) -> Result<Vec<u8>, EndpointError> {
    let request: Request<'_> = serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            refuse(ErrorCode::InvalidInput, format!("the body does not fit: {error}"))
        } else {
            refuse(ErrorCode::InvalidJson, format!("the body is not valid JSON: {error}"))
        }
    })?;
    // A struct is also read from a JSON array; the field must be in an object.
    let Some(open) = body.iter().position(|byte| !byte.is_ascii_whitespace()) else {
        return Err(not_an_object());
    };
    if body[open] != b'{' {
        return Err(not_an_object());
    }
    let value = serde_json::Value::from(model).to_string();
    let (before, middle, after) = match request.model {
        Some(old) => {
            // `old` is borrowed from `body`, so the distance of their beginnings is its place.
            let start = old.get().as_ptr() as usize - body.as_ptr() as usize;
            (&body[..start], value, &body[start + old.get().len()..])
        }
        None => {
            let rest = &body[open + 1..];
            let comma = if rest.trim_ascii_start().starts_with(b"}") { "" } else { "," };
            (&body[..=open], format!(r#""model":{value}{comma}"#), rest)
        }
    };
    Ok([before, middle.as_bytes(), after].concat())
}

fn not_an_object() -> EndpointError {
    refuse(ErrorCode::InvalidInput, "the body must be a JSON object")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &str) {
        let replaced = replace(body.as_bytes(), "up\"stream").unwrap();
        assert_eq!(String::from_utf8(replaced).unwrap(), expected);
    }

    #[test]
    fn only_the_name_changes() {
        check(
            r#"{"n": 1.50, "model" : "ours", "messages": [{"model": "inner"}], "b":1e3}"#,
            r#"{"n": 1.50, "model" : "up\"stream", "messages": [{"model": "inner"}], "b":1e3}"#,
        );
        check(r#"{"mod\u0065l":7}"#, r#"{"mod\u0065l":"up\"stream"}"#);
    }

    #[test]
    fn a_missing_name_is_put_first() {
        check(r#" {"a":1}"#, r#" {"model":"up\"stream","a":1}"#);
        check("{ }", r#"{"model":"up\"stream" }"#);
        check(r#"{"model":null}"#, r#"{"model":"up\"stream"}"#);
    }

    #[test]
    fn what_is_no_single_request_is_refused() {
        let code = |body: &str| replace(body.as_bytes(), "m").unwrap_err().fault.code;
        assert_eq!(code(r#"{"model":"a","model":"b"}"#), ErrorCode::InvalidInput);
        assert_eq!(code(r#"["a"]"#), ErrorCode::InvalidInput);
        assert_eq!(code("7"), ErrorCode::InvalidInput);
        assert_eq!(code("{"), ErrorCode::InvalidJson);
        assert_eq!(code(""), ErrorCode::InvalidJson);
    }
}
