//! Failures as exceptions: those that a local file would raise, with the same `errno`.

use pyo3::{exceptions::PyOSError, prelude::*};
use storage::Error;

/// The exception for a failure. Its class is made in Python, where it is both the storage's own
/// and the usual subclass of `OSError`.
pub(super) fn raise(py: Python<'_>, backend: &str, error: &Error) -> PyErr {
    let (errno, detail) = (error.kind().errno(), error.to_string());
    let make = || -> PyResult<Bound<'_, PyAny>> {
        let module = py.import("modelyard.storage.errors")?;
        module.getattr("error_of")?.call1((backend, errno, &detail))
    };
    match make() {
        Ok(exception) => PyErr::from_value(exception),
        Err(_) => PyOSError::new_err((errno, detail)),
    }
}
