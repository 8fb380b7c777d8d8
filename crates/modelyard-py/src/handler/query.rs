//! The one argument of a handler: what came in the path, after it, and in the body.

use bytes::Bytes;
use http::{HeaderValue, request::Parts};
use pyo3::{
    intern,
    prelude::*,
    types::{PyBytes, PyDict, PyString},
};
use worker::{ParamKind, PathParam};

use super::{Manner, trace};
use crate::json;

/// Builds the query of a call. Later sources win: the path, the URL's query, the body, and in any
/// case `trace_id`. A body is there as it came too, `_request_body`.
pub(crate) fn query<'py>(
    py: Python<'py>,
    head: &Parts,
    body: &Bytes,
    manner: &Manner,
) -> PyResult<Bound<'py, PyDict>> {
    let members = members(py, body)?;
    let url = head.uri.query().filter(|query| !query.is_empty());
    let query = match (members, url) {
        // Nearly every call: what the body says is the query.
        (Some(members), None) if manner.params.is_empty() => {
            let raw = intern!(py, "_request_body");
            if !members.contains(raw)? {
                members.set_item(raw, PyBytes::new(py, body))?;
            }
            members
        }
        (members, url) => {
            let query = PyDict::new(py);
            for param in &manner.params {
                query.set_item(&*param.name, value(py, param)?)?;
            }
            for (name, value) in form_urlencoded::parse(url.unwrap_or_default().as_bytes()) {
                query.set_item(&*name, &*value)?;
            }
            if !body.is_empty() {
                query.set_item(intern!(py, "_request_body"), PyBytes::new(py, body))?;
            }
            if let Some(members) = members {
                query.update(members.as_mapping())?;
            }
            query
        }
    };
    let trace_id = intern!(py, "trace_id");
    let trace = manner.trace(|| told(&query, trace_id));
    query.set_item(trace_id, trace.to_str().unwrap_or_default())?;
    Ok(query)
}

/// What the body says: its members if it is an object, otherwise its value as `payload`; nothing
/// if it is no JSON.
fn members<'py>(py: Python<'py>, body: &Bytes) -> PyResult<Option<Bound<'py, PyDict>>> {
    if body.is_empty() {
        return Ok(None);
    }
    let Ok(value) = json::decode_lenient(py, body) else { return Ok(None) };
    let value = match value.cast_into_exact::<PyDict>() {
        Ok(members) => return Ok(Some(members)),
        Err(other) => other.into_inner(),
    };
    let members = PyDict::new(py);
    members.set_item(intern!(py, "payload"), value)?;
    Ok(Some(members))
}

fn told(query: &Bound<'_, PyDict>, name: &Bound<'_, PyString>) -> Option<HeaderValue> {
    let value = query.get_item(name).ok()??;
    trace::header(value.cast::<PyString>().ok()?.to_str().ok()?)
}

/// What a hole of a path took, as the kind of its hole says.
///
/// # Errors
/// If it is no number although its hole takes one.
pub(crate) fn value<'py>(py: Python<'py>, param: &PathParam) -> PyResult<Bound<'py, PyAny>> {
    let text = PyString::new(py, &param.text).into_any();
    match param.kind {
        ParamKind::Text | ParamKind::Path => Ok(text),
        ParamKind::Int => py.get_type::<pyo3::types::PyInt>().call1((text,)),
        ParamKind::Float => py.get_type::<pyo3::types::PyFloat>().call1((text,)),
    }
}
