//! The threads that talk to storage servers: one set per process, started on first use. A child
//! made by `fork` has none of its parent's threads and gets its own.

use std::{process, sync::Arc};

use parking_lot::Mutex;
use pyo3::{exceptions::PyRuntimeError, prelude::*};
use tokio::runtime::{Builder, Runtime};

/// Two carry about 10 Gbit/s, and leave the other processors to the model.
const THREADS: usize = 2;

static CURRENT: Mutex<Option<Running>> = Mutex::new(None);

/// The threads, and the process that they are in.
#[derive(Debug, Clone)]
pub(super) struct Running {
    process: u32,
    runtime: Arc<Runtime>,
}

impl Running {
    pub(super) fn current() -> PyResult<Self> {
        let process = process::id();
        let mut current = CURRENT.lock();
        if let Some(running) = current.as_ref().filter(|running| running.process == process) {
            return Ok(running.clone());
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("storage")
            .enable_all()
            .build()
            .map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        let running = Self { process, runtime: Arc::new(runtime) };
        // The parent's threads are not here, and waiting for them would never end.
        std::mem::forget(current.replace(running.clone()));
        Ok(running)
    }

    /// Waits for work without the GIL.
    pub(super) fn wait<T: Send>(&self, py: Python<'_>, work: impl Future<Output = T> + Send) -> T {
        py.detach(|| self.runtime.block_on(work))
    }
}
