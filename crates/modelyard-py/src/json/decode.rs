//! Bytes to Python objects: exact integers of any size, keys shared between calls.

use jiter::{FloatMode, PartialMode, PythonParse, StringCacheMode};
use pyo3::prelude::*;

/// Reads one JSON value as Python's own `json` does: `NaN` and `Infinity` too.
///
/// # Errors
/// If it is none.
pub(crate) fn decode_lenient<'py>(py: Python<'py>, json: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let parse = PythonParse { allow_inf_nan: true, ..PARSE };
    parse.python_parse(py, json).map_err(|error| jiter::map_json_error(json, &error))
}

const PARSE: PythonParse = PythonParse {
    allow_inf_nan: false,
    // Keys repeat from call to call, values seldom do.
    cache_mode: StringCacheMode::Keys,
    partial_mode: PartialMode::Off,
    catch_duplicate_keys: false,
    float_mode: FloatMode::Float,
};

/// Reads one JSON value.
///
/// # Errors
/// A sentence that says what is wrong and where, for the caller of the route.
pub(crate) fn decode<'py>(py: Python<'py>, json: &[u8]) -> Result<Bound<'py, PyAny>, String> {
    if json.is_empty() {
        return Err("the body is empty; send a JSON value".into());
    }
    PARSE
        .python_parse(py, json)
        .map_err(|error| format!("the body is not valid JSON: {}", error.description(json)))
}
