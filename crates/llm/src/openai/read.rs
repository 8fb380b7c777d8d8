//! Bodies to requests; what does not fit is named.

use api::openai::SamplingFields;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::ApiError;

/// Reads a request.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    if body.trim_ascii().is_empty() {
        return Err(ApiError::body_is("No request body provided."));
    }
    let invalid = |error: &serde_json::Error| {
        ApiError::body_is(format!("Invalid JSON in request body: {error}"))
    };
    // Serde would take the items of an array for the fields of an object, one after another.
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(ApiError::body_is("The request body must be a JSON object, not an array."));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let (path, error) = (error.path().to_string(), error.into_inner());
        match error.classify() {
            Category::Data if path == "." => ApiError::body_is(without_place(&error)),
            Category::Data => {
                let words = format!("`{path}`: {}", without_place(&error));
                ApiError::invalid(path, words)
            }
            Category::Io | Category::Syntax | Category::Eof => invalid(&error),
        }
    })?;
    json.end().map_err(|error| invalid(&error))?;
    Ok(value)
}

/// Reads a request with flattened [`SamplingFields`], whose names serde loses where a value does
/// not fit. Read by themselves, they tell.
pub(super) fn read_with_sampling<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    read(body).map_err(|error| match error.param {
        None => read::<SamplingFields>(body).err().unwrap_or(error),
        Some(_) => error,
    })
}

/// Line and column help nobody who did not write the JSON by hand.
fn without_place(error: &serde_json::Error) -> String {
    let words = error.to_string();
    match words.rfind(" at line ") {
        Some(end) => words[..end].to_owned(),
        None => words,
    }
}
