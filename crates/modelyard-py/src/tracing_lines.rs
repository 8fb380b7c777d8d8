//! The log lines of the Rust side, in the shape of the Python side's.

use pyo3::prelude::*;
use tracing_subscriber::EnvFilter;

/// Writes what the HTTP side has to say to standard error: JSON lines for a gateway, plain ones
/// for a person. The second call changes nothing.
#[pyfunction]
pub(crate) fn log_to_stderr(json: bool, level: &str) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false);
    // An error means that somebody set it up before.
    let _ = if json { lines.json().flatten_event(true).try_init() } else { lines.try_init() };
}
