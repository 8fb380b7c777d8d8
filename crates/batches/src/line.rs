//! One line of a batch: read, checked, and made a call. Pure: text goes in, a call or an issue comes out.

#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use types::ModelName;

/// Longest name of a line, in characters.
const CUSTOM_ID_CHARS_MAX: usize = 512;

/// What all lines of a batch call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// A path of the OpenAI API; each line names its model.
    OpenAi(&'static str),
    /// A route of one model; `None` for its default one.
    Invoke { model: ModelName, route: Option<String> },
}

/// The text is no endpoint that can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadEndpoint;

const OPENAI: [&str; 3] = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"];

/// What a person may write.
pub(crate) const ENDPOINTS: &str = "`/v1/chat/completions`, `/v1/completions`, `/v1/embeddings`, \
     `/invoke/{model}` or `/invoke/{model}/{route}`";

impl FromStr for Endpoint {
    type Err = BadEndpoint;

    fn from_str(text: &str) -> Result<Self, BadEndpoint> {
        if let Some(path) = OPENAI.into_iter().find(|path| *path == text) {
            return Ok(Self::OpenAi(path));
        }
        let rest = text.strip_prefix("/invoke/").ok_or(BadEndpoint)?;
        let (model, route) = match rest.split_once('/') {
            None => (rest, None),
            Some((model, route)) => (model, Some(format!("/{route}"))),
        };
        // What is below /-/ is between the workers and the server.
        let is_path = |route: &String| {
            route.bytes().all(|byte| byte.is_ascii_graphic()) && !route.starts_with("/-/")
        };
        let route_is_fine = route.as_ref().is_none_or(is_path);
        match model.parse() {
            Ok(model) if route_is_fine => Ok(Self::Invoke { model, route }),
            _ => Err(BadEndpoint),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenAi(path) => f.write_str(path),
            Self::Invoke { model, route } => {
                write!(f, "/invoke/{model}{}", route.as_deref().unwrap_or_default())
            }
        }
    }
}

/// A line that can be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// The client's name for it.
    pub(crate) custom_id: String,
    pub(crate) model: ModelName,
    /// Path of the route; `None` for the default one.
    pub(crate) route: Option<String>,
    /// The body, byte for byte.
    pub(crate) body: Bytes,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Issue {
    /// A word to match on.
    pub(crate) code: &'static str,
    /// The field at fault.
    pub(crate) param: Option<&'static str>,
    /// What is wrong, and the fix.
    pub(crate) message: String,
}

impl Issue {
    pub(crate) fn new(
        code: &'static str,
        param: Option<&'static str>,
        message: impl Into<String>,
    ) -> Self {
        Self { code, param, message: message.into() }
    }
}

/// A line as it is written. Values are taken as they are, so that each can be complained about.
#[derive(Deserialize)]
struct Written<'a> {
    custom_id: Option<Value>,
    method: Option<Value>,
    url: Option<Value>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// What is read of the body of a line for the OpenAI API.
#[derive(Deserialize)]
struct Named {
    model: Option<Value>,
    stream: Option<Value>,
}

/// Reads a line.
pub(crate) fn parse(text: &[u8], endpoint: &Endpoint) -> Result<Call, Issue> {
    let text = text.trim_ascii();
    // Serde would take the items of an array for the fields of an object, one after another.
    if !text.starts_with(b"{") {
        let message = "the line is not a JSON object; write one call a line: {\"custom_id\": …, \
                       \"method\": \"POST\", \"url\": …, \"body\": {…}}";
        return Err(Issue::new("invalid_json_line", None, message));
    }
    let written: Written<'_> = serde_json::from_slice(text)
        .map_err(|error| Issue::new("invalid_json_line", None, said(&error)))?;
    let custom_id = custom_id(written.custom_id)?;
    check_method(written.method)?;
    check_url(written.url, endpoint)?;
    let body = body(written.body)?;
    let (model, route) = match endpoint {
        Endpoint::OpenAi(path) => (named_model(body)?, Some((*path).to_owned())),
        Endpoint::Invoke { model, route } => (model.clone(), route.clone()),
    };
    Ok(Call { custom_id, model, route, body: Bytes::copy_from_slice(body.as_bytes()) })
}

fn said(error: &serde_json::Error) -> String {
    format!("the line is not a call in JSON: {error}")
}

fn missing(param: &'static str, fix: &str) -> Issue {
    let message = format!("`{param}` is missing; {fix}");
    Issue::new("missing_required_parameter", Some(param), message)
}

fn custom_id(given: Option<Value>) -> Result<String, Issue> {
    let fix = "give each line a name of its own, which its answer will carry";
    let bad = |message: String| Err(Issue::new("invalid_custom_id", Some("custom_id"), message));
    match given {
        None | Some(Value::Null) => Err(missing("custom_id", fix)),
        Some(Value::String(id)) if id.is_empty() => bad(format!("`custom_id` is empty; {fix}")),
        Some(Value::String(id)) if id.chars().count() > CUSTOM_ID_CHARS_MAX => {
            bad(format!("`custom_id` is longer than {CUSTOM_ID_CHARS_MAX} characters"))
        }
        Some(Value::String(id)) => Ok(id),
        Some(_) => bad("`custom_id` must be a text".into()),
    }
}

fn check_method(given: Option<Value>) -> Result<(), Issue> {
    match given {
        Some(Value::String(method)) if method.eq_ignore_ascii_case("POST") => Ok(()),
        None | Some(Value::Null) => Err(missing("method", "write \"POST\"")),
        Some(_) => Err(Issue::new("invalid_method", Some("method"), "`method` must be \"POST\"")),
    }
}

fn check_url(given: Option<Value>, endpoint: &Endpoint) -> Result<(), Issue> {
    let expected = endpoint.to_string();
    match given {
        Some(Value::String(url)) if url == expected => Ok(()),
        None | Some(Value::Null) => Err(missing("url", &format!("write \"{expected}\""))),
        Some(_) => {
            let message = format!("`url` must be the endpoint of the batch, \"{expected}\"");
            Err(Issue::new("invalid_url", Some("url"), message))
        }
    }
}

fn body(given: Option<&RawValue>) -> Result<&str, Issue> {
    match given.map(RawValue::get) {
        Some(text) if text.starts_with('{') => Ok(text),
        None | Some("null") => Err(missing("body", "write the body of the call as an object")),
        Some(_) => Err(Issue::new("invalid_body", Some("body"), "`body` must be a JSON object")),
    }
}

fn named_model(body: &str) -> Result<ModelName, Issue> {
    let named: Named = serde_json::from_str(body)
        .map_err(|error| Issue::new("invalid_body", Some("body"), said(&error)))?;
    if named.stream.is_some_and(|stream| stream != Value::Bool(false) && !stream.is_null()) {
        let message = "`body.stream` must be false or left out: a batch has no stream";
        return Err(Issue::new("invalid_body", Some("body.stream"), message));
    }
    match named.model {
        None | Some(Value::Null) => Err(missing("body.model", "name one of GET /v1/models")),
        Some(Value::String(model)) => model.parse().map_err(|_| not_found(&model)),
        Some(_) => {
            Err(Issue::new("invalid_body", Some("body.model"), "`body.model` must be a text"))
        }
    }
}

fn not_found(model: &str) -> Issue {
    let shown: String = model.chars().take(128).collect();
    Issue::new("model_not_found", Some("body.model"), format!("model {shown} not found"))
}
