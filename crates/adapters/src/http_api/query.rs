//! A JSON object as query parameters.

use api::EndpointError;
use form_urlencoded::Serializer;
use serde_json::{Map, Value};
use types::ErrorCode;

use crate::refusal::refuse;

/// Appends the fields of the object in `body` to `query`: text as it is, other values as JSON,
/// a list as one parameter per element, `null` not at all. An empty body has no fields.
///
/// # Errors
/// `invalid_json`, or `invalid_input` if the body is no object.
pub(super) fn append(query: &mut String, body: &[u8]) -> Result<(), EndpointError> {
    if body.trim_ascii().is_empty() {
        return Ok(());
    }
    let fields: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
        if error.is_data() {
            refuse(
                ErrorCode::InvalidInput,
                "this model is called with GET; send a JSON object, whose fields become the query",
            )
        } else {
            refuse(ErrorCode::InvalidJson, format!("the body is not valid JSON: {error}"))
        }
    })?;
    let mut pairs = Serializer::new(std::mem::take(query));
    for (name, value) in &fields {
        match value {
            Value::Array(items) => {
                for item in items {
                    pairs.append_pair(name, &text(item));
                }
            }
            Value::Null => {}
            one => {
                pairs.append_pair(name, &text(one));
            }
        }
    }
    *query = pairs.finish();
    Ok(())
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(own: &str, body: &str) -> String {
        let mut query = own.to_owned();
        append(&mut query, body.as_bytes()).unwrap();
        query
    }

    #[test]
    fn each_field_becomes_a_parameter_in_its_order() {
        assert_eq!(
            check("", r#"{"text": "a b&c", "n": 2, "on": true}"#),
            "text=a+b%26c&n=2&on=true"
        );
        assert_eq!(check("", r#"{"tag": ["x", "y"], "none": null}"#), "tag=x&tag=y");
        assert_eq!(check("", r#"{"box": {"w": 1}}"#), "box=%7B%22w%22%3A1%7D");
        assert_eq!(check("lang=de", r#"{"text": "图"}"#), "lang=de&text=%E5%9B%BE");
        assert_eq!(check("lang=de", " "), "lang=de");
    }

    #[test]
    fn anything_but_an_object_is_refused() {
        let code = |body: &[u8]| append(&mut String::new(), body).unwrap_err().fault.code;
        assert_eq!(code(b"[1]"), ErrorCode::InvalidInput);
        assert_eq!(code(b"{"), ErrorCode::InvalidJson);
    }
}
