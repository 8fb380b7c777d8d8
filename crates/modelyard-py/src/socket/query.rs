//! From a message to the query that a handler gets.

use pyo3::{
    intern,
    prelude::*,
    types::{PyBytes, PyDict, PyString},
};
use worker::Message;

use crate::json;

/// A JSON object as it is, another JSON value as `payload`, other text as `message`, bytes as
/// `_request_body`; each with a trace id.
pub(crate) fn of<'py>(
    py: Python<'py>,
    message: &Message,
    trace_id: &str,
) -> PyResult<Bound<'py, PyDict>> {
    let query = match message {
        Message::Binary(bytes) => {
            let query = PyDict::new(py);
            query.set_item(intern!(py, "_request_body"), PyBytes::new(py, bytes))?;
            query
        }
        Message::Text(text) => match json::decode_lenient(py, text.as_bytes()) {
            Err(_) => {
                let query = PyDict::new(py);
                query.set_item(intern!(py, "message"), text)?;
                query
            }
            Ok(value) => match value.cast_into::<PyDict>() {
                Ok(query) => query,
                Err(other) => {
                    let query = PyDict::new(py);
                    query.set_item(intern!(py, "payload"), other.into_inner())?;
                    query
                }
            },
        },
    };
    let name = intern!(py, "trace_id");
    let own = query.get_item(name)?;
    let keeps_own = own.is_some_and(|own| {
        own.cast::<PyString>().is_ok_and(|own| own.len().is_ok_and(|length| length > 0))
    });
    if !keeps_own {
        query.set_item(name, trace_id)?;
    }
    Ok(query)
}
