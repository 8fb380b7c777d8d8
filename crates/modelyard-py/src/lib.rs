//! `modelyard._core`: what a Python worker leaves to Rust. HTTP, batching, JSON and streams run
//! here; Python is woken once for all calls that are ready.

mod batches;
mod call;
mod file;
mod framing;
mod handler;
mod inbox;
mod json;
mod promise;
mod routes;
mod server;
mod socket;
mod storage;
mod stream;
mod tracing_lines;

use pyo3::{create_exception, exceptions::PyTypeError, exceptions::PyValueError, prelude::*};

use crate::{call::Call, framing::Framing, server::Server, socket::Socket, stream::Sent};

create_exception!(modelyard._core, InvalidJson, PyValueError, "The body is not JSON.");
create_exception!(modelyard._core, NotSerializable, PyTypeError, "A value has no JSON form.");

/// The bytes of a value as JSON.
#[pyfunction]
fn dumps(value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    json::encode(value)
}

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add_class::<Server>()?;
    module.add_class::<Call>()?;
    module.add_class::<Socket>()?;
    storage::register(module)?;
    module.add("InvalidJson", py.get_type::<InvalidJson>())?;
    module.add("NotSerializable", py.get_type::<NotSerializable>())?;
    module.add_function(wrap_pyfunction!(dumps, module)?)?;
    module.add_function(wrap_pyfunction!(tracing_lines::log_to_stderr, module)?)?;
    module.add("RESUME", server::RESUME)?;
    module.add("LEFT", server::LEFT)?;
    module.add("ROOM", Sent::Room as u8)?;
    module.add("PARKED", Sent::Parked as u8)?;
    module.add("GONE", Sent::Gone as u8)?;
    module.add("EVENTS", Framing::Events as u8)?;
    module.add("LINES", Framing::Lines as u8)?;
    module.add("RAW", Framing::Raw as u8)?;
    module.add("DATA", Framing::Data as u8)?;
    Ok(())
}
