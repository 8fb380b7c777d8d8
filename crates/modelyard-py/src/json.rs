//! JSON between bytes and Python objects, without a tree in between.

mod decode;
mod encode;

use pyo3::{prelude::*, sync::PyOnceLock};

pub(crate) use decode::{decode, decode_lenient};
pub(crate) use encode::Encoder;

use crate::NotSerializable;
use encode::EncodeError;

/// The bytes of a value; `modelyard._plain.plain` is asked about types that JSON does not know.
///
/// # Errors
/// [`NotSerializable`] with a sentence that names the place and the type; whatever else Python
/// code raised while it was asked.
pub(crate) fn encode(value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    write(value, |py, plain| Encoder::new(py, plain), b"")
}

/// As [`encode`], in the spacing and notation of Python's own `json`, between a beginning and an end.
///
/// # Errors
/// As [`encode`].
pub(crate) fn encode_spaced(
    value: &Bound<'_, PyAny>,
    beginning: &[u8],
    end: &[u8],
) -> PyResult<Vec<u8>> {
    write(value, |py, plain| Encoder::spaced(py, plain, beginning), end)
}

fn write<'py>(
    value: &Bound<'py, PyAny>,
    encoder: impl for<'a> FnOnce(Python<'py>, &'a Py<PyAny>) -> Encoder<'a, 'py>,
    end: &[u8],
) -> PyResult<Vec<u8>> {
    static PLAIN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = value.py();
    let plain = PLAIN.get_or_try_init(py, || {
        Ok::<_, PyErr>(py.import("modelyard._plain")?.getattr("plain")?.unbind())
    })?;
    let written = encoder(py, plain).encode(value).map(|mut json| {
        json.extend_from_slice(end);
        json
    });
    written.map_err(|error| match error {
        EncodeError::Raised(error) => error,
        EncodeError::Unsupported { reason, path } => {
            NotSerializable::new_err(EncodeError::sentence(&reason, &path))
        }
    })
}
