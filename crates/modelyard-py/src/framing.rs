//! How the items of a stream are told apart on the wire.

use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyBytes, PyString},
};

use crate::json;

/// The kinds of streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Server-sent events: text as it is, everything else as JSON.
    Events,
    /// One JSON value per line.
    Lines,
    /// Bytes and text as they are.
    Raw,
    /// Server-sent events of JSON, text included, spaced as Python's `json` does.
    Data,
}

impl TryFrom<u8> for Framing {
    type Error = PyErr;
    fn try_from(number: u8) -> PyResult<Self> {
        [Self::Events, Self::Lines, Self::Raw, Self::Data]
            .into_iter()
            .find(|framing| *framing as u8 == number)
            .ok_or_else(|| PyValueError::new_err(format!("there is no framing {number}")))
    }
}

/// One item as it goes over the wire.
///
/// # Errors
/// If the item has no JSON form, or is neither bytes nor text where only those can be sent.
pub(crate) fn frame(item: &Bound<'_, PyAny>, framing: Framing) -> PyResult<Vec<u8>> {
    match framing {
        Framing::Events => event(item),
        Framing::Lines => {
            let mut line = json::encode(item)?;
            line.push(b'\n');
            Ok(line)
        }
        Framing::Raw => raw(item),
        Framing::Data => json::encode_spaced(item, b"data: ", b"\n\n"),
    }
}

fn event(item: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(text) = item.cast::<PyString>() {
        return Ok(data_lines(text.to_str()?));
    }
    let json = json::encode(item)?;
    let mut event = Vec::with_capacity(json.len() + 8);
    event.extend_from_slice(b"data: ");
    event.extend_from_slice(&json);
    event.extend_from_slice(b"\n\n");
    Ok(event)
}

/// Each line of a text gets a `data:` of its own, and the reader joins them again.
fn data_lines(text: &str) -> Vec<u8> {
    let mut event = Vec::with_capacity(text.len() + 8);
    let normal;
    let text = if text.contains('\r') {
        normal = text.replace("\r\n", "\n").replace('\r', "\n");
        &normal
    } else {
        text
    };
    for line in text.split('\n') {
        event.extend_from_slice(b"data: ");
        event.extend_from_slice(line.as_bytes());
        event.push(b'\n');
    }
    event.push(b'\n');
    event
}

fn raw(item: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(bytes) = item.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().to_vec());
    }
    if let Ok(text) = item.cast::<PyString>() {
        return Ok(text.to_str()?.as_bytes().to_vec());
    }
    let kind = item.get_type().name()?;
    Err(PyTypeError::new_err(format!("a raw stream takes bytes and str, not {kind}")))
}
