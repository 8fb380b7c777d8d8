//! JSON in, JSON out.

use std::future::Future;

use api::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};
use serde::{Serialize, de::DeserializeOwned};
use types::{ErrorCode, Fault};

use crate::{FieldError, FieldErrors, Handler, Incoming};

/// A handler that is an asynchronous function from one type to another.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// #[derive(Deserialize)]
/// struct Question { n: u32 }
/// #[derive(Serialize)]
/// struct Reply { square: u32 }
///
/// let handler = worker::json_handler(|question: Question| async move {
///     Ok(Reply { square: question.n * question.n })
/// });
/// ```
pub fn json_handler<T, R, F, A>(function: F) -> impl Handler
where
    T: DeserializeOwned + Send + 'static,
    R: Serialize + Send + 'static,
    F: Fn(T) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Result<R, Fault>> + Send + 'static,
{
    move |mut incoming: Incoming| {
        let function = function.clone();
        async move {
            let value = read(&mut incoming).await?;
            answer(&function(value).await?)
        }
    }
}

/// Reads the body of a call as JSON of that shape.
///
/// # Errors
/// `unsupported_media_type` if the body says that it is something else, `invalid_json` if it is no
/// JSON, `invalid_input` with the field that does not fit; and those of [`Incoming::read_body`].
///
/// # Cancel safety
/// Dropping it loses what was read; the call cannot go on without it.
pub async fn read<T: DeserializeOwned>(incoming: &mut Incoming) -> Result<T, Fault> {
    require_json(incoming.request.headers())?;
    parse(&incoming.read_body().await?)
}

/// An answer of JSON.
///
/// # Errors
/// `result_not_serializable`.
pub fn answer(value: &impl Serialize) -> Result<Response<Body>, Fault> {
    Ok(response(serde_json::to_vec(value).map_err(not_serializable)?))
}

/// The answer around bytes that are JSON.
pub fn response(json: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::full(json));
    let content_type = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// Refuses a body that says that it is something else than JSON.
///
/// # Errors
/// `unsupported_media_type`.
pub fn require_json(headers: &HeaderMap) -> Result<(), Fault> {
    let Some(content_type) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    // The common case, without a look at anything else.
    if content_type == "application/json" || content_type.to_str().is_ok_and(is_json) {
        return Ok(());
    }
    let shown = String::from_utf8_lossy(content_type.as_bytes());
    let shown: String = shown.chars().take(128).collect();
    let detail = format!("send `content-type: application/json`, not `{shown}`");
    Err(Fault::new(ErrorCode::UnsupportedMediaType, detail))
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.split_once('/').is_some_and(|(kind, subtype)| {
        let subtype = subtype.to_ascii_lowercase();
        kind.eq_ignore_ascii_case("application")
            && (subtype == "json" || subtype.ends_with("+json"))
    })
}

/// Reads JSON of that shape.
///
/// # Errors
/// `invalid_json` if it is none, `invalid_input` with the field that does not fit.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let field = error.path().to_string();
        misfit(if field == "." { "" } else { &field }, error.into_inner())
    })?;
    json.end().map_err(invalid)?;
    Ok(value)
}

fn misfit(field: &str, error: serde_json::Error) -> Fault {
    if !error.is_data() {
        return invalid(error);
    }
    let message = error.to_string();
    let detail = if field.is_empty() { message.clone() } else { format!("`{field}`: {message}") };
    let errors = FieldErrors(vec![FieldError { field: field.into(), message }]);
    Fault::new(ErrorCode::InvalidInput, detail).caused_by(errors)
}

/// The fault of a body that is no JSON.
pub(crate) fn invalid(error: serde_json::Error) -> Fault {
    let detail = format!("the body is not valid JSON: {error}");
    Fault::new(ErrorCode::InvalidJson, detail).caused_by(error)
}

/// The fault of a result that is no JSON.
pub(crate) fn not_serializable(error: serde_json::Error) -> Fault {
    let detail = format!("the result cannot be written as JSON: {error}");
    Fault::new(ErrorCode::ResultNotSerializable, detail).caused_by(error)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Item {
        #[serde(rename = "size")]
        _size: u32,
    }

    #[derive(Debug, Deserialize)]
    struct Order {
        #[serde(rename = "items")]
        _items: Vec<Item>,
    }

    fn check(body: &str) -> (ErrorCode, String) {
        let fault = parse::<Order>(body.as_bytes()).unwrap_err();
        (fault.code, fault.detail.into_owned())
    }

    #[test]
    fn the_field_that_does_not_fit_is_named() {
        let (code, detail) = check(r#"{"items":[{"size":1},{"size":"big"}]}"#);
        assert_eq!(code, ErrorCode::InvalidInput);
        assert!(detail.starts_with("`items[1].size`: invalid type"), "{detail}");

        let (code, detail) = check("7");
        assert_eq!(code, ErrorCode::InvalidInput);
        assert!(detail.starts_with("invalid type: integer `7`"), "{detail}");
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place() {
        for body in ["", "{", r#"{"items":[]} x"#] {
            let (code, detail) = check(body);
            assert_eq!(code, ErrorCode::InvalidJson, "{body}");
            assert!(detail.contains("line 1 column"), "{detail}");
        }
    }

    #[test]
    fn every_spelling_of_json_is_taken_and_nothing_else() {
        for text in ["application/json; charset=utf-8", "Application/JSON", "application/ld+json"] {
            assert!(is_json(text), "{text}");
        }
        for text in ["text/plain", "application/jsonp", "json", "image/json"] {
            assert!(!is_json(text), "{text}");
        }
    }
}
