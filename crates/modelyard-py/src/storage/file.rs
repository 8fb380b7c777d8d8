//! An open file below Python's own buffering.

use bytes::Bytes;
use pyo3::{prelude::*, pybacked::PyBackedBytes, types::PyBytes};
use storage::{File, Kind, LockRequest};

use super::{Known, Running, known, raise, seconds};

/// An open file: any offset, any length.
#[pyclass(frozen, module = "modelyard._core")]
pub(crate) struct StorageFile {
    file: File,
    running: Running,
    backend: &'static str,
}

impl StorageFile {
    pub(super) fn new(file: File, running: Running, backend: &'static str) -> Self {
        Self { file, running, backend }
    }

    fn wait<T: Send>(
        &self,
        py: Python<'_>,
        work: impl Future<Output = storage::Result<T>> + Send,
    ) -> PyResult<T> {
        self.running.wait(py, work).map_err(|error| raise(py, self.backend, &error))
    }
}

#[pymethods]
impl StorageFile {
    /// Bytes of one request: read, written.
    #[getter]
    fn chunks(&self) -> (usize, usize) {
        let chunks = self.file.chunks();
        (chunks.read, chunks.write)
    }

    fn read_at<'py>(
        &self,
        py: Python<'py>,
        offset: u64,
        length: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        if length <= self.file.chunks().read {
            let pieces = self.wait(py, self.file.read_at(offset, length))?;
            return Ok(match pieces.as_slice() {
                [piece] => PyBytes::new(py, piece),
                pieces => PyBytes::new(py, &pieces.concat()),
            });
        }
        // Filled in place while more is on its way: a second copy of a large file costs more
        // than its way through the network.
        let mut read = 0;
        let whole = PyBytes::new_with(py, length, |buffer| {
            read = self.wait(py, self.file.read_into(offset, buffer))?;
            Ok(())
        })?;
        if read == length {
            return Ok(whole);
        }
        Ok(PyBytes::new(py, &whole.as_bytes()[..read]))
    }

    /// Takes the bytes without a copy: they are immutable, and held until they are sent.
    fn write_at(&self, py: Python<'_>, offset: u64, data: PyBackedBytes) -> PyResult<()> {
        self.wait(py, self.file.write_at(offset, Bytes::from_owner(data)))
    }

    /// Writes to the end, and says where the end is then.
    fn append(&self, py: Python<'_>, data: PyBackedBytes) -> PyResult<u64> {
        self.wait(py, self.file.append(Bytes::from_owner(data)))
    }

    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.wait(py, self.file.flush())
    }

    fn stat(&self, py: Python<'_>) -> PyResult<Known> {
        Ok(known(&self.wait(py, self.file.stat())?))
    }

    fn set_size(&self, py: Python<'_>, size: u64) -> PyResult<()> {
        self.wait(py, self.file.set_size(size))
    }

    /// Whether the lock was free within `patience` seconds.
    fn lock(
        &self,
        py: Python<'_>,
        exclusive: bool,
        range: (u64, u64),
        lease: f64,
        patience: f64,
    ) -> PyResult<bool> {
        let (start, length) = range;
        let request = LockRequest { exclusive, start, length, lease: seconds(lease) };
        let taken = self.running.wait(py, self.file.lock(request, seconds(patience)));
        match taken {
            Err(error) if error.kind() == Kind::Locked => Ok(false),
            taken => taken.map(|()| true).map_err(|error| raise(py, self.backend, &error)),
        }
    }

    fn unlock(&self, py: Python<'_>) -> PyResult<()> {
        self.wait(py, self.file.unlock())
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.wait(py, self.file.close())
    }
}
